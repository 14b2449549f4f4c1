"""What many durations come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """In the unit of the samples. p95: the smallest sample that at least 95 % of them do not exceed."""

    count: int
    min: float
    median: float
    p95: float
    max: float
    mean: float


def summarize(samples: Sequence[float]) -> Summary | None:
    """None without samples."""
    if not samples:
        return None
    values = np.asarray(samples, float)
    return Summary(
        count=len(values),
        min=float(values.min()),
        median=float(np.median(values)),
        p95=float(np.percentile(values, 95, method="inverted_cdf")),
        max=float(values.max()),
        mean=float(values.mean()),
    )
