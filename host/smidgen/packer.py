"""From a model file to a blob: the whole path, each step one call."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import smidgen
from smidgen.arrays import load_arrays
from smidgen.blob.contents import Blob, GoldenVector
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.boards import BoardDescription
from smidgen.compress import Compression, Kind, load_samples
from smidgen.compression import BlobSize, CompressionRequest, compress_for
from smidgen.errors import InputError, MismatchError
from smidgen.formats.reader import read_model
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import Network
from smidgen.optimization import Explanation, Optimization
from smidgen.passes import simplify
from smidgen.plan import Coding, make_plan
from smidgen.plan.channels import remove_constant_channels
from smidgen.plan.optimize import Goal
from smidgen.quantize import DEFAULT_METHOD, load_calibration, quantize
from smidgen.reference import run_network
from smidgen.report import BlobReport, RemovalReport, report_blob, report_removal
from smidgen.samples import load_golden

DEFAULT_GOLDEN_COUNT = 2
DEFAULT_GOLDEN_BYTES = 4096  # without being asked, no more than this is spent on golden vectors
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Packed:
    """A finished blob, what is in it, what of the model is not, what was noticed on the way, and why it is so.

    compression: how it was compressed, if that was asked for.
    """

    data: bytes
    blob: Blob
    report: BlobReport
    removal: RemovalReport
    notes: list[str]
    explanation: Explanation | None = None
    compression: Compression | None = None


def pack(
    model: str | Path,
    *,
    calibration: str | Path | None = None,
    calibration_scale: float | None = None,
    method: str = DEFAULT_METHOD,
    labels: str | Path | Sequence[str] | None = None,
    golden: str | Path | None = None,
    golden_count: int | None = None,
    preprocessing: Any = None,
    keep_channels: bool = False,
    optimize: Goal | str | None = None,
    coding: Coding | None = None,
    board: BoardDescription | None = None,
    explain: bool = False,
    compression: CompressionRequest | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Pack a .tflite or .onnx file: int8 models as they are, float models quantised with `calibration` data.

    method: how activation ranges are chosen, one of quantize.RANGE_METHODS; only for float models.
    labels: a file with one label a line, or the labels; as many as the first output has elements.
    calibration_scale: real value of one step of the calibration numbers; needed when they are integers.
    golden: .npz with `input` and optionally `output`; all outputs are checked, the first golden_count go into the blob
    (without a count: two, if they take no more than 4 KiB).
    preprocessing: what `smidgen stream` does to samples (docs/streaming.md): goes into the metadata as it is.
    keep_channels: keep those that no output depends on, so that all tensors have the shapes they have in the model.
    optimize: what the plan is chosen for (balanced; size with a compression); board: whose memory it is made to fit.
    coding: how all weights are stored, as for make_plan; None: as it is best for the goal. explain: say why, and what
    other goals would cost.
    compression: make the weights smaller, by changing them, with `calibration` data (docs/compression.md). The outputs
    in golden are then those of the model, and the blob gets those of the compressed network.
    Raises InputError, ModelError (UnsupportedModelError lists every operator that cannot be run) or
    MismatchError (a golden output that the packed network does not give).
    """
    path = Path(model)
    graph = simplify(read_model(path))
    notes: list[str] = []
    was_float = not graph.is_quantized
    if was_float:
        graph = _quantize(graph, path, calibration, calibration_scale, method, progress)
    elif calibration is not None and compression is None:
        load_arrays(calibration)  # a missing or damaged file is an error all the same
        notes.append(f"{path.name} is int8 already: it is packed as it is, the calibration data is not used")
    model_network = lower(graph)
    network = model_network if keep_channels else remove_constant_channels(model_network)
    vectors = _golden(model_network, network, golden, golden_count, was_float, notes, progress)
    metadata = _metadata(path, network, _labels(labels, network))
    if preprocessing is not None:
        metadata["preprocessing"] = preprocessing
    compressed = None
    uncompressed = network
    if compression is not None:
        if calibration is None:
            raise InputError("compression needs calibration data: give real inputs (--calibration DATA.npz)")
        samples = load_samples(calibration, graph, calibration_scale, compression.labels)
        size = BlobSize(vectors, metadata, keep_channels, coding or "smallest")
        compressed, network, vectors = compress_for(compression, network, samples, size, progress)
        if vectors:
            notes.append("the golden vectors in the blob have the outputs of the compressed network")
    goal = Goal(optimize) if optimize is not None else Goal.BALANCED if compression is None else Goal.SIZE
    optimization = Optimization(network, board, vectors, metadata, coding)
    shortage = optimization.shortage(goal)
    if board is not None and shortage is not None:
        taken, there_are = shortage
        notes.append(f"does not fit the {board.name}: the least that a plan takes is {taken:,} bytes of {there_are:,}")
    elif goal is Goal.RAM and (price := optimization.price_of_least_ram()) is not None:
        notes.append(price)
    data = write_blob(optimization.plan(goal), vectors, metadata)
    blob = read_blob(data)  # the independent reader must understand what was written
    saved = 0
    if uncompressed is not model_network:
        versions = (model_network, uncompressed)
        whole, rest = (len(write_blob(make_plan(version), vectors, metadata)) for version in versions)
        saved = whole - rest
    removal = report_removal(model_network, uncompressed, saved)
    explanation = optimization.explain(goal) if explain else None
    if compression is not None and compression.target.kind is Kind.BLOB_BYTES:
        _check_size(len(data), compression.target.limit, goal)
    return Packed(data, blob, report_blob(blob), removal, notes, explanation, compressed)


