"""Whether two sets of durations differ by more than their noise. docs/benchmarking.md explains the rule.

Exact counters: the least of each session is compared, and a difference of more than one tick counts, because a duration
is cut to whole ticks at both ends.

All others: each session is cut into ten blocks, one after the other, and a block's figure is its median. How far the
blocks of a session scatter (the median absolute deviation, as a standard deviation) is what another session may be off
by. A difference of the medians counts when it is more than three times the scatter of both sessions together, more than
two ticks, and more than a floor for what happens between sessions, not within them.

On a board that is a process among others, the least of each session is compared in place of the median: what else the
computer does only makes durations longer, often for a whole second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

_BLOCKS = 10
_FEWEST = 5  # samples; with fewer nothing is known of their noise
_DEVIATIONS = 3.0
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_TICKS = 2.0
FLOOR = 0.001  # of a board of its own
SHARED_FLOOR = 1.0  # of a board that is a process among others: how busy these are changes everything


class Verdict(str, Enum):
    """Of a comparison."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"  # too few samples to know their noise


@dataclass(frozen=True)
class TimeDifference:
    """before, after: in the unit of the samples. least_visible: the smallest difference that would count."""

    before: float
    after: float
    least_visible: float
    verdict: Verdict

    @property
    def share(self) -> float:
        """How much more `after` is, as a share of `before`."""
        return (self.after - self.before) / self.before if self.before else 0.0


def exact_difference(before: Sequence[float], after: Sequence[float]) -> TimeDifference:
    """Of ticks of an exact counter."""
    least_before, least_after = min(before), min(after)
    verdict = Verdict.DIFFERENT if abs(least_after - least_before) > 1 else Verdict.SAME
    return TimeDifference(least_before, least_after, 1.0, verdict)


def noisy_difference(before: Sequence[float], after: Sequence[float], is_shared: bool = False) -> TimeDifference:
    """Of ticks. is_shared: of a board that is a process among others."""
    figure = np.min if is_shared else np.median
    typical_before, typical_after = float(figure(before)), float(figure(after))
    noise = _DEVIATIONS * math.hypot(_scatter(before), _scatter(after))
    floor = (SHARED_FLOOR if is_shared else FLOOR) * min(typical_before, typical_after)
    visible = max(noise, _TICKS, floor)
    if min(len(before), len(after)) < _FEWEST:
        verdict = Verdict.UNKNOWN
    else:
        verdict = Verdict.DIFFERENT if abs(typical_after - typical_before) > visible else Verdict.SAME
    return TimeDifference(typical_before, typical_after, visible, verdict)


def _scatter(samples: Sequence[float]) -> float:
    blocks = np.array_split(np.asarray(samples, float), min(_BLOCKS, len(samples)))
    medians = np.array([np.median(block) for block in blocks])
    return float(_MAD_TO_DEVIATION * np.median(np.abs(medians - np.median(medians))))
