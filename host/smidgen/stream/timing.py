"""What a stream counts and measures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np


class StreamTiming:
    """period: seconds from one window to the next, None where samples do not come in real time.

    A window is late when its answer comes later than the next window is complete.
    """

    def __init__(self, period: float | None) -> None:
        self.period = period
        self.answered = 0
        self.dropped = 0  # windows that are not answered: the board counts them
        self.late = 0
        self.skipped_frames = 0  # that were never sent, because too many were waiting
        self.frames = 0  # sent
        self.microseconds: list[int] = []  # of each inference, on the board
        self.latencies: list[float] = []  # seconds
        self.busy = 0.0  # seconds in which the link or the board worked for this stream
        self._began = self._ended = 0.0

    def start(self) -> None:
        self._began = time.monotonic()
        self._ended = 0.0

    def stop(self) -> None:
        self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start, until the end if it has ended."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def load(self) -> float:
        """The share of the time in which link and board were busy, 0 to 1."""
        return min(1.0, self.busy / self.seconds) if self.seconds > 0 else 0.0

    def requested(self, seconds: float, frames: int, skipped: int, dropped: int) -> None:
        self.busy += seconds
        self.frames += frames
        self.skipped_frames += skipped
        self.dropped = dropped

    def answer(self, microseconds: int, latency: float | None) -> None:
        self.answered += 1
        self.microseconds.append(microseconds)
        if latency is not None:
            self.latencies.append(latency)
            if self.period is not None and latency > self.period:
                self.late += 1

    @property
    def keeps_up(self) -> bool:
        return not self.dropped and not self.late and not self.skipped_frames

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Times in microseconds on the board, in milliseconds here."""
        return {
            "windows": self.answered,
            "dropped": self.dropped,
            "late": self.late,
            "skipped_frames": self.skipped_frames,
            "frames": self.frames,
            "keeps_up": self.keeps_up,
            "seconds": round(self.seconds, 3),
            "window_period_ms": None if self.period is None else round(1000 * self.period, 3),
            "load": round(self.load, 4),
            "inference_us": _summary(self.microseconds),
            "latency_ms": _summary([1000 * latency for latency in self.latencies]),
        }


def _summary(values: list[Any]) -> dict[str, float] | None:
    if not values:
        return None
    median, p95 = np.percentile(values, (50, 95))
    return {
        "min": round(float(min(values)), 3),
        "median": round(float(median), 3),
        "p95": round(float(p95), 3),
        "max": round(float(max(values)), 3),
    }
