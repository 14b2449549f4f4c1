"""Windows of a measurement: in a round the board first waits, then infers with its marker pin high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.errors import InputError
from smidgen.power.trace import PowerTrace

_CLOCK_TOLERANCE = 0.02  # two clocks, of a board and a meter, differ by less


@dataclass(frozen=True)
class Window:
    """A stretch of time in which the board did one thing. inferences: 0 for waiting.

    samples: how many readings the energy is from. resolution_joules: the smallest step of `joules`, where the meter
    has one worth telling. warnings: what is wrong with it, such as a current beyond the meter's range.
    """

    seconds: float
    joules: float
    volts: float
    inferences: int
    samples: int
    resolution_joules: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def watts(self) -> float:
        return self.joules / self.seconds


@dataclass(frozen=True)
class TimedRound:
    """A round as the board that infers saw it. Readings: what a sensor of its own said, in the sensor's own terms."""

    idle_seconds: float
    active_seconds: float
    inferences: int
    idle_reading: tuple[object, ...] = ()
    active_reading: tuple[object, ...] = ()


@dataclass(frozen=True)
class RoundEnergy:
    """A round with its energies."""

    idle: Window
    active: Window


def rounds_of_trace(
    trace: PowerTrace, rounds: Sequence[TimedRound], bit: int = 0, interrupted: bool = False
) -> list[RoundEnergy]:
    """Find the rounds by marker `bit`: the board infers while it is high, and waits right before it rises.

    Durations are the board's, mean powers the trace's, of samples that lie wholly within. interrupted: there may be a
    pulse more, of the round that the board did not finish. InputError where trace and board disagree.
    """
    pulses = trace.pulses(bit)
    if interrupted:
        pulses = pulses[: len(rounds)]
    if len(pulses) != len(rounds):
        raise InputError(
            f"the board made {len(rounds)} windows, the power trace shows {len(pulses)} pulses on marker {bit}: "
            "check the marker's wire, its pin (--marker) and the common ground"
        )
    return [
        _round(trace, *pulse, timed, number) for number, (pulse, timed) in enumerate(zip(pulses, rounds, strict=True))
    ]


def _round(trace: PowerTrace, rise: float, fall: float, timed: TimedRound, number: int) -> RoundEnergy:
    seen = fall - rise
    allowed = _CLOCK_TOLERANCE * timed.active_seconds + 2 / trace.sample_rate_hz
    if abs(seen - timed.active_seconds) > allowed:
        raise InputError(
            f"window {number} took {timed.active_seconds:g} s on the board and {seen:g} s in the power trace, "
            f"more than {allowed:g} s apart: the trace is of another run, or its marker is disturbed"
        )
    start = rise - timed.idle_seconds
    if start < trace.edges[0]:
        raise InputError(
            f"the board waited {timed.idle_seconds:g} s before window {number}, "
            f"the power trace has only {rise - trace.edges[0]:g} s before it"
        )
    return RoundEnergy(
        idle=_window(trace, start, rise, timed.idle_seconds, 0),
        active=_window(trace, rise, fall, timed.active_seconds, timed.inferences),
    )


def _window(trace: PowerTrace, start: float, end: float, seconds: float, inferences: int) -> Window:
    warnings: tuple[str, ...] = ()
    inner_start, inner_end = trace.whole_samples(start, end)
    if inner_start < inner_end:
        start, end = inner_start, inner_end
    else:
        warnings = (
            f"a window of {seconds * 1000:.3g} ms is too short for a meter with {trace.sample_rate_hz:.0f} samples a "
            "second: take more inferences in a window (-n), or wait longer",
        )
    return Window(
        seconds=seconds,
        joules=trace.energy(start, end) / (end - start) * seconds,
        volts=trace.mean_volts(start, end),
        inferences=inferences,
        samples=trace.samples_between(start, end),
        resolution_joules=trace.resolution_joules * seconds / (end - start),
        warnings=warnings,
    )
