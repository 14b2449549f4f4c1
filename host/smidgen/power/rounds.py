"""Rounds on the board that infers: it waits, then infers, and times both."""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass
from typing import cast

from smidgen.errors import BoardError, InputError
from smidgen.power.device_code import device_code, remove_code
from smidgen.power.source import Execute
from smidgen.power.windows import TimedRound

PROBE = "_smg_probe"  # the global name on the board of what measures its rounds

LONGEST_WINDOW_SECONDS = 500  # the board's clock of microseconds can tell no longer durations
_PATIENCE = 3.0  # a window may take so many times longer than its first inferences promised
_GRACE_SECONDS = 20.0


@dataclass(frozen=True)
class Pace:
    """Seconds that one inference takes: by the board's clock, and by the clock here, which a virtual board's is not."""

    board_seconds: float
    wall_seconds: float


class BoardRounds:
    """model: MicroPython expression of an object with `run()`, such as a smidgen.Model.

    A sensor that is read between operators also uses its `_engine.run(k)` and `_operators`.
    """

    def __init__(self, execute: Execute, model: str) -> None:
        self._execute = execute
        self._model = model

    def install(self) -> None:
        self._execute(device_code("rounds"))

    def use(self, probe: str) -> None:
        """probe: MicroPython expression of an object of device/power/rounds.py."""
        self._execute(f"{PROBE} = {probe}")

    def remove(self) -> None:
        """Never raises: the board may be gone."""
        try:
            self._execute(remove_code(PROBE))
        except BoardError:
            pass

    def pace(self, inferences: int = 1, timeout: float | None = None) -> Pace:
        """Time some inferences; they also warm up caches. timeout: seconds that the board may take."""
        start = time.monotonic()
        (microseconds,) = self._values(f"SmidgenClock().run({self._model}, {inferences})", timeout)
        wall = time.monotonic() - start
        return Pace(cast(int, microseconds) * 1e-6 / inferences, wall / inferences)

    def run(self, idle_seconds: float, inferences: int, pace: Pace) -> TimedRound:
        """One round. InputError if it would last too long for the board's clock."""
        expected = inferences * pace.board_seconds
        if max(expected, idle_seconds) > LONGEST_WINDOW_SECONDS:
            raise InputError(
                f"a window of {inferences} inferences would take {expected:.0f} s, and one of waiting "
                f"{idle_seconds:g} s; the board's clock tells at most {LONGEST_WINDOW_SECONDS} s: take fewer inferences"
            )
        slowness = max(1.0, pace.wall_seconds / pace.board_seconds) if pace.board_seconds else 1.0
        timeout = _GRACE_SECONDS + _PATIENCE * (inferences * pace.wall_seconds + idle_seconds * slowness)
        idle, active = self._values(
            f"{PROBE}.idle({round(idle_seconds * 1000)}), {PROBE}.run({self._model}, {inferences})", timeout
        )
        return _timed(cast("tuple[int, ...]", idle), cast("tuple[int, ...]", active), inferences)

    def wait(self, seconds: float) -> TimedRound:
        """A round in which the board only waits, twice."""
        idle = f"{PROBE}.idle({round(seconds * 1000)})"
        first, second = self._values(f"{idle}, {idle}", _GRACE_SECONDS + 100 * seconds)
        return _timed(cast("tuple[int, ...]", first), cast("tuple[int, ...]", second), 0)

    def _values(self, expression: str, timeout: float | None) -> tuple[object, ...]:
        text = self._execute(f"print(repr(({expression})))", timeout=timeout).strip()
        try:
            values = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise BoardError(f"the board did not say how long its round took, but: {text[:200]!r}") from None
        return cast("tuple[object, ...]", values)


def _timed(idle: tuple[int, ...], active: tuple[int, ...], inferences: int) -> TimedRound:
    if idle[0] <= 0 or active[0] <= 0:
        raise BoardError(
            f"the board's clock says that waiting took {idle[0]} us and inferring {active[0]} us; "
            "durations must be positive: measure again, with more inferences in a window"
        )
    return TimedRound(idle[0] * 1e-6, active[0] * 1e-6, inferences, idle[1:], active[1:])
