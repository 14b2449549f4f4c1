"""Writes a planned network as a blob, after docs/format.md."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen import network as n
from smidgen.blob.channel_data import channel_data
from smidgen.blob.contents import GoldenVector
from smidgen.errors import ModelError
from smidgen.huffman import encode
from smidgen.plan import Plan
from smidgen.plan.kernels import GROUP_CHANNELS, STREAMED
from smidgen.zero_runs import encode_with_zero_runs

MAGIC = b"SMG\x1a"
VERSION = 1
HEADER_BYTES = 64
CRC_START = 16
TENSOR_BYTES = 20
OPERATOR_BYTES = 52
INT8 = 1
CONSTANT = 1
RAW, HUFFMAN = 1, 2
NO_TENSOR = 0xFFFF
LINEAR_ADD = 1  # kernel of ADD
_LIMITS = {"tensors": 0xFFFE, "operators": 0xFFFF, "inputs": 0xFF, "outputs": 0xFF, "golden vectors": 0xFFFF}
_WORKING_MEMORY_LIMIT = 1 << 24
_READ_AHEAD_BYTES = 4  # behind a bit stream


def write_blob(plan: Plan, golden: Sequence[GoldenVector] = (), metadata: dict[str, Any] | None = None) -> bytes:
    """The blob of `plan`. Raises ModelError where a count does not fit the format."""
    return _Writer(plan, golden, metadata or {}).write()


class _Writer:
    def __init__(self, plan: Plan, golden: Sequence[GoldenVector], metadata: dict[str, Any]) -> None:
        self.plan, self.network, self.golden, self.metadata = plan, plan.network, golden, metadata
        self.tensors_offset = HEADER_BYTES
        self.operators_offset = self.tensors_offset + TENSOR_BYTES * len(self.network.tensors)
        self.data_start = self.operators_offset + OPERATOR_BYTES * len(self.network.operators)
        self.data = bytearray()
        self.stored: dict[tuple[bytes, int], int] = {}  # (bytes, alignment) -> offset: equal data is stored once
        self.read_end = 0  # the blob must not end before this offset

    def write(self) -> bytes:
        self._check_limits()
        tensors = b"".join(self._tensor(index) for index in range(len(self.network.tensors)))
        operators = b"".join(self._operator(index) for index in range(len(self.network.operators)))
        golden_offset = self._append_golden()
        text = json.dumps(self.metadata, ensure_ascii=False, separators=(",", ":")).encode() if self.metadata else b""
        metadata_offset = self._store(text, 1) if text else 0
        self.data += bytes(max(self.read_end - self.data_start - len(self.data), 0))
        self._align(4)
        header = self._header(golden_offset, metadata_offset, len(text))
        blob = bytearray(header + tensors + operators + self.data)
        struct.pack_into("<I", blob, 12, zlib.crc32(blob[CRC_START:]))
        return bytes(blob)

    def _check_limits(self) -> None:
        counts = {
            "tensors": len(self.network.tensors),
            "operators": len(self.network.operators),
            "inputs": self.network.input_count,
            "outputs": self.network.output_count,
            "golden vectors": len(self.golden),
        }
        for what, count in counts.items():
            if count > _LIMITS[what]:
                raise ModelError(f"the model has {count} {what}; a blob can hold {_LIMITS[what]}")
        if self.plan.arena_bytes >= _WORKING_MEMORY_LIMIT:
            raise ModelError(
                f"the model needs an arena of {self.plan.arena_bytes} bytes; a blob can ask for"
                f" {_WORKING_MEMORY_LIMIT - 1}"
            )

    def _header(self, golden_offset: int, metadata_offset: int, metadata_bytes: int) -> bytes:
        return struct.pack(
            "<4sHHIIIIHHBBHIIIII12x",
            MAGIC, VERSION, HEADER_BYTES, self.data_start + len(self.data), 0,
            self.plan.arena_bytes, self.plan.scratch_bytes,
            len(self.network.tensors), len(self.network.operators),
            self.network.input_count, self.network.output_count, len(self.golden),
            self.tensors_offset, self.operators_offset, golden_offset, metadata_offset, metadata_bytes,
        )  # fmt: skip

    def _align(self, alignment: int) -> None:
        self.data += bytes(-(self.data_start + len(self.data)) % alignment)

    def _store(self, data: bytes, alignment: int) -> int:
        """Offset of `data` in the blob, appended unless the same bytes are there already."""
        if (data, alignment) not in self.stored:
            self._align(alignment)
            self.stored[data, alignment] = self.data_start + len(self.data)
            self.data += data
        return self.stored[data, alignment]

    def _append_golden(self) -> int:
        if not self.golden:
            return 0
        vectors = b"".join(array.tobytes() for vector in self.golden for array in vector.inputs + vector.outputs)
        return self._store(vectors, 1)

    def _tensor(self, index: int) -> bytes:
        tensor = self.network.tensors[index]
        offset = self.plan.arena_offsets[index]
        if tensor.data is not None:
            offset = self._store(tensor.data.astype(np.int8).tobytes(), 4)
        flags = 0 if tensor.data is None else CONSTANT
        return struct.pack(
            "<I4HBBbBf", offset, *tensor.dimensions, len(tensor.shape), INT8, tensor.zero_point, flags, tensor.scale
        )

    def _operator(self, index: int) -> bytes:
        operator = self.network.operators[index]
        fields = _Fields()
        match operator:
            case n.WeightedOperator():
                self._weighted(index, operator, fields)
            case n.BinaryOperator():
                pairs = zip(operator.multipliers, operator.shifts, strict=True)
                fields.input2 = operator.input2
                fields.requantization = self._store(b"".join(struct.pack("<ii", *pair) for pair in pairs), 4)
                fields.parameters = struct.pack("<I", operator.repeat)
            case n.LinearAddOperator():
                fields.kernel, fields.input2 = LINEAR_ADD, operator.input2
                record = struct.pack("<4i", *operator.factors, operator.offset, operator.exponent)
                fields.requantization = self._store(record, 4)
                fields.parameters = struct.pack("<I", operator.repeat)
            case n.PoolOperator():
                fields.parameters = _window(operator.window)
            case n.MeanOperator():
                fields.parameters = struct.pack("<I", operator.inner)
                fields.requantization = self._store(struct.pack("<ii", operator.multiplier, operator.shift), 4)
            case n.PadOperator():
                fields.parameters = struct.pack("<6H", *(amount for pair in operator.paddings for amount in pair))
            case n.CopyOperator():
                fields.parameters = struct.pack("<3I", operator.chunk, operator.stride, operator.start)
            case n.LookupOperator():
                fields.weights, fields.bits, fields.coding = self._store(operator.table.tobytes(), 1), 2048, RAW
            case n.SoftmaxOperator():
                record = struct.pack("<iii", operator.multiplier, operator.shift, operator.minimum)
                fields.requantization = self._store(record, 4)
            case _:
                raise ModelError(f"operator {index} is of a kind that blobs do not know: {operator!r}")
        return fields.record(operator)

    def _weighted(self, index: int, operator: n.WeightedOperator, fields: _Fields) -> None:
        plan = self.plan.weights[index]
        if plan.table is None:
            fields.weights, fields.bits, fields.coding = (
                self._store(operator.weights.tobytes(), 4),
                8 * operator.weights.size,
                RAW,
            )
        else:
            table = self.plan.code_tables[plan.table]
            streamed = operator.kind == n.Kind.FULLY_CONNECTED and self.plan.kernels[index].kernel == STREAMED
            fields.zero_runs = plan.zero_runs
            if plan.zero_runs:
                stream, fields.bits = encode_with_zero_runs(operator.weights, table, plan.zero_runs - 1)
            else:
                stream, fields.bits = encode(_by_groups(operator.weights) if streamed else operator.weights, table)
            fields.code_table = self._store(table.serialize(), 4)
            fields.weights, fields.coding = self._store(stream, 2), HUFFMAN
            self.read_end = max(self.read_end, fields.weights + len(stream) + _READ_AHEAD_BYTES)
        kernel = self.plan.kernels[index]
        fields.kernel, fields.tile, fields.workspace = kernel.kernel, kernel.tile, kernel.workspace_words
        fields.scratch = self.plan.scratch_offsets[index]
        fields.parameters = b"" if operator.window is None else _window(operator.window)
        zero_point = self.network.tensors[operator.input].zero_point
        fields.requantization = self._store(channel_data(operator, zero_point), 4)


class _Fields:
    """Fields of an operator record that depend on the kind; the defaults mean none."""

    def __init__(self) -> None:
        self.input2 = NO_TENSOR
        self.kernel = self.tile = self.workspace = 0
        self.weights = self.bits = self.coding = self.zero_runs = 0
        self.requantization = self.code_table = self.scratch = 0
        self.parameters = b""

    def record(self, operator: n.NetworkOperator) -> bytes:
        return struct.pack(
            "<BBbbHHHHIIBBHII16sI",
            operator.kind, self.kernel, operator.activation_min, operator.activation_max,
            operator.input, self.input2, operator.output, self.tile,
            self.weights, self.bits, self.coding, self.zero_runs, self.workspace,
            self.requantization, self.code_table, self.parameters, self.scratch,
        )  # fmt: skip


def _by_groups(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weights [channel, k] in the order in which kernel 1 of FULLY_CONNECTED multiplies them, flat."""
    channels = len(weights)
    groups = [weights[first : first + GROUP_CHANNELS].T for first in range(0, channels, GROUP_CHANNELS)]
    return np.concatenate([group.reshape(-1) for group in groups])


def _window(window: n.WindowParameters) -> bytes:
    return struct.pack("<8H", *window.kernel, *window.stride, *window.dilation, *window.padding)
