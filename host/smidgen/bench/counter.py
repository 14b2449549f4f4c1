"""The clock that inferences are timed with."""

from __future__ import annotations

from dataclasses import dataclass

MICROSECONDS = 1e6  # ticks a second of ticks_us
_LONGEST_CYCLES = 2**28  # ticks_cpu tells no longer durations, with a margin of two
_SAME_RATE = 0.02  # a counter of cycles advances as fast as the clock


@dataclass(frozen=True)
class Counter:
    """name: of MicroPython's module time. hertz: ticks a second. cycles_per_tick: None where no cycles are counted.

    frequency_hz: of the processor; None where the firmware does not tell it. is_exact: an emulator's, whose clock is
    its count of cycles: the same work takes the same ticks. is_shared: the board is a process on a computer, and other
    programs take time from it. note: all that in a sentence.
    """

    name: str
    hertz: float
    frequency_hz: float | None
    cycles_per_tick: float | None
    is_exact: bool
    is_shared: bool
    note: str

    def microseconds(self, ticks: float) -> float:
        return ticks / self.hertz * MICROSECONDS

    def cycles(self, ticks: float) -> float | None:
        return None if self.cycles_per_tick is None else ticks * self.cycles_per_tick


def choose_counter(
    rates: tuple[int, int], frequency_hz: float | None, seconds: float, is_exact: bool, is_shared: bool
) -> Counter:
    """rates: by how much ticks_cpu and ticks_us advanced in the same time. seconds: what an inference takes, about.

    ticks_cpu is taken where it advances as fast as the processor's clock, and an inference is not too long for it.
    """
    cpu, microseconds = rates
    cpu_hertz = cpu / microseconds * MICROSECONDS
    counts_cycles = frequency_hz is not None and abs(cpu_hertz / frequency_hz - 1) < _SAME_RATE
    if frequency_hz is None:
        clock = "this firmware does not tell the processor's frequency (it has no machine.freq)"
    else:
        clock = f"the processor runs at {frequency_hz / 1e6:g} MHz (machine.freq)"
    if frequency_hz is not None and counts_cycles and seconds * frequency_hz < _LONGEST_CYCLES:
        return Counter(
            "ticks_cpu", frequency_hz, frequency_hz, 1.0, is_exact, is_shared, f"ticks_cpu counts cycles; {clock}"
        )
    cycles = frequency_hz / MICROSECONDS if is_exact and frequency_hz is not None else None
    if cycles is not None:
        note = f"ticks_us of an emulator, {cycles:g} of its cycles each; {clock}"
    elif counts_cycles:
        note = f"ticks_us, because an inference is too long for ticks_cpu; {clock}"
    else:
        note = f"ticks_us; {clock}, and ticks_cpu does not count its cycles"
    return Counter("ticks_us", MICROSECONDS, frequency_hz, cycles, is_exact, is_shared, note)
