"""Compares a blob on a board with the host reference, operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.reader import read_blob_file
from smidgen.errors import InputError
from smidgen.network import Network
from smidgen.reference import run_steps
from smidgen.runner import HOST, Runner, find_port, open_runner
from smidgen.samples import load_inputs

Int8Array = NDArray[np.int8]
Progress = Callable[[int, int], None]  # operators compared, operators in all


@dataclass(frozen=True)
class ElementDifference:
    """position: index of the element in each dimension; the values are int8."""

    position: tuple[int, ...]
    board: int
    reference: int


@dataclass(frozen=True)
class TensorErrors:
    """Board minus reference, in steps of the int8 values. first: in row-major order, None if none differs."""

    differing: int
    first: ElementDifference | None
    max_abs: int
    mean_abs: float
    rmse: float


@dataclass(frozen=True)
class OperatorComparison:
    """What an operator wrote on the board and in the reference, each of which ran on its own results from the input on.

    parts: operators before it that fill the same tensor (a CONCATENATION is done part by part); it is compared when it
    is complete. inputs_equal: whether all that these operators read is the same on both sides. A step of the tensor is
    worth `scale` in real units.
    """

    index: int
    name: str
    parts: tuple[int, ...]
    tensor: int
    shape: tuple[int, ...]
    scale: float
    inputs_equal: bool
    errors: TensorErrors

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape))

    @property
    def is_equal(self) -> bool:
        return self.errors.differing == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON: errors in steps, and in real units."""
        errors = asdict(self.errors)
        real = {name: errors[name] * self.scale for name in ("max_abs", "mean_abs", "rmse")}
        return {**asdict(self), "elements": self.elements, "errors": errors, "real_errors": real}


@dataclass(frozen=True, eq=False)
class Comparison:
    """All operators, for one sample. values: what the board has and what the reference has, by operator."""

    port: str
    sample: int
    operators: list[OperatorComparison]
    values: Mapping[int, tuple[Int8Array, Int8Array]]

    @property
    def first_difference(self) -> OperatorComparison | None:
        return next((row for row in self.operators if not row.is_equal), None)

    @property
    def is_equal(self) -> bool:
        return self.first_difference is None

    def operator(self, index: int) -> OperatorComparison:
        """The row of an operator; of the one that completes the tensor, for one that fills a part of it."""
        for row in self.operators:
            if index in (*row.parts, row.index):
                return row
        raise _no_operator(index, self.operators[-1].index + 1)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the values."""
        first = self.first_difference
        return {
            "port": self.port,
            "sample": self.sample,
            "equal": self.is_equal,
            "first_difference": None if first is None else first.index,
            "operators": [row.as_dict() for row in self.operators],
        }


def compare_operators(
    path: str | Path,
    inputs: str | Path,
    port: str,
    *,
    sample: int = 0,
    operator: int | None = None,
    heap_bytes: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run the blob at `path` on sample number `sample` of the array file `inputs`, on the board and in the reference.

    operator: one that will be asked for afterwards; InputError if there is none, before the board is opened.
    The board runs once for every operator, because its memory does not keep all tensors. Raises InputError when there
    is no such sample, or no board; `samples.load_inputs` says which files are taken.
    """
    if port == HOST:
        raise InputError(f"{HOST!r} is the reference itself: name a board to compare with it (--port)")
    blob = read_blob_file(path)
    samples = load_inputs(inputs, blob.network)
    if not 0 <= sample < len(samples):
        raise InputError(f"there is no sample {sample} in {inputs}: it has 0 to {len(samples) - 1}")
    if operator is not None and not 0 <= operator < len(blob.network.operators):
        raise _no_operator(operator, len(blob.network.operators))
    port = find_port(port)
    with open_runner(blob, Path(path).read_bytes(), port, heap_bytes=heap_bytes) as runner:
        rows, values = compare_network(blob.network, runner, samples[sample], progress)
    return Comparison(port, sample, rows, values)


def compare_network(
    network: Network, runner: Runner, inputs: Sequence[Int8Array], progress: Progress | None = None
) -> tuple[list[OperatorComparison], dict[int, tuple[Int8Array, Int8Array]]]:
    """A row for each tensor that is written, and the values of board and reference by operator. inputs: one sample."""
    writers = _writers(network)
    different: set[int] = set()
    rows: list[OperatorComparison] = []
    values: dict[int, tuple[Int8Array, Int8Array]] = {}
    for index, operator, computed in run_steps(network, inputs):
        *parts, last = writers[operator.output]
        if index == last:
            reference = computed[operator.output].copy()
            board = runner.output_after(index, inputs).reshape(reference.shape)
            errors = tensor_errors(board, reference)
            read = {tensor for writer in (*parts, last) for tensor in network.operators[writer].inputs}
            tensor = network.tensors[operator.output]
            rows.append(
                OperatorComparison(
                    index, operator.kind.name, tuple(parts), operator.output, tensor.shape, tensor.scale,
                    inputs_equal=not read & different, errors=errors,
                )
            )  # fmt: skip
            values[index] = board, reference
            if errors.differing:
                different.add(operator.output)
        if progress is not None:
            progress(index + 1, len(network.operators))
    return rows, values


def tensor_errors(board: Int8Array, reference: Int8Array) -> TensorErrors:
    """How two tensors of one shape differ."""
    difference = board.astype(np.int64) - reference.astype(np.int64)
    places = np.argwhere(difference)
    first = None
    if len(places):
        position = tuple(int(coordinate) for coordinate in places[0])
        first = ElementDifference(position, int(board[position]), int(reference[position]))
    distance = np.abs(difference)
    return TensorErrors(
        differing=len(places),
        first=first,
        max_abs=int(distance.max()),
        mean_abs=float(distance.mean()),
        rmse=float(np.sqrt(np.mean(np.square(difference)))),
    )


def _no_operator(index: int, count: int) -> InputError:
    return InputError(f"there is no operator {index}: the model has 0 to {count - 1}")


def _writers(network: Network) -> dict[int, list[int]]:
    """Operators that write each tensor, in their order."""
    writers: dict[int, list[int]] = {}
    for index, operator in enumerate(network.operators):
        writers.setdefault(operator.output, []).append(index)
    return writers
