"""Check a power source against a resistor: a load whose current is known."""

from __future__ import annotations

import time
from dataclasses import dataclass

from smidgen.errors import InputError
from smidgen.power.rounds import BoardRounds
from smidgen.power.source import Execute, PowerSource


@dataclass(frozen=True)
class ResistorCheck:
    """What was measured, and what Ohm's law says. error: share of the expected current, positive if too much."""

    ohms: float
    volts: float
    amperes: float
    expected_amperes: float
    expected_uncertainty: float

    @property
    def error(self) -> float:
        return self.amperes / self.expected_amperes - 1

    @property
    def is_good(self) -> bool:
        """Whether the resistor's own tolerance explains the error."""
        return abs(self.error) <= self.expected_uncertainty


def check_resistor(
    source: PowerSource, ohms: float, tolerance: float = 0.01, seconds: float = 5.0, execute: Execute | None = None
) -> ResistorCheck:
    """Measure a resistor that hangs on `source`, which is open, in place of a board's supply.

    tolerance: of the resistor, 0.01 for 1 %. execute: `Board.exec` of the board that reads the sensor, for a source
    that has no samples of its own; it goes on being supplied by USB.
    """
    if not (ohms > 0 and 0 < tolerance < 1 and seconds > 0):
        raise InputError(
            f"a check needs a resistor, a tolerance below 1 and some time, not {ohms:g} ohm, {tolerance:g}, "
            f"{seconds:g} s"
        )
    require_checkable(source, execute is not None)
    if execute is None or source.needs_marker:
        volts, amperes = _recorded(source, seconds)
    else:
        volts, amperes = _read(source, seconds, execute)
    if volts <= 0:
        raise InputError(f"{source.info.name} measures {volts:g} V at the resistor: check the wires and the supply")
    return ResistorCheck(ohms, volts, amperes, volts / ohms, tolerance)


def require_checkable(source: PowerSource, with_board: bool) -> None:
    """Raise InputError for a source that no resistor can check, or that needs a board that reads it."""
    if source.info.is_estimate:
        raise InputError("an estimate measures nothing, so a resistor cannot check it")
    if not with_board and not source.needs_marker:
        raise InputError(f"{source.info.name}: give the board that reads it (--port)")


def _recorded(source: PowerSource, seconds: float) -> tuple[float, float]:
    """Volts and amperes of a meter that records on its own."""
    source.start()
    try:
        time.sleep(seconds)
    finally:
        source.stop()
    trace = source.trace
    assert trace, "a meter that records has recorded"
    start, end = float(trace.edges[0]), float(trace.edges[-1])
    volts = trace.mean_volts(start, end)
    return volts, trace.joules / trace.seconds / volts if volts else 0.0


def _read(source: PowerSource, seconds: float, execute: Execute) -> tuple[float, float]:
    """Volts and amperes of a sensor that a board reads while it waits."""
    rounds = BoardRounds(execute, "None")
    try:
        rounds.install()
        rounds.use(source.attach(execute, None))
        window = source.rounds([rounds.wait(seconds)])[0].idle
    finally:
        rounds.remove()
    return window.volts, window.watts / window.volts if window.volts else 0.0
