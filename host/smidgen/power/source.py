"""What every source of power figures has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

from smidgen.errors import InputError
from smidgen.power.trace import PowerTrace
from smidgen.power.windows import RoundEnergy, TimedRound, rounds_of_trace

Source = TypeVar("Source", bound="PowerSource")


class Execute(Protocol):
    """Runs MicroPython on a board and returns what it printed, as `Board.exec` does. timeout: seconds of silence."""

    def __call__(self, code: str, timeout: float | None = None) -> str: ...


@dataclass(frozen=True)
class SourceInfo:
    """name: with everything that was set. sample_rate_hz: None where the meter adds up by itself, or nothing is
    measured. uncertainty: a sentence, as the maker states it."""

    name: str
    sample_rate_hz: float | None
    uncertainty: str
    is_estimate: bool = False


class PowerSource(ABC):
    """A context manager. In this order: open, attach, start, (the board makes its rounds), stop, rounds, close."""

    needs_marker = False  # whether it finds the windows by a pin of the board that infers

    @property
    @abstractmethod
    def info(self) -> SourceInfo: ...

    @property
    def trace(self) -> PowerTrace | None:
        """All samples from start to stop, where there are any."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong since start, in sentences."""
        return ()

    def open(self) -> None:  # noqa: B027 - not every source has something to do
        """Connect to the meter. BoardError when it does not answer."""

    def close(self) -> None:  # noqa: B027 - not every source has something to do
        """May be called twice."""

    def attach(self, execute: Execute, marker_pin: int | None) -> str:
        """Prepare the board that infers. Returns a MicroPython expression of what measures its rounds there."""
        return f"SmidgenClock({marker_pin})"

    def start(self) -> None:  # noqa: B027 - not every source has something to do
        """Samples count from now on."""

    def stop(self) -> None:  # noqa: B027 - not every source has something to do
        """Samples count no more."""

    @abstractmethod
    def rounds(self, timed: Sequence[TimedRound], interrupted: bool = False) -> list[RoundEnergy]:
        """Energies of the rounds that the board made between start and stop. interrupted: it began another."""

    def __enter__(self: Source) -> Source:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RecordingSource(PowerSource):
    """A meter that records on its own and finds the windows by the marker. `_trace` is set by `stop` or `open`."""

    needs_marker = True
    _trace: PowerTrace | None = None
    _marker_bit = 0

    @property
    def trace(self) -> PowerTrace | None:
        return self._trace

    @property
    def warnings(self) -> tuple[str, ...]:
        if self._trace is None or not self._trace.lost:
            return ()
        return (f"{self._trace.lost} of {self._trace.lost + len(self._trace.amperes)} samples were lost",)

    def attach(self, execute: Execute, marker_pin: int | None) -> str:
        if marker_pin is None:
            raise InputError(
                f"{self.info.name} finds the windows by a pin of the board: wire a pin to the meter, and say which "
                "(--marker PIN)"
            )
        return super().attach(execute, marker_pin)

    def rounds(self, timed: Sequence[TimedRound], interrupted: bool = False) -> list[RoundEnergy]:
        if self._trace is None:
            raise InputError(f"{self.info.name} has recorded nothing yet: start and stop it first")
        return rounds_of_trace(self._trace, timed, self._marker_bit, interrupted)
