"""Streams samples through a network on a board: reads a source, feeds the board's ring, takes its answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.link.layout import TensorLayout
from smidgen.stream.backlog import Backlog, Batch
from smidgen.stream.board_ring import LARGEST_RING_BYTES, WAITING_WINDOWS, Answer
from smidgen.stream.preprocessing import Preprocessing, Preprocessor
from smidgen.stream.source import Source
from smidgen.stream.timing import StreamTiming

Int8Array = NDArray[np.int8]
_BLOCK_SECONDS = 0.02  # of samples that are read at once
_BLOCK_SAMPLES = 256  # where the rate is not known, or time does not matter


class Ring(Protocol):
    """See `BoardRing`."""

    def feed(self, rows: Int8Array) -> Answer: ...

    def skip(self, frames: int) -> None: ...

    def restart(self) -> None: ...


@dataclass(frozen=True)
class WindowPlan:
    """In frames of `width` numbers: a window, from one window to the next, and what the board's ring holds."""

    width: int
    window: int
    hop: int
    capacity: int


def plan_windows(shape: Sequence[int], width: int, window: int | None = None, hop: int | None = None) -> WindowPlan:
    """For a model's input of this shape. window: only to be checked. hop: by default half a window."""
    elements = prod(shape)
    if elements % width:
        raise InputError(
            f"the model's input has {elements} elements (shape {list(shape)}), which are not a whole number of "
            f"frames of {width}: does the source have the channels that the model was trained with?"
        )
    if width > 1 and width not in _row_lengths(shape):
        raise InputError(
            f"the model's input has the shape {list(shape)}, and frames of {width} numbers do not fill its rows: "
            f"does the source have the channels that the model was trained with?"
        )
    frames = elements // width
    if window is not None and window != frames:
        raise InputError(f"the model's window has {frames} frames of {width}, not {window}: leave --window away")
    hop = max(1, frames // 2) if hop is None else hop
    if hop < 1:
        raise InputError(f"a hop is at least one frame, not {hop}")
    if hop > (largest := max(1, (LARGEST_RING_BYTES // width - frames) // WAITING_WINDOWS)):
        raise InputError(
            f"a hop of {hop} frames is too long: with frames of {width} numbers at most {largest} are possible; "
            f"take a smaller --hop"
        )
    return WindowPlan(width, frames, hop, frames + WAITING_WINDOWS * hop)


def require_possible(shape: Sequence[int], window: int | None, hop: int | None) -> None:
    """Raise InputError for what `plan_windows` would refuse however many numbers a frame has."""
    elements = prod(shape)
    if window is not None and elements % window:
        raise InputError(
            f"the model's input has {elements} elements, which are not a window of {window} frames: leave --window away"
        )
    plan_windows(shape, 1, hop=hop)


def require_rate(source: Source) -> None:
    """Raise InputError for a source that cannot be streamed in real time."""
    if source.rate is None:
        raise InputError(f"{source.name} does not say how many samples a second it has: give --rate")


def _row_lengths(shape: Sequence[int]) -> set[int]:
    """Elements that belong to one instant, if a tensor of this shape has time before all else; any, if it is flat."""
    dimensions = [dimension for dimension in shape if dimension > 1]
    if len(dimensions) < 2:
        return set(range(1, prod(dimensions) + 1))
    return {prod(dimensions[start:]) for start in range(len(dimensions))}


@dataclass(frozen=True)
class AnsweredWindow:
    """rows: what the board saw, int8 [frames, width]. dropped: windows until now.

    latency: seconds from the window's last sample to its answer; None where samples do not come in real time.
    """

    number: int
    outputs: list[Int8Array]
    microseconds: int
    latency: float | None
    dropped: int
    rows: Int8Array


Show = Callable[[AnsweredWindow], None]


class Streamer:
    """One stream. realtime: samples are sent when they are due, and dropped when the board is late; else as fast as the
    board takes them, and none is lost. Each recording of the source is streamed as if it were alone, one after the
    other: no window has samples of two. Windows are numbered throughout."""

    def __init__(
        self,
        source: Source,
        preprocessing: Preprocessing,
        tensor: TensorLayout,
        plan: WindowPlan,
        ring: Ring,
        *,
        realtime: bool,
    ) -> None:
        if realtime:
            require_rate(source)
        self._source = source
        self._preprocessing = preprocessing
        self._tensor = tensor
        self._plan = plan
        self._ring = ring
        self._realtime = realtime
        rate = preprocessing.frame_rate(source.rate) if source.rate else None
        self.timing = StreamTiming(plan.hop / rate if rate and realtime else None)
        self._limit: int | None = None  # windows
        self._begin()

    def _begin(self) -> None:
        """Make ready for a recording."""
        self._preprocessor = Preprocessor(self._preprocessing)
        self._backlog = Backlog(self._plan.width, self._plan.capacity, lossless=not self._realtime)
        self._sent = 0  # frames
        self._expected = 0  # window
        self._recent = np.zeros((0, self._plan.width), np.int8)  # the frames last sent
        self._dropped_before = self.timing.dropped  # windows of the recordings before it
        self._windows_before = self.timing.answered + self.timing.dropped

    def run(self, show: Show | None = None, limit: int | None = None) -> None:
        """Until the source ends, or `limit` windows are answered. `timing` says what was measured, after Ctrl-C too."""
        self._limit = limit
        self.timing.start()
        try:
            self._run_recording(show)
            while self._wants_more() and self._source.next_recording():
                self._ring.restart()
                self._begin()
                self._run_recording(show)
        finally:
            self.timing.stop()

    def _run_recording(self, show: Show | None) -> None:
        reader = threading.Thread(target=self._read, name="source", daemon=True)
        reader.start()
        try:
            while self._wants_more() and self._step(show):
                pass
        finally:
            self._backlog.end()

    def _step(self, show: Show | None) -> bool:
        """Feed what completes a window, or a part of it, until no complete window waits. False at the end."""
        missing = max(1, self._expected * self._plan.hop + self._plan.window - self._sent)
        if self._realtime:
            batch = self._backlog.take(min(missing, max(1, self._plan.hop // 4)), self._plan.capacity)
        else:
            batch = self._backlog.take(missing, missing)
        while batch is not None and self._feed(batch, show) and self._wants_more():
            batch = self._backlog.take(0, self._plan.capacity if self._realtime else 0)
        return batch is not None

    def _wants_more(self) -> bool:
        return self._limit is None or self.timing.answered < self._limit

    def _feed(self, batch: Batch, show: Show | None) -> bool:
        """Whether complete windows wait on the board."""
        begun = time.monotonic()
        if batch.skipped:
            self._ring.skip(batch.skipped)
            self._remember(np.zeros((batch.skipped, self._plan.width), np.int8))
        answer = self._ring.feed(batch.rows)
        dropped = self._dropped_before + answer.dropped
        self.timing.requested(time.monotonic() - begun, len(batch.rows), batch.skipped, dropped)
        self._remember(batch.rows)
        if answer.window is not None:
            self._expected = answer.window + 1
            self._answered(answer, show)
        return answer.waiting > 0

    def _answered(self, answer: Answer, show: Show | None) -> None:
        assert answer.window is not None
        start = answer.window * self._plan.hop
        end = start + self._plan.window
        latency = time.monotonic() - self._backlog.arrival(end) if self._realtime else None
        self.timing.answer(answer.microseconds, latency)
        first = self._sent - len(self._recent)
        rows = self._recent[start - first : end - first]
        if show is not None:
            number = self._windows_before + answer.window
            show(AnsweredWindow(number, answer.outputs, answer.microseconds, latency, self.timing.dropped, rows))

    def _remember(self, rows: Int8Array) -> None:
        self._sent += len(rows)
        self._recent = np.concatenate((self._recent, rows))[-(self._plan.capacity + self._plan.hop) :]

    def _read(self) -> None:
        """The thread of the source."""
        try:
            self._read_all()
            self._backlog.end()
        except BaseException as error:
            self._backlog.end(error)

    def _read_all(self) -> None:
        rate = self._source.rate
        block = max(1, round(rate * _BLOCK_SECONDS)) if rate and self._realtime else _BLOCK_SAMPLES
        began = time.monotonic()
        count = 0
        while True:
            samples = self._source.read(block)
            if not len(samples):
                return
            count += len(samples)
            if self._realtime and rate and not self._source.is_live:
                time.sleep(max(0.0, began + count / rate - time.monotonic()))
            frames = self._preprocessor.frames(samples)
            if len(frames) and not self._backlog.put(self._tensor.quantize(frames)):
                return
