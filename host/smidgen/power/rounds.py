"""Rounds on the board that infers: it waits, then infers, and times both."""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass
from typing import Any

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
        microseconds = _numbers(self._value(f"SmidgenClock().run({self._model}, {inferences})", timeout))[0]
        wall = time.monotonic() - start
        return Pace(max(microseconds, 1) * 1e-6 / inferences, wall / inferences)

    def run(self, idle_seconds: float, inferences: int, pace: Pace) -> TimedRound:
        """One round. InputError if it would last too long for the board's clock."""
        expected = inferences * pace.board_seconds
        if max(expected, idle_seconds) > LONGEST_WINDOW_SECONDS:
            raise InputError(
                f"a window of {inferences} inferences would take {expected:.0f} s, and one of waiting "
                f"{idle_seconds:g} s; the board's clock tells at most {LONGEST_WINDOW_SECONDS} s: take fewer inferences"
            )
        slowness = max(1.0, pace.wall_seconds / pace.board_seconds)
        timeout = _GRACE_SECONDS + _PATIENCE * (inferences * pace.wall_seconds + idle_seconds * slowness)
        return self._round(
            f"{PROBE}.idle({round(idle_seconds * 1000)})",
            f"{PROBE}.run({self._model}, {inferences})",
            inferences,
            timeout,
        )

    def wait(self, seconds: float) -> TimedRound:
        """A round in which the board only waits, twice."""
        idle = f"{PROBE}.idle({round(seconds * 1000)})"
        return self._round(idle, idle, 0, _GRACE_SECONDS + 100 * seconds)

    def _round(self, idle: str, active: str, inferences: int, timeout: float) -> TimedRound:
        """Both in one go: what marks the windows is the end of the first."""
        value = self._value(f"({idle}, {active})", timeout)
        if not isinstance(value, tuple) or len(value) != 2:
            raise BoardError(f"the board did not tell two durations, but: {value!r:.200}")
        return _timed(*value, inferences)

    def _value(self, expression: str, timeout: float | None) -> object:
        text = self._execute(f"print(repr({expression}))", timeout=timeout).strip()
        try:
            value: object = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise BoardError(f"the board did not say how long its round took, but: {text[:200]!r}") from None
        return value


def _timed(idle: object, active: object, inferences: int) -> TimedRound:
    waited, *idle_reading = _numbers(idle)
    inferred, *active_reading = _numbers(active)
    if waited <= 0 or inferred <= 0:
        raise BoardError(
            f"the board's clock says that waiting took {waited} us and inferring {inferred} us; "
            "durations must be positive: measure again, with more inferences in a window"
        )
    return TimedRound(waited * 1e-6, inferred * 1e-6, inferences, tuple(idle_reading), tuple(active_reading))


def _numbers(reading: object) -> tuple[Any, ...]:
    """What a method of device/power/rounds.py returns: microseconds, and what the sensor said."""
    if not isinstance(reading, tuple) or not reading or not isinstance(reading[0], int):
        raise BoardError(f"the board did not say how long its round took, but: {reading!r:.200}")
    return reading
