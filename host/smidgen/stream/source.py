"""Where samples come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Source(Protocol):
    """Samples in order. Audio is -1 to 1, everything else has the units of its file or sensor."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def channels(self) -> int: ...

    @property
    def rate(self) -> float | None:
        """Samples a second of each channel; None: not known."""

    @property
    def is_live(self) -> bool:
        """Whether its samples come when they come: nobody has to wait before reading them."""

    @property
    def can_wait(self) -> bool:
        """Whether it keeps its samples until they are read."""

    @property
    def lost(self) -> int:
        """How many samples (of a microphone: how often some) were lost because nobody read them in time."""

    def read(self, count: int) -> FloatArray:
        """The next samples, [at most count, channels]; none at the end of a recording. A live source waits for some."""

    def next_recording(self) -> bool:
        """Go on behind the end of a recording; False if there is no other."""

    def close(self) -> None:
        """May be called twice."""


class ArraySource:
    """Samples in memory: [samples, channels]. starts: rising, the sample with which each recording begins."""

    is_live = False
    can_wait = True
    lost = 0

    def __init__(self, name: str, samples: FloatArray, rate: float | None, starts: Sequence[int] = (0,)) -> None:
        self.name = name
        self.rate = rate
        self.channels = int(samples.shape[1])
        self._samples = samples
        self._at = 0
        self._ends = [*starts[1:], len(samples)]  # of this recording and those after it

    def read(self, count: int) -> FloatArray:
        start = self._at
        self._at = min(start + count, self._ends[0])
        return self._samples[start : self._at]

    def next_recording(self) -> bool:
        if len(self._ends) == 1:
            return False
        self._at = self._ends.pop(0)
        return True

    def close(self) -> None:
        pass