def _check_size(size: int, limit: float, goal: Goal) -> None:
    """Plans for other goals than size may store weights raw."""
    if size > limit:
        raise InputError(
            f"planned for {goal.value}, the compressed blob takes {size:,} bytes; {limit:,.0f} were asked for: "
            "plan for size (--optimize size), or ask for more"
        )


def pack_graph(
    graph: Graph,
    metadata: dict[str, Any] | None = None,
    *,
    arena_limit: int | None = None,
    keep_channels: bool = False,
    coding: Coding = "smallest",
    optimize: Goal | None = None,
) -> bytes:
    """The blob of an int8 graph in memory. arena_limit and coding as for make_plan, keep_channels as for pack.

    optimize: choose the plan for a goal instead of these limits, as pack does.
    """
    network = lower(simplify(graph))
    if not keep_channels:
        network = remove_constant_channels(network)
    metadata = {**network.metadata, **(metadata or {})}
    if optimize is not None:
        return write_blob(Optimization(network, None, metadata=metadata).plan(optimize), metadata=metadata)
    return write_blob(make_plan(network, arena_limit=arena_limit, coding=coding), metadata=metadata)


def save(data: bytes, path: str | Path, inputs: Sequence[str | Path | None] = ()) -> None:
    """Write a file whole or not at all, with the permissions a new file gets; links are followed.

    inputs: files that the data were made from and that must not be overwritten. Raises InputError.
    """
    target = _target(path, inputs)
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a device or a pipe cannot be replaced
        else:
            _replace(data, target)
    except OSError as error:
        raise _unwritable(path, target, error) from error


def require_writable(path: str | Path, inputs: Sequence[str | Path | None] = ()) -> None:
    """Raise the InputError with which `save` would fail, before work whose result would be lost. Leaves no file."""
    target = _target(path, inputs)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.is_file() or not target.exists():
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}."):
                pass
    except OSError as error:
        raise _unwritable(path, target, error) from error


def _target(path: str | Path, inputs: Sequence[str | Path | None]) -> Path:
    """What a path leads to; InputError if that is one of the inputs."""
    target = Path(os.path.realpath(path))
    for source in inputs:
        if source is not None and target == Path(os.path.realpath(source)):
            raise InputError(f"{path} is an input of this command; choose another name for the output")
    return target


