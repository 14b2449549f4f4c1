"""Verification finds the operator that goes wrong, and refuses a model the blob was not made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen import verify
from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob_file
from smidgen.errors import InputError
from smidgen.formats.tflite_writer import write_tflite
from smidgen.network import Kind, Network
from smidgen.packer import pack_graph
from smidgen.reference import run_network, run_steps

Int8Array = Any
SAMPLES = np.random.default_rng(3).integers(-20, 20, (4, 1, 6)).astype(np.int8)


class WrongRunner:
    """A port on which the result of one operator is off by two in its first element, and everything after it runs on.

    As on a board, a tensor is looked at when the last operator that writes it has run.
    """

    last_microseconds: int | None = None

    def __init__(self, network: Network, wrong: int | None, bad_runs: Sequence[int] = ()) -> None:
        self.network, self.wrong, self.bad_runs = network, wrong, bad_runs
        self.runs = 0

    def _tensors(self, inputs: Sequence[Int8Array], until: int, wrong: int | None) -> dict[int, Int8Array]:
        values: dict[int, Int8Array] = {}
        for index, operator, values in run_steps(self.network, inputs):
            if index == wrong:
                values[operator.output].reshape(-1)[0] ^= 2
            if index == until:
                break
        return values

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        wrong = self.wrong if not self.bad_runs or self.runs in self.bad_runs else None
        self.runs += 1
        values = self._tensors(inputs, len(self.network.operators) - 1, wrong)
        return [values[index] for index in self.network.outputs]

    def output_after(self, operator: int, inputs: Sequence[Int8Array]) -> Int8Array:
        tensor = self.network.operators[operator].output
        last = max(index for index, step in enumerate(self.network.operators) if step.output == tensor)
        return self._tensors(inputs, last, self.wrong)[tensor]


def _graph(outputs: int = 4) -> g.Graph:
    """MUL by a constant, CONCATENATION (two COPY) with the input, FULLY_CONNECTED, LOGISTIC."""
    b = GraphBuilder()
    for name, size, scale in (("x", 6, 0.1), ("m", 6, 0.1), ("c", 12, 0.1), ("f", outputs, 0.05)):
        b.tensor(name, (1, size), scale)
    b.tensor("y", (1, outputs), 1 / 256, -128)
    b.append(g.Mul(["x", b.constant("k", np.full((1, 6), 90, np.int8), 0.01)], "m"))
    b.append(g.Concatenation(["m", "x"], "c", axis=1))
    weights = np.random.default_rng(1).integers(60, 128, (outputs, 12)).astype(np.int8)
    b.append(g.FullyConnected(["c"], "f", weights=b.constant("w", weights, 0.004)))
    b.append(g.Logistic(["f"], "y"))
    return b.finish(["x"], ["y"])


KINDS = [Kind.MUL, Kind.COPY, Kind.COPY, Kind.FULLY_CONNECTED, Kind.LOOKUP]


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "model.smg"
    path.write_bytes(pack_graph(_graph()))
    assert [operator.kind for operator in read_blob_file(path).network.operators] == KINDS
    return path


@pytest.fixture
def golden(blob: Path, tmp_path: Path) -> Path:
    path = tmp_path / "golden.npz"
    network = read_blob_file(blob).network
    outputs = np.stack([run_network(network, [sample])[0] for sample in SAMPLES])
    np.savez(path, input=SAMPLES, output=outputs)
    return path


def _use(monkeypatch: pytest.MonkeyPatch, wrong: int | None, bad_runs: Sequence[int] = ()) -> None:
    @contextmanager
    def open_runner(blob: Blob, data: bytes, port: str, **options: Any) -> Iterator[WrongRunner]:
        yield WrongRunner(blob.network, wrong, bad_runs)

    monkeypatch.setattr(verify, "open_runner", open_runner)


def test_right_results_are_exact(blob: Path, golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, None)
    result = verify.verify_golden(blob, golden)
    assert result.is_exact
    assert (result.inputs, result.exact, result.max_abs_diff, result.first_difference) == (4, 4, 0, None)


@pytest.mark.parametrize("wrong", [0, 2, 3, 4])
def test_a_wrong_result_is_traced_to_its_operator(
    blob: Path, golden: Path, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """Not to operators before it, one of which fills half a tensor, nor to those after it that use its result."""
    _use(monkeypatch, wrong)
    result = verify.verify_golden(blob, golden)
    first = result.first_difference
    assert not result.is_exact
    assert first is not None
    network = read_blob_file(blob).network
    assert (first.input, first.operator, first.operator_name) == (0, wrong, KINDS[wrong].name)
    assert (first.tensor, first.elements, first.max_abs_diff) == (network.operators[wrong].output, 1, 2)


def test_a_part_of_a_tensor_is_judged_when_the_tensor_is_complete(
    blob: Path, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, 1)
    first = verify.verify_golden(blob, golden).first_difference
    assert first is not None
    assert (first.operator, first.elements, first.max_abs_diff) == (2, 1, 2)


def test_the_first_wrong_input_is_the_one_that_is_traced(
    blob: Path, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, 4, bad_runs=[1, 3])
    seen: list[tuple[int, int]] = []
    result = verify.verify_golden(blob, golden, progress=lambda done, total: seen.append((done, total)))
    assert (result.inputs, result.exact, result.max_abs_diff) == (4, 2, 2)
    assert result.first_difference is not None
    assert result.first_difference.input == 1
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_wrong_expectation_is_no_operators_fault(blob: Path, golden: Path) -> None:
    arrays = dict(np.load(golden))
    arrays["output"][2, 0, 1] ^= 4
    np.savez(golden, **arrays)
    result = verify.verify_golden(blob, golden)
    assert result.exact == 3
    assert result.first_difference == verify.Difference(2, None, "", None, 1, 4)


def _files(tmp_path: Path, graph: g.Graph) -> tuple[Path, Path]:
    model, inputs = tmp_path / "model.tflite", tmp_path / "inputs.npy"
    model.write_bytes(write_tflite(graph))
    np.save(inputs, SAMPLES)
    return model, inputs


def test_against_the_model(blob: Path, tmp_path: Path) -> None:
    assert verify.verify_against(blob, *_files(tmp_path, _graph())).is_exact


@pytest.mark.parametrize("outputs", [1, 3, 8])
def test_a_model_with_other_outputs_is_refused(blob: Path, tmp_path: Path, outputs: int) -> None:
    message = rf"is another model: its outputs have \[{outputs}\] elements, the blob's \[4\]"
    with pytest.raises(InputError, match=message):
        verify.verify_against(blob, *_files(tmp_path, _graph(outputs)))


def test_a_model_with_other_inputs_is_refused(blob: Path, tmp_path: Path) -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 7))
    b.tensor("y", (1, 4))
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (4, 7), 0)))
    with pytest.raises(InputError, match=r"is another model: its inputs have \[7\] elements, the blob's \[6\]"):
        verify.verify_against(blob, *_files(tmp_path, b.finish(["x"], ["y"])))
