"""Checks that a blob gives exactly the numbers it should, and says where it first does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen import oracle
from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob_file
from smidgen.errors import InputError, ModelError
from smidgen.formats.reader import read_model
from smidgen.lower import lower
from smidgen.network import Kind, Network
from smidgen.passes import simplify
from smidgen.reference import run_network, run_steps
from smidgen.runner import HOST, Runner, find_port, open_runner
from smidgen.samples import load_golden, load_inputs

Int8Array = NDArray[np.int8]
Progress = Callable[[int, int], None]  # inputs checked, inputs in all


@dataclass(frozen=True)
class Difference:
    """Where two runs of the same input part. operator is None when every operator agrees with the reference,

    so that it is the expected output that disagrees with both.
    """

    input: int
    operator: int | None
    operator_name: str
    tensor: int | None
    elements: int  # how many differ
    max_abs_diff: int


@dataclass(frozen=True)
class Verification:
    """`expected_from` says whose numbers were compared with: golden file, tflite-micro, tflite-runtime or reference."""

    port: str
    expected_from: str
    inputs: int
    exact: int
    max_abs_diff: int
    first_difference: Difference | None

    @property
    def is_exact(self) -> bool:
        return self.exact == self.inputs

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def verify_golden(
    path: str | Path,
    golden: str | Path,
    port: str = HOST,
    *,
    heap_bytes: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compare the blob at `path` with the outputs in a golden file (.npz with `input` and `output`)."""
    blob = read_blob_file(path)
    inputs, expected = load_golden(golden, blob.network)
    if expected is None:
        raise InputError(f"{golden} holds inputs but no expected outputs (an array named 'output')")
    return _verify(path, blob, inputs, expected, port, f"golden file {Path(golden).name}", heap_bytes, progress)


def verify_embedded(
    path: str | Path, port: str = HOST, *, heap_bytes: int | None = None, progress: Progress | None = None
) -> Verification:
    """Compare the blob at `path` with the golden vectors that it holds itself."""
    blob = read_blob_file(path)
    if not blob.golden:
        raise InputError(
            f"{path} holds no golden vectors; give --golden FILE, or --against MODEL.tflite with --input FILE"
        )
    inputs = [vector.inputs for vector in blob.golden]
    expected = [vector.outputs for vector in blob.golden]
    return _verify(path, blob, inputs, expected, port, "its golden vectors", heap_bytes, progress)


def verify_against(
    path: str | Path,
    model: str | Path,
    inputs: str | Path,
    port: str = HOST,
    *,
    heap_bytes: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compare the blob at `path` with the int8 model it was packed from, on the samples in `inputs`.

    The model is run by tflite-micro or tflite-runtime where one of these packages is installed, else by the
    NumPy reference straight from the model file.
    """
    blob = read_blob_file(path)
    graph = simplify(read_model(model))
    if not graph.is_quantized:
        raise ModelError(f"{model} is a float model; a blob can be verified against an int8 model only")
    samples = load_inputs(inputs, blob.network)
    network = lower(graph)
    _check_same_shapes(blob.network, network, model)
    source, expected = _expected(Path(model), network, samples)
    return _verify(path, blob, samples, expected, port, source, heap_bytes, progress)


def _check_same_shapes(packed: Network, model: Network, path: str | Path) -> None:
    for what, first, second in (("input", packed.inputs, model.inputs), ("output", packed.outputs, model.outputs)):
        sizes = [packed.tensors[i].elements for i in first], [model.tensors[i].elements for i in second]
        if sizes[0] != sizes[1]:
            raise InputError(f"{path} is another model: its {what}s have {sizes[1]} elements, the blob's {sizes[0]}")


def _expected(model: Path, network: Network, samples: Sequence[list[Int8Array]]) -> tuple[str, list[list[Int8Array]]]:
    interpreter = oracle.open_interpreter(model.read_bytes()) if model.suffix.lower() == ".tflite" else None
    if interpreter is None or network.metadata.get("uint8_tensors"):
        return "reference", [run_network(network, sample) for sample in samples]
    return interpreter.name, [interpreter.run(sample) for sample in samples]


def _verify(
    path: str | Path,
    blob: Blob,
    inputs: Sequence[list[Int8Array]],
    expected: Sequence[list[Int8Array]],
    port: str,
    source: str,
    heap_bytes: int | None,
    progress: Progress | None,
) -> Verification:
    port = find_port(port)
    exact, largest, first = 0, 0, None
    with open_runner(blob, Path(path).read_bytes(), port, heap_bytes=heap_bytes) as runner:
        for number, (sample, wanted) in enumerate(zip(inputs, expected, strict=True)):
            worst = _largest_difference(runner.run(sample), wanted)
            exact += worst == 0
            largest = max(largest, worst)
            if worst and first is None:
                first = _locate(blob.network, runner, number, sample, wanted)
            if progress is not None:
                progress(number + 1, len(inputs))
    return Verification(port, source, len(inputs), exact, largest, first)


def _largest_difference(outputs: Sequence[Int8Array], expected: Sequence[Int8Array]) -> int:
    pairs = zip(outputs, expected, strict=True)
    return max(int(np.abs(a.astype(int).reshape(-1) - b.astype(int).reshape(-1)).max()) for a, b in pairs)


def _locate(
    network: Network, runner: Runner, number: int, sample: list[Int8Array], wanted: list[Int8Array]
) -> Difference:
    """The first operator whose result is not the reference's."""
    last_writer = {operator.output: index for index, operator in enumerate(network.operators)}
    for index, operator, values in run_steps(network, sample):
        if index != last_writer[operator.output]:
            continue  # one of several COPY operators that fill a tensor: it is compared when it is complete
        reference = values[operator.output]
        difference = np.abs(runner.output_after(index, sample).astype(int) - reference.astype(int))
        if difference.any():
            name = Kind(operator.kind).name
            return Difference(
                number, index, name, operator.output, int(np.count_nonzero(difference)), int(difference.max())
            )
    reference_outputs = run_network(network, sample)
    elements = sum(
        int(np.count_nonzero(a.reshape(-1) != b.reshape(-1))) for a, b in zip(reference_outputs, wanted, strict=True)
    )
    return Difference(number, None, "", None, elements, _largest_difference(reference_outputs, wanted))
