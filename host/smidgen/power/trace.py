"""What a power meter recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PowerTrace:
    """Samples without gaps: sample i is the mean from `edges[i]` to `edges[i + 1]`, in seconds.

    volts, amperes, markers: one for every sample. markers: a byte of logic levels at the sample's beginning. lost: how
    many samples did not arrive; the one before a gap stands for it. resolution_joules: the meter's smallest step of
    energy, where it counts energy.
    """

    edges: FloatArray
    volts: FloatArray
    amperes: FloatArray
    markers: NDArray[np.uint8]
    lost: int = 0
    resolution_joules: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.amperes)
        if count == 0:
            raise InputError("the power trace has no samples: the meter sent nothing")
        if not (len(self.edges) - 1 == len(self.volts) == len(self.markers) == count):
            raise InputError(
                f"the power trace has {count} currents, {len(self.volts)} voltages, {len(self.markers)} markers and "
                f"{len(self.edges)} times; it needs as many of each, and one time more"
            )
        if not np.all(np.diff(self.edges) > 0):
            raise InputError("the times of the power trace must increase from sample to sample")

    @property
    def seconds(self) -> float:
        return float(self.edges[-1] - self.edges[0])

    @property
    def sample_rate_hz(self) -> float:
        """Mean number of samples a second."""
        return len(self.amperes) / self.seconds

    @property
    def joules(self) -> float:
        return self.energy(float(self.edges[0]), float(self.edges[-1]))

    def energy(self, start: float, end: float) -> float:
        """Joules from `start` to `end`, which lie within the trace; a sample counts in part where they cut it."""
        return self._integral(self.volts * self.amperes, start, end)

    def mean_volts(self, start: float, end: float) -> float:
        return self._integral(self.volts, start, end) / (end - start)

    def samples_between(self, start: float, end: float) -> int:
        first, last = np.searchsorted(self.edges, (start, end))
        return int(last - first)

    def whole_samples(self, start: float, end: float) -> tuple[float, float]:
        """From `start` to `end` without the first and the last sample, which may have seen something of what is
        outside: a meter's mean belongs to a time that it knows to a sample."""
        first = int(np.searchsorted(self.edges, start, "left")) + 1
        last = int(np.searchsorted(self.edges, end, "right")) - 2
        return float(self.edges[min(first, len(self.edges) - 1)]), float(self.edges[max(last, 0)])

    def pulses(self, bit: int) -> list[tuple[float, float]]:
        """When marker `bit` (0 to 7) was high: (rise, fall) of every pulse that the trace holds whole."""
        level = (self.markers >> bit & 1).astype(np.int8)
        steps = np.diff(level)
        rises = self.edges[1:-1][steps == 1]
        falls = self.edges[1:-1][steps == -1]
        if level[0]:
            falls = falls[1:]
        return [(float(rise), float(fall)) for rise, fall in zip(rises, falls, strict=False)]

    def _integral(self, values: FloatArray, start: float, end: float) -> float:
        if not self.edges[0] <= start < end <= self.edges[-1]:
            raise InputError(
                f"the window from {start:g} s to {end:g} s is not within the power trace, "
                f"which is from {self.edges[0]:g} s to {self.edges[-1]:g} s"
            )
        first = max(int(np.searchsorted(self.edges, start, "right")) - 1, 0)
        last = int(np.searchsorted(self.edges, end, "left"))
        edges = np.clip(self.edges[first : last + 1], start, end)
        return float(np.sum(values[first:last] * np.diff(edges), dtype=np.float64))
