"""The fixed-size records of a blob: header, tensors, operators (docs/format.md, section 2), each checked on its own."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from smidgen.blob.reader_bytes import HEADER_BYTES, BlobBytes, require
from smidgen.errors import BlobError

MAGIC = b"SMG\x1a"
VERSION = 1
MEMORY_LIMIT = 2**24  # arena_bytes, scratch_bytes and the elements of a tensor stay below
INT8 = 1
CONSTANT = 1  # flag of a tensor

_HEADER = struct.Struct("<4sHHIIIIHHBBHIIIII12s")
_TENSOR = struct.Struct("<I4HBBbBf")
_OPERATOR = struct.Struct("<BBbbHHHHIIBBHII16sI")
_CRC_START = 16


class Header(NamedTuple):
    """docs/format.md, section 2.1, field by field."""

    magic: bytes
    version: int
    header_bytes: int
    blob_bytes: int
    crc32: int
    arena_bytes: int
    scratch_bytes: int
    tensor_count: int
    operator_count: int
    input_count: int
    output_count: int
    golden_count: int
    tensors_offset: int
    operators_offset: int
    golden_offset: int
    metadata_offset: int
    metadata_bytes: int
    zero: bytes


class TensorRecord(NamedTuple):
    """docs/format.md, section 2.2."""

    offset: int
    dimensions: tuple[int, int, int, int]
    rank: int
    dtype: int
    zero_point: int
    flags: int
    scale: float

    @property
    def elements(self) -> int:
        return math.prod(self.dimensions)  # exact: four u16 overflow 32 bits

    @property
    def shape(self) -> tuple[int, ...]:
        return self.dimensions[4 - self.rank :]

    @property
    def is_constant(self) -> bool:
        return bool(self.flags & CONSTANT)


class OperatorRecord(NamedTuple):
    """docs/format.md, section 2.3."""

    kind: int
    kernel: int
    activation_min: int
    activation_max: int
    input: int
    input2: int
    output: int
    tile: int
    weights_offset: int
    weights_bits: int
    weights_coding: int
    zero_runs: int
    workspace: int
    requantization_offset: int
    code_table_offset: int
    parameters: bytes
    scratch_offset: int


def read_header(data: bytes) -> Header:
    """The header of a blob that is complete and undamaged; `data` may be longer than the blob."""
    if data[:4] != MAGIC[: len(data)]:
        raise BlobError(f"not a smidgen blob: it starts with {data[:4].hex(' ')}, expected {MAGIC.hex(' ')}")
    if len(data) < HEADER_BYTES:
        raise BlobError(f"file is cut short: the header alone has {HEADER_BYTES} bytes, the file has {len(data)}")
    header = Header._make(_HEADER.unpack_from(data))
    _check_version(header)
    _check_length_and_checksum(header, data)
    _check_header_fields(header)
    return header


def _check_version(header: Header) -> None:
    if header.version > VERSION:
        raise BlobError(
            f"this blob was written by a newer smidgen (format version {header.version}, this one reads {VERSION}):"
            " upgrade smidgen or pack the model again"
        )
    require(header.version == VERSION, "header", f"version is {header.version}, expected {VERSION}")
    require(
        header.header_bytes == HEADER_BYTES, "header", f"header_bytes is {header.header_bytes}, expected {HEADER_BYTES}"
    )


def _check_length_and_checksum(header: Header, data: bytes) -> None:
    size = header.blob_bytes
    require(
        size >= HEADER_BYTES and size % 4 == 0,
        "header",
        f"blob_bytes is {size}, expected a multiple of 4 of at least {HEADER_BYTES}",
    )
    if len(data) < size:
        raise BlobError(f"file is cut short: header says {size} bytes, file has {len(data)}; copy it again")
    found = zlib.crc32(memoryview(data)[_CRC_START:size])
    if found != header.crc32:
        raise BlobError(
            f"blob is damaged: its CRC-32 is {found:08x}, header says {header.crc32:08x};"
            " copy it again or pack the model again"
        )


def _check_header_fields(header: Header) -> None:
    for name in ("arena_bytes", "scratch_bytes"):
        value = getattr(header, name)
        require(value < MEMORY_LIMIT, "header", f"{name} is {value}, it must be below {MEMORY_LIMIT}")
    for name in ("tensor_count", "operator_count", "input_count", "output_count"):
        require(getattr(header, name) >= 1, "header", f"{name} is 0, expected at least 1")
    outer = header.input_count + header.output_count
    require(
        outer <= header.tensor_count,
        "header",
        f"tensor_count is {header.tensor_count}, fewer than the {outer} inputs and outputs",
    )
    require(
        header.golden_count > 0 or header.golden_offset == 0,
        "header",
        f"golden_offset is {header.golden_offset}, expected 0 because golden_count is 0",
    )
    require(
        header.metadata_bytes > 0 or header.metadata_offset == 0,
        "header",
        f"metadata_offset is {header.metadata_offset}, expected 0 because metadata_bytes is 0",
    )
    require(not any(header.zero), "header", f"bytes 52 .. 63 are {header.zero.hex(' ')}, expected zeros")


def read_tensor_records(header: Header, blob: BlobBytes) -> list[TensorRecord]:
    """All tensor records, each within its limits."""
    view = blob.section(
        "tensor records", header.tensors_offset, header.tensor_count * _TENSOR.size, "tensors", alignment=4
    )
    records = list(_unpack_tensors(view))
    for index, record in enumerate(records):
        _check_tensor(f"tensor {index}", record)
        if not record.is_constant:
            _check_arena(f"tensor {index}", record, header)
        elif index < header.input_count + header.output_count:
            raise BlobError(f"tensor {index}: an input or output of the network cannot be a constant")
    return records


def _unpack_tensors(view: memoryview) -> Iterator[TensorRecord]:
    for offset, batch, height, width, channels, rank, dtype, zero_point, flags, scale in _TENSOR.iter_unpack(view):
        yield TensorRecord(offset, (batch, height, width, channels), rank, dtype, zero_point, flags, scale)


def _check_tensor(subject: str, record: TensorRecord) -> None:
    require(all(record.dimensions), subject, f"dimensions are {record.dimensions}, each must be at least 1")
    require(1 <= record.rank <= 4, subject, f"rank is {record.rank}, expected 1 .. 4")
    hidden = record.dimensions[: 4 - record.rank]
    require(
        all(dimension == 1 for dimension in hidden),
        subject,
        f"dimensions are {record.dimensions}, with rank {record.rank} the first {len(hidden)} must be 1",
    )
    elements = record.elements
    require(elements < MEMORY_LIMIT, subject, f"it has {elements} elements, the limit is {MEMORY_LIMIT - 1}")
    require(record.dtype == INT8, subject, f"dtype is {record.dtype}, expected {INT8} (int8)")
    require(record.flags & ~CONSTANT == 0, subject, f"flags are {record.flags:#x}, only bit 0 is known")
    require(
        math.isfinite(record.scale) and record.scale > 0,
        subject,
        f"scale is {record.scale}, expected a finite number above 0",
    )


def _check_arena(subject: str, record: TensorRecord, header: Header) -> None:
    end = record.offset + record.elements
    require(
        end <= header.arena_bytes,
        subject,
        f"{record.elements} elements at arena offset {record.offset} end at {end}, arena_bytes is {header.arena_bytes}",
    )


def read_operator_records(header: Header, blob: BlobBytes) -> list[OperatorRecord]:
    """All operator records, as they are: what their fields must be depends on the kind."""
    view = blob.section(
        "operator records", header.operators_offset, header.operator_count * _OPERATOR.size, "operators", alignment=4
    )
    return [OperatorRecord._make(fields) for fields in _OPERATOR.iter_unpack(view)]