def _unwritable(path: str | Path, target: Path, error: OSError) -> InputError:
    if not target.parent.is_dir():
        return InputError(f"cannot write {path}: there is no folder {target.parent}; make it, or choose another name")
    return InputError(f"cannot write {path}: {error.strerror or error}; choose another name or folder")


def _replace(data: bytes, target: Path) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C included
        os.unlink(temporary)
        raise


def _quantize(
    graph: Graph,
    path: Path,
    calibration: str | Path | None,
    scale: float | None,
    method: str,
    progress: Progress | None,
) -> Graph:
    if calibration is None:
        shapes = ", ".join(str(list(graph.tensors[name].shape)) for name in graph.inputs)
        raise InputError(
            f"{path.name} is a float model: give calibration data (--calibration DATA.npz, inputs of shape {shapes}) "
            "so that it can be quantised to int8"
        )
    samples = load_calibration(calibration, graph, scale)
    return quantize(graph, samples, method, progress=quantizing(progress))


def quantizing(progress: Progress | None) -> Progress | None:
    """The same callback for the stages of quantisation, named so that a person knows what they belong to."""
    return progress and (lambda stage, done, total: progress(f"quantising: {stage}", done, total))


def _metadata(path: Path, network: Network, labels: list[str] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": path.stem,
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "packager": f"smidgen {smidgen.__version__}",
        **network.metadata,
    }
    if labels is not None:
        metadata["labels"] = labels
    return metadata


def _labels(labels: str | Path | Sequence[str] | None, network: Network) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, str | Path):
        try:
            text = Path(labels).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the labels {labels}: {error}") from error
        labels = [line.strip() for line in text.splitlines() if line.strip()]
    expected = network.tensors[network.outputs[0]].elements
    if len(labels) != expected:
        raise InputError(f"there are {len(labels)} labels; the output has {expected} elements")
    return list(labels)


def _golden(
    model_network: Network,
    network: Network,
    path: str | Path | None,
    count: int | None,
    was_float: bool,
    notes: list[str],
    progress: Progress | None,
) -> list[GoldenVector]:
    """The golden vectors that go into the blob; every output that the file expects is checked.

    The outputs are those of `model_network`, the model as it is; `network`, which is packed, has to give them too.
    """
    if path is None:
        return []
    inputs, expected = load_golden(path, network)
    vectors = []
    for number, sample in enumerate(inputs):
        outputs = run_network(model_network, sample)
        if network is not model_network:
            _assert_same(number, run_network(network, sample), outputs)
        if expected is not None:
            _check_golden(number, outputs, expected[number], was_float)
        vectors.append(GoldenVector(sample, outputs))
        if progress is not None:
            progress("running golden vectors", number + 1, len(inputs))
    size = sum(array.size for array in vectors[0].inputs + vectors[0].outputs)
    if count is None:
        count = min(DEFAULT_GOLDEN_COUNT, DEFAULT_GOLDEN_BYTES // size)
    kept = vectors[:count]
    checked = "all expected outputs agree" if expected is not None else "no expected outputs to compare with"
    notes.append(f"{len(vectors)} golden vectors, {checked}; {len(kept)} of {size:,} bytes each in the blob")
    return kept


def _assert_same(number: int, outputs: Sequence[Any], wanted: Sequence[Any]) -> None:
    if not all(np.array_equal(a, b) for a, b in zip(outputs, wanted, strict=True)):
        raise AssertionError(f"golden vector {number}: the packed network does not give the outputs of the model")


def _check_golden(number: int, outputs: Sequence[Any], expected: Sequence[Any], was_float: bool) -> None:
    for output, wanted in zip(outputs, expected, strict=True):
        difference = np.abs(output.astype(int) - wanted.astype(int))
        if difference.any():
            hint = (
                "the model has just been quantised, so outputs of another quantisation cannot be expected"
                if was_float
                else "was it made with this model and TFLite's reference kernels?"
            )
            raise MismatchError(
                f"golden vector {number}: {np.count_nonzero(difference)} of {difference.size} output elements differ, "
                f"by up to {difference.max()}; {hint}"
            )
