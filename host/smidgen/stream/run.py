"""One stream from beginning to end: opens the source, the board and the model, and says what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.blob.reader import read_blob_file
from smidgen.errors import InputError
from smidgen.link.session import Board, connect
from smidgen.link.speed import LineLimit, line_limit
from smidgen.network import NetworkTensor
from smidgen.samples import dequantize
from smidgen.stream.board_ring import BoardRing
from smidgen.stream.preprocessing import Preprocessing, parse_preprocessing
from smidgen.stream.sensor import BoardSensor, SensorStreamer, is_board_source, parse_sensor, require_raw
from smidgen.stream.session import (
    AnsweredWindow,
    Streamer,
    WindowPlan,
    plan_windows,
    require_possible,
    require_rate,
)
from smidgen.stream.source import Source
from smidgen.stream.specification import open_source
from smidgen.stream.timing import StreamTiming

_BAUDRATE = 115_200  # of `connect`


@dataclass(frozen=True)
class StreamOptions:
    """window: only checked. hop: in frames; None: half a window. realtime: see Streamer. limit: windows.

    rate, encoding, channels: as for `open_source`.
    """

    window: int | None = None
    hop: int | None = None
    realtime: bool = True
    limit: int | None = None
    rate: float | None = None
    encoding: str = "int16"
    channels: int = 1


@dataclass(frozen=True)
class LiveWindow:
    """scores: real values of the first output. signal: of each frame, the first channel or the mean of the features."""

    answer: AnsweredWindow
    scores: list[float]
    label: str
    signal: list[float]
    timing: StreamTiming
    names: list[str] | None  # of the classes

    def name(self, index: int) -> str:
        """Of a class."""
        return self.names[index] if self.names else f"element {index}"


@dataclass(frozen=True)
class StreamResult:
    """labels: how often each was the best. line_bytes: sent to the board over the link in the stream."""

    port: str
    source: str
    plan: WindowPlan
    timing: StreamTiming
    labels: dict[str, int]
    line_bytes: int
    limit: LineLimit | None
    partial: bool
    lost: int  # by the source, see there; a sensor's are among the frames that were skipped

    @property
    def line_share(self) -> float | None:
        """Of what the line can carry, 0 to 1; None where that is not known."""
        if self.limit is None or self.timing.seconds <= 0:
            return None
        return self.line_bytes / self.timing.seconds / self.limit.bytes_per_second

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        share = self.line_share
        return {
            "port": self.port,
            "source": self.source,
            "window_frames": self.plan.window,
            "hop_frames": self.plan.hop,
            "frame_width": self.plan.width,
            **self.timing.as_dict(),
            "labels": self.labels,
            "line_bytes": self.line_bytes,
            "line_share": None if share is None else round(share, 4),
            "lost": self.lost,
            "partial": self.partial,
        }


def run_stream(
    blob_path: str | Path,
    source: str,
    port: str | None = None,
    options: StreamOptions = StreamOptions(),
    *,
    begin: Callable[[], None] | None = None,
    show: Callable[[LiveWindow], None] | None = None,
) -> StreamResult:
    """Stream `source` (as for `open_source`, or board:...) through the blob on the board on `port`, as for `connect`.

    begin: called when all is ready, before the first sample. show: called after each window. Ctrl-C ends the stream:
    the result then has `partial` set. Raises InputError, BlobError, BoardError.
    """
    blob, data = read_blob_file(blob_path), Path(blob_path).read_bytes()
    if blob.network.input_count != 1:
        raise InputError(f"{blob_path} has {blob.network.input_count} inputs; a stream fills one")
    preprocessing = parse_preprocessing(blob.metadata.get("preprocessing"))
    viewer = _Viewer(blob.network.tensors[1], blob.metadata.get("labels"), begin, show)
    if is_board_source(source):
        require_possible(blob.network.tensors[0].shape, options.window, options.hop)
        parse_sensor(source)
        require_raw(preprocessing)
        with connect(port) as board:
            board.install()
            model = board.load(data)
            sensor = BoardSensor(board, source)
            plan = _plan(blob.network.tensors[0], preprocessing, sensor, options)
            sensor_stream = SensorStreamer(sensor, preprocessing, model, plan)
            return _carry_out(board, sensor_stream, plan, sensor, viewer, options.limit)
    with closing(open_source(source, options.rate, options.encoding, options.channels)) as opened:
        # Before the board is bothered:
        plan = _plan(blob.network.tensors[0], preprocessing, opened, options)
        realtime = options.realtime or not opened.can_wait
        if realtime:
            require_rate(opened)
        with connect(port) as board:
            board.install()
            model = board.load(data)
            ring = BoardRing(board, model, plan.width, plan.hop, plan.capacity)
            stream = Streamer(opened, preprocessing, model.inputs[0], plan, ring, realtime=realtime)
            return _carry_out(board, stream, plan, opened, viewer, options.limit)


def _carry_out(
    board: Board,
    stream: Streamer | SensorStreamer,
    plan: WindowPlan,
    source: Source,
    viewer: _Viewer,
    limit: int | None,
) -> StreamResult:
    before = board.link_statistics.bytes_sent
    partial = False
    viewer.timing = stream.timing
    viewer.begin()
    try:
        stream.run(viewer.show, limit)
    except KeyboardInterrupt:
        partial = True
    return StreamResult(
        board.port,
        source.name,
        plan,
        stream.timing,
        dict(viewer.counts),
        board.link_statistics.bytes_sent - before,
        line_limit(board.port, _BAUDRATE),
        partial,
        source.lost,
    )


def _plan(tensor: NetworkTensor, preprocessing: Preprocessing, source: Source, options: StreamOptions) -> WindowPlan:
    """Raises InputError if model, preprocessing and source do not go together."""
    if source.rate is not None:
        preprocessing.frame_rate(source.rate)
    return plan_windows(tensor.shape, preprocessing.width(source.channels), options.window, options.hop)


class _Viewer:
    """Turns answers into labels and scores, and counts them."""

    def __init__(
        self,
        output: NetworkTensor,
        labels: list[str] | None,
        begin: Callable[[], None] | None,
        show: Callable[[LiveWindow], None] | None,
    ) -> None:
        self._output = output
        self._labels = labels
        self._begin = begin
        self._show = show
        self.counts: Counter[str] = Counter()
        self.timing = StreamTiming(None)

    def begin(self) -> None:
        if self._begin is not None:
            self._begin()

    def show(self, answer: AnsweredWindow) -> None:
        row = answer.outputs[0].reshape(-1)
        best = int(row.argmax())
        label = self._labels[best] if self._labels else f"element {best}"
        self.counts[label] += 1
        if self._show is not None:
            scores = dequantize(row, self._output.scale, self._output.zero_point)
            signal = np.asarray(answer.rows, np.float64).mean(axis=1)
            self._show(LiveWindow(answer, scores.tolist(), label, signal.tolist(), self.timing, self._labels))
