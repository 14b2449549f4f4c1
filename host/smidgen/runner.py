"""Runs a blob on a port: on a board, real or virtual, or on this computer with the NumPy reference (`host`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob_file
from smidgen.errors import InputError
from smidgen.link.board_model import BoardModel
from smidgen.link.session import connect
from smidgen.network import Network
from smidgen.ports.names import resolve
from smidgen.reference import run_network, run_steps
from smidgen.samples import dequantize, load_inputs

Int8Array = NDArray[np.int8]
HOST = "host"


class Runner(Protocol):
    """Runs one loaded network."""

    @property
    def last_microseconds(self) -> int | None:
        """Of the last run, measured where it ran; None where that says nothing."""

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        """Outputs for one set of inputs."""

    def output_after(self, operator: int, inputs: Sequence[Int8Array]) -> Int8Array:
        """What operator number `operator` writes for these inputs."""


class HostRunner:
    """The NumPy reference. Its time says nothing about a board, so it reports none."""

    last_microseconds: int | None = None

    def __init__(self, network: Network) -> None:
        self._network = network

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        return run_network(self._network, inputs)

    def output_after(self, operator: int, inputs: Sequence[Int8Array]) -> Int8Array:
        for index, step, values in run_steps(self._network, inputs):
            if index == operator:
                result: Int8Array = values[step.output].copy()
                return result
        raise IndexError(f"there is no operator {operator}")


class BoardRunner:
    """The engine on a board."""

    def __init__(self, model: BoardModel, network: Network) -> None:
        self._model, self._network = model, network

    @property
    def last_microseconds(self) -> int | None:
        return self._model.last_microseconds

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        return self._model.run(*inputs)

    def output_after(self, operator: int, inputs: Sequence[Int8Array]) -> Int8Array:
        return self._model.tensor(self._network.operators[operator].output, *inputs)


def find_port(port: str) -> str:
    """The port that a name stands for (`ports.resolve`); `host` stands for itself."""
    return HOST if port == HOST else resolve(port)


@contextmanager
def open_runner(blob: Blob, data: bytes, port: str, *, heap_bytes: int | None = None) -> Iterator[Runner]:
    """A runner for `blob` (whose bytes are `data`) on `port`; smidgen is installed there unless it is already."""
    if port == HOST:
        if heap_bytes is not None:
            raise InputError("a heap size is for virtual boards, not for the host")
        yield HostRunner(blob.network)
        return
    with connect(port, heap_bytes=heap_bytes) as board:
        board.install()
        yield BoardRunner(board.load(data), blob.network)


@dataclass(frozen=True)
class RunResult:
    """Outputs by output tensor: int8 [samples, *shape], and the same as real values."""

    port: str
    outputs: list[Int8Array]
    scores: list[NDArray[np.float32]]
    microseconds: list[int]  # by sample; empty on `host`
    labels: list[str] | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Outputs are flattened by sample; times in microseconds, measured on the board."""
        return {
            "port": self.port,
            "samples": len(self.outputs[0]),
            "outputs": [[sample.reshape(-1).tolist() for sample in output] for output in self.outputs],
            "scores": [[[round(float(v), 6) for v in sample.reshape(-1)] for sample in score] for score in self.scores],
            "labels": self.labels,
            "microseconds": self.microseconds,
        }


def run_file(
    path: str | Path, inputs: str | Path, port: str, *, heap_bytes: int | None = None, progress: Any = None
) -> RunResult:
    """Run the blob at `path` on every sample of the array file `inputs`; see `samples.load_inputs` for the formats.

    progress: called with (done, total) after each sample.
    """
    blob, data = read_blob_file(path), Path(path).read_bytes()
    samples = load_inputs(inputs, blob.network)
    port = find_port(port)
    rows, times = [], []
    with open_runner(blob, data, port, heap_bytes=heap_bytes) as runner:
        for number, sample in enumerate(samples):
            rows.append(runner.run(sample))
            if runner.last_microseconds is not None:
                times.append(runner.last_microseconds)
            if progress is not None:
                progress(number + 1, len(samples))
    outputs = [np.stack(column) for column in zip(*rows, strict=True)]
    tensors = [blob.network.tensors[index] for index in blob.network.outputs]
    scores = [
        dequantize(output, tensor.scale, tensor.zero_point) for output, tensor in zip(outputs, tensors, strict=True)
    ]
    return RunResult(port, outputs, scores, times, blob.metadata.get("labels"))
