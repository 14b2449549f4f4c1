"""Frames that wait to be sent, between the thread that reads a source and the one that talks to the board."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int8Array = NDArray[np.int8]


@dataclass(frozen=True)
class Batch:
    """rows: int8 [frames, width]. skipped: frames before them that were discarded because nobody took them in time."""

    rows: Int8Array
    skipped: int


class Backlog:
    """limit: frames. With lossless, `put` waits when it is full; else the oldest frames are discarded and counted."""

    def __init__(self, width: int, limit: int, *, lossless: bool) -> None:
        self._limit = limit
        self._lossless = lossless
        self._rows = np.zeros((0, width), np.int8)
        self._skipped = 0
        self._put = 0  # frames since the start
        self._arrivals: deque[tuple[int, float]] = deque()  # (frames put until then, when)
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, rows: Int8Array) -> bool:
        """False when nobody will take them any more."""
        with self._changed:
            while self._lossless and len(self._rows) >= self._limit and not self._ended:
                self._changed.wait()
            if self._ended:
                return False
            self._rows = np.concatenate((self._rows, rows))
            self._put += len(rows)
            self._arrivals.append((self._put, time.monotonic()))
            excess = 0 if self._lossless else len(self._rows) - self._limit
            if excess > 0:
                self._rows = self._rows[excess:]
                self._skipped += excess
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes, or is wanted. error: raised by `take` once it has given what is left."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()

    def take(self, minimum: int, maximum: int) -> Batch | None:
        """From minimum to maximum frames, fewer at the end; waits for them. None after the last."""
        with self._changed:
            while len(self._rows) < minimum and not self._ended:
                self._changed.wait()
            if self._ended and not len(self._rows) and not self._skipped and minimum:
                if self._error:
                    raise self._error
                return None
            batch = Batch(self._rows[:maximum], self._skipped)
            self._rows = self._rows[maximum:]
            self._skipped = 0
            self._changed.notify_all()
            return batch

    def arrival(self, frames: int) -> float:
        """When so many frames had come, on the clock of time.monotonic(). To be asked in rising order."""
        with self._changed:
            while len(self._arrivals) > 1 and self._arrivals[0][0] < frames:
                self._arrivals.popleft()
            return self._arrivals[0][1]
