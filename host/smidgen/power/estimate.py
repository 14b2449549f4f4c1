"""Energy from the currents in boards/*.toml: no measurement, and good for planning only."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.boards import BoardDescription
from smidgen.boards.description import Current
from smidgen.errors import InputError
from smidgen.power.source import PowerSource, SourceInfo
from smidgen.power.windows import RoundEnergy, TimedRound, Window


class Estimate(PowerSource):
    """Typical current while one core computes, and in the sleep that keeps the RAM, times the measured durations."""

    def __init__(self, board: BoardDescription) -> None:
        if board.supply is None:
            raise InputError(
                f"{board.name} has no figures for its supply, as it is virtual: name a real board, "
                "such as estimate:board=pico"
            )
        self._board = board
        self._supply = board.supply

    @property
    def info(self) -> SourceInfo:
        currents = f"{_text('computing', self._supply.active)}; {_text('asleep', self._supply.sleep)}"
        return SourceInfo(
            name=f"estimate for {self._board.title}",
            sample_rate_hz=None,
            uncertainty=f"not measured: {currents}",
            is_estimate=True,
        )

    def rounds(self, timed: Sequence[TimedRound], interrupted: bool = False) -> list[RoundEnergy]:
        """Waiting counts as sleep, which a board on a USB cable does not do."""
        return [
            RoundEnergy(
                idle=self._window(turn.idle_seconds, self._supply.sleep.amperes, 0),
                active=self._window(turn.active_seconds, self._supply.active.amperes, turn.inferences),
            )
            for turn in timed
        ]

    def _window(self, seconds: float, amperes: float, inferences: int) -> Window:
        volts = self._supply.volts
        return Window(seconds, volts * amperes * seconds, volts, inferences, samples=0)


def _text(state: str, current: Current) -> str:
    return f"{current.amperes * 1000:.3g} mA {state} ({current.evidence.value}: {current.source})"
