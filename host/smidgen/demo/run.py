"""Runs the exercise network on windows of people it has never seen, in float, in the reference, and on a board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.reader import read_blob
from smidgen.demo import recordings as data
from smidgen.errors import BoardError
from smidgen.formats.tflite_reader import parse_tflite
from smidgen.graph import Graph
from smidgen.link.board_model import BoardModel
from smidgen.link.session import connect
from smidgen.network import Network
from smidgen.packer import pack_graph, quantizing
from smidgen.passes import simplify
from smidgen.plan.optimize import Goal
from smidgen.quantize import quantize
from smidgen.reference import run_network
from smidgen.reference.float_executor import run_float
from smidgen.samples import dequantize, prepare

MODEL_FILE = "imu_exercises.tflite"
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class LiveWindow:
    """One window, as the board has just answered it."""

    number: int
    total: int
    truth: str
    predicted: str
    score: float  # of the predicted class, 0 .. 1
    microseconds: int  # of the inference, measured on the board
    correct_so_far: int


@dataclass(frozen=True)
class DemoResult:
    """Accuracies are fractions of `windows`; sizes in bytes; times in microseconds, measured on the board."""

    port: str
    board: str
    windows: int
    test_subjects: list[int]
    accuracy_float: float
    accuracy_host: float
    accuracy_board: float
    exact_windows: int  # windows whose every output element is the same on the board and in the reference
    float_bytes: int  # of the weights as float32
    blob_bytes: int
    arena_bytes: int
    macs: int
    median_microseconds: float
    p95_microseconds: float

    @property
    def is_exact(self) -> bool:
        return self.exact_windows == self.windows

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def float_model() -> Graph:
    """The trained float network that comes with smidgen (examples/imu_exercises/train.py makes it)."""
    return parse_tflite(resources.files("smidgen.demo").joinpath(MODEL_FILE).read_bytes(), MODEL_FILE)


def run_demo(
    port: str = "sim:unix",
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    show: Callable[[LiveWindow], None] | None = None,
) -> DemoResult:
    """Everything from the float network to the board's answers.

    limit: at most so many windows, evenly spread. show: called after each window with what the board said.
    Raises InputError when the recordings are not installed, BoardError when the board fails.
    """
    split = data.split_by_subject(data.load_recordings())
    windows, labels = data.cut_windows(split.test)
    if limit is not None and limit < len(windows):
        chosen = np.linspace(0, len(windows) - 1, limit).round().astype(int)
        windows, labels = windows[chosen], labels[chosen]
    graph = simplify(float_model())
    float_scores = run_float(graph, {graph.inputs[0]: windows[:, np.newaxis]})[graph.outputs[0]]
    calibration = data.cut_windows(split.calibration)[0][:, np.newaxis]
    quantized = quantize(graph, calibration, progress=quantizing(progress))
    blob_bytes = pack_graph(quantized, {"labels": list(data.LABELS)}, optimize=Goal.BALANCED)
    blob = read_blob(blob_bytes)
    samples = prepare(windows, blob.network, 0)
    reference = _run_reference(blob.network, samples, progress)
    with connect(port) as board:
        board.install()
        model = board.load(blob_bytes)
        outputs, times = _stream(model, samples, labels, show)
        info = board.hello()
    float_bytes = sum(4 * tensor.elements for tensor in graph.tensors.values() if tensor.is_constant)
    return DemoResult(
        port=port,
        board=f"{info.machine}, MicroPython {info.version}",
        windows=len(windows),
        test_subjects=list(data.TEST_SUBJECTS),
        accuracy_float=_accuracy(float_scores, labels),
        accuracy_host=_accuracy(reference, labels),
        accuracy_board=_accuracy(outputs, labels),
        exact_windows=int(np.sum(np.all(outputs == reference, axis=1))),
        float_bytes=float_bytes,
        blob_bytes=len(blob_bytes),
        arena_bytes=blob.arena_bytes,
        macs=sum(blob.network.macs(operator) for operator in blob.network.operators),
        median_microseconds=float(np.median(times)),
        p95_microseconds=float(np.percentile(times, 95)),
    )


def _run_reference(network: Network, samples: NDArray[np.int8], progress: Progress | None) -> NDArray[np.int8]:
    rows = []
    for number, sample in enumerate(samples):
        rows.append(run_network(network, [sample])[0].reshape(-1))
        if progress is not None:
            progress("running the host reference", number + 1, len(samples))
    return np.stack(rows)


def _stream(
    model: BoardModel, samples: NDArray[np.int8], labels: NDArray[np.int64], show: Callable[[LiveWindow], None] | None
) -> tuple[NDArray[np.int8], list[int]]:
    """Send window by window; the board's outputs and the durations of its inferences."""
    tensor = model.outputs[0]
    rows, times, correct = [], [], 0
    for number, sample in enumerate(samples):
        row = model.run(sample)[0].reshape(-1)
        if model.last_microseconds is None:
            raise BoardError("the board did not say how long the inference took")
        rows.append(row)
        times.append(model.last_microseconds)
        best = int(row.argmax())
        correct += best == labels[number]
        if show is not None:
            score = float(dequantize(row, tensor.scale, tensor.zero_point)[best])
            truth = data.LABELS[labels[number]]
            show(LiveWindow(number + 1, len(samples), truth, data.LABELS[best], score, times[-1], correct))
    return np.stack(rows), times


def _accuracy(scores: NDArray[Any], labels: NDArray[np.int64]) -> float:
    return float(np.mean(scores.reshape(len(labels), -1).argmax(axis=1) == labels))
