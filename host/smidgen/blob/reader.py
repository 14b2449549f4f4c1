"""Reads a blob (`.smg`) into everything it holds, and checks every rule of docs/format.md on the way.

Written from the format document alone, so that a blob that reads here is a blob as documented. Any bytes are
safe to read: what is wrong with them is a BlobError, and memory stays in proportion to their length.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.contents import Blob, GoldenVector, WeightStorage
from smidgen.blob.reader_bytes import BlobBytes, require
from smidgen.blob.reader_fields import OperatorSource, kind_of
from smidgen.blob.reader_operators import read_operator
from smidgen.blob.reader_records import (
    Header,
    OperatorRecord,
    TensorRecord,
    read_header,
    read_operator_records,
    read_tensor_records,
)
from smidgen.blob.reader_weights import WeightReader
from smidgen.errors import BlobError, InputError
from smidgen.network import Network, NetworkOperator, NetworkTensor


def read_blob_file(path: str | Path) -> Blob:
    """The blob in a file. InputError if it cannot be read, BlobError (naming the file) if it is no valid blob."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return read_blob(data)
    except BlobError as error:
        raise BlobError(f"{path}: {error}") from error


def read_blob(data: bytes) -> Blob:
    """The blob at the start of `data`; what follows its blob_bytes is ignored. Raises BlobError, and nothing else.

    Arrays of the result that are stored plainly in the blob are read-only views of it.
    """
    header = read_header(data)
    blob = BlobBytes(data[: header.blob_bytes])
    records = read_tensor_records(header, blob)
    operator_records = read_operator_records(header, blob)
    weights = WeightReader(blob, header.blob_bytes)
    operators = [
        read_operator(OperatorSource(index, kind_of(index, record), record, records, blob, weights, header.arena_bytes))
        for index, record in enumerate(operator_records)
    ]
    _check_producers(header, records, operators)
    _check_scratch(header, weights.storage)
    tensors = _read_tensors(records, operator_records, blob)
    golden = _read_golden(header, records, blob)
    metadata = _read_metadata(header, blob)
    _check_metadata(metadata, header, tensors)
    return Blob(
        network=Network(tensors, operators, header.input_count, header.output_count, metadata),
        arena_offsets=[None if record.is_constant else record.offset for record in records],
        storage=weights.storage,
        arena_bytes=header.arena_bytes,
        scratch_bytes=header.scratch_bytes,
        blob_bytes=header.blob_bytes,
        crc32=header.crc32,
        golden=golden,
        metadata=metadata,
        spans=blob.spans(),
    )


def _check_producers(header: Header, records: list[TensorRecord], operators: list[NetworkOperator]) -> None:
    """Operators write every tensor that is neither an input of the network nor a constant, and no other."""
    written: set[int] = set()
    for index, operator in enumerate(operators):
        require(
            operator.output >= header.input_count,
            f"operator {index} ({operator.kind.name})",
            f"its output, tensor {operator.output}, is an input of the network",
        )
        written.add(operator.output)
    for index, record in enumerate(records[header.input_count :], header.input_count):
        require(
            record.is_constant or index in written, f"tensor {index}", "it is no operator's output, input or constant"
        )


def _check_scratch(header: Header, storage: dict[int, WeightStorage]) -> None:
    largest = max((stored.scratch_bytes for stored in storage.values()), default=0)
    require(
        header.scratch_bytes == largest,
        "header",
        f"scratch_bytes is {header.scratch_bytes}, but the hungriest operator needs {largest}; pack the model again",
    )


def _read_tensors(records: list[TensorRecord], operators: list[OperatorRecord], blob: BlobBytes) -> list[NetworkTensor]:
    readers: dict[int, int] = {}  # by constant: the first operator that reads it
    for index, operator in enumerate(operators):
        readers.setdefault(operator.input, index)
        readers.setdefault(operator.input2, index)
    return [
        NetworkTensor(
            shape=record.shape,
            scale=record.scale,
            zero_point=record.zero_point,
            data=_read_constant(index, record, readers.get(index), blob) if record.is_constant else None,
        )
        for index, record in enumerate(records)
    ]


def _read_constant(index: int, record: TensorRecord, reader: int | None, blob: BlobBytes) -> NDArray[np.int8]:
    view = blob.section(f"tensor {index} (constant)", record.offset, record.elements, "constant", operator=reader)
    return np.frombuffer(view, np.int8).reshape(record.shape)


def _read_golden(header: Header, records: list[TensorRecord], blob: BlobBytes) -> list[GoldenVector]:
    if header.golden_count == 0:
        return []
    outer = records[: header.input_count + header.output_count]
    vector_bytes = sum(record.elements for record in outer)
    size = header.golden_count * vector_bytes
    view = blob.section(f"golden vectors ({header.golden_count})", header.golden_offset, size, "golden")
    vectors = np.frombuffer(view, np.int8).reshape(header.golden_count, vector_bytes)
    return [_split_golden(vector, outer, header.input_count) for vector in vectors]


def _split_golden(vector: NDArray[np.int8], outer: list[TensorRecord], input_count: int) -> GoldenVector:
    arrays: list[NDArray[np.int8]] = []
    position = 0
    for record in outer:
        arrays.append(vector[position : position + record.elements].reshape(record.shape))
        position += record.elements
    return GoldenVector(arrays[:input_count], arrays[input_count:])


def _read_metadata(header: Header, blob: BlobBytes) -> dict[str, Any]:
    if header.metadata_bytes == 0:
        return {}
    view = blob.section("metadata", header.metadata_offset, header.metadata_bytes, "metadata")
    try:
        metadata = json.loads(bytes(view).decode("utf-8"))
        # What Python's parser lets through but JSON and UTF-8 do not have: NaN, Infinity, lone surrogates.
        json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BlobError(f"metadata: not UTF-8 JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise BlobError(f"metadata: expected one JSON object, found {type(metadata).__name__}")
    return metadata


def _check_metadata(metadata: dict[str, Any], header: Header, tensors: list[NetworkTensor]) -> None:
    """Types of the keys that readers rely on (section 8)."""
    for key in ("name", "source", "source_sha256", "packager"):
        value = metadata.get(key, "")
        require(isinstance(value, str), "metadata", f"{key} is {value!r}, expected a string")
    labels = metadata.get("labels")
    if labels is not None:
        require(_list_of(labels, str), "metadata", f"labels is {labels!r}, expected a list of strings")
        outputs = tensors[header.input_count].elements
        require(len(labels) == outputs, "metadata", f"there are {len(labels)} labels for {outputs} output elements")
    uint8 = metadata.get("uint8_tensors", [])
    edges = header.input_count + header.output_count
    fits = _list_of(uint8, int) and all(0 <= index < edges for index in uint8)
    require(fits, "metadata", f"uint8_tensors is {uint8!r}, expected indices of inputs and outputs, below {edges}")


def _list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)
