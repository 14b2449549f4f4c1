"""What operators with weights keep outside their record: the weights and the per-channel requantisation data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.contents import WeightStorage
from smidgen.blob.reader_bytes import BlobBytes, require
from smidgen.blob.reader_channels import ChannelNumbers, read_channel_numbers
from smidgen.blob.reader_gathering import Gathering
from smidgen.blob.reader_huffman import CodeTable, decode_huffman, read_code_table
from smidgen.blob.reader_records import OperatorRecord
from smidgen.blob.reader_zero_runs import MAX_ZERO_RUNS, WeightShape, decode_zero_runs

RAW, HUFFMAN = 1, 2

_LOOKUP_BITS = 8  # docs/format.md, section 6
_GROUP_CHANNELS = 4
_READ_AHEAD_BYTES = 4  # behind a stream, section 5
_NUMBERS_BYTES = 12  # three i32 for each channel
_EXPANSION_ALLOWANCE = 16 * 2**20


@dataclass
class WeightReader:
    """Reads the weights of one operator after the other; `storage` tells how each was stored.

    Operators may share weights and numbers, which are then read once. Different sections that overlap, and runs of
    zeros, could make a small blob expand to any size, so all that is expanded together may not exceed what a blob
    without either can hold (8 weights in a byte), plus an allowance.
    """

    blob: BlobBytes
    blob_bytes: int
    storage: dict[int, WeightStorage] = field(default_factory=dict)
    _decoded: dict[tuple[int, int, int, int, int, int], NDArray[np.int8]] = field(default_factory=dict)
    _sums: dict[tuple[int, ...], NDArray[np.int64]] = field(default_factory=dict)
    _numbers: dict[tuple[int, int], ChannelNumbers] = field(default_factory=dict)
    _expanded: int = 0

    def weights(
        self, subject: str, index: int, record: OperatorRecord, shape: WeightShape, gathering: Gathering | None
    ) -> NDArray[np.int8]:
        """int8 [channels, per channel]; read-only. gathering: what kernel 1 of the convolutions gathers, else None."""
        if gathering is None:
            require(
                1 <= record.tile <= shape.channels,
                subject,
                f"tile is {record.tile}, expected 1 .. {shape.channels} (its output channels)",
            )
        require(record.tile >= 1, subject, "tile is 0, expected at least 1 pair of output rows")
        require(
            record.weights_coding in (RAW, HUFFMAN),
            subject,
            f"weights_coding is {record.weights_coding}, expected 1 (raw) or 2 (Huffman)",
        )
        table = None
        if record.weights_coding == RAW:
            weights = self._raw(subject, index, record, shape)
        else:
            weights, table = self._huffman(subject, index, record, shape)
        self._store(subject, index, record, shape, table, gathering)
        if gathering is None and record.kernel != 0 and not record.zero_runs:
            return _from_groups(weights, shape)
        return weights.reshape(shape.channels, shape.per_channel)

    def _raw(self, subject: str, index: int, record: OperatorRecord, shape: WeightShape) -> NDArray[np.int8]:
        require(
            record.weights_bits == 8 * shape.count,
            subject,
            f"weights_bits is {record.weights_bits}, {shape.count} raw weights take {8 * shape.count}",
        )
        offset = record.weights_offset
        view = self.blob.section(f"{subject}: weights", offset, shape.count, "weights", operator=index)
        return np.frombuffer(view, np.int8)

    def _huffman(
        self, subject: str, index: int, record: OperatorRecord, shape: WeightShape
    ) -> tuple[NDArray[np.int8], CodeTable]:
        bits, offset = record.weights_bits, record.weights_offset
        require(
            record.zero_runs <= MAX_ZERO_RUNS,
            subject,
            f"zero_runs is {record.zero_runs}, expected 0 .. {MAX_ZERO_RUNS}",
        )
        coded, what = (shape.channels, "channels") if record.zero_runs else (shape.count, "weights")
        require(coded <= bits, subject, f"weights_bits is {bits}, {coded} {what} take at least one bit each")
        table = read_code_table(self.blob, record.code_table_offset, index)
        size = 2 * -(-bits // 16)
        stream = self.blob.section(f"{subject}: weights", offset, size, "weights", operator=index, alignment=2)
        self.blob.view(f"{subject}: read-ahead of the weights", offset + size, _READ_AHEAD_BYTES)
        key = (offset, bits, record.code_table_offset, shape.channels, shape.per_channel, record.zero_runs)
        if key not in self._decoded:
            self._expand(subject, shape.count)
            if record.zero_runs:
                self._decoded[key] = decode_zero_runs(subject, stream, bits, shape, table, record.zero_runs)
            else:
                self._decoded[key] = decode_huffman(subject, stream, bits, shape.count, table)
        return self._decoded[key], table

    def _store(
        self,
        subject: str,
        index: int,
        record: OperatorRecord,
        shape: WeightShape,
        table: CodeTable | None,
        gathering: Gathering | None,
    ) -> None:
        workspace = 4 * record.workspace
        coded = 0 if table is None else shape.per_channel
        if gathering is not None:
            needed = gathering.needed_bytes(coded)
            require(needed <= workspace, subject, f"its workspace has {workspace} bytes, it needs at least {needed}")
        held = record.tile * coded if record.kernel == 0 else workspace
        self.storage[index] = WeightStorage(
            coding="raw" if table is None else "zero runs" if record.zero_runs else "huffman",
            zero_runs=record.zero_runs,
            offset=record.weights_offset,
            bits=record.weights_bits,
            code_table_offset=record.code_table_offset,
            kernel=record.kernel,
            tile=record.tile,
            workspace_bytes=workspace,
            scratch_bytes=held if table is None else decoding_table_bytes(table) + held,
            scratch_offset=record.scratch_offset,
        )

    def _expand(self, subject: str, size: int) -> None:
        self._expanded += size
        limit = 8 * self.blob_bytes + _EXPANSION_ALLOWANCE
        require(
            self._expanded <= limit,
            subject,
            f"weights and numbers up to here expand to {self._expanded} bytes, the limit is {limit}: sections overlap, "
            "or there are too many runs of zeros",
        )

    def channel_numbers(self, subject: str, index: int, record: OperatorRecord, channels: int) -> ChannelNumbers:
        """The numbers at requantization_offset."""
        key = (record.requantization_offset, channels)
        if key not in self._numbers:
            self._expand(subject, _NUMBERS_BYTES * channels)
            self._numbers[key] = read_channel_numbers(self.blob, subject, index, record.requantization_offset, channels)
        return self._numbers[key]

    def sums(self, record: OperatorRecord, weights: NDArray[np.int8]) -> NDArray[np.int64]:
        """The sum of each output channel's weights, which are those of `record`."""
        stored = record.weights_offset, record.weights_bits, record.code_table_offset, record.zero_runs
        key = (*stored, *weights.shape, record.kind, record.kernel)
        if key not in self._sums:
            self._sums[key] = weights.sum(axis=1, dtype=np.int64)
        return self._sums[key]


def _from_groups(weights: NDArray[np.int8], shape: WeightShape) -> NDArray[np.int8]:
    """[channels, per channel] from the order of kernel 1 of FULLY_CONNECTED (docs/format.md, section 6)."""
    grouped = shape.channels - shape.channels % _GROUP_CHANNELS
    whole, rest = np.split(weights, [grouped * shape.per_channel])
    groups = whole.reshape(-1, shape.per_channel, _GROUP_CHANNELS).transpose(0, 2, 1)
    last = rest.reshape(shape.per_channel, shape.channels - grouped).T
    return np.concatenate([groups.reshape(grouped, shape.per_channel), last])


def decoding_table_bytes(table: CodeTable) -> int:
    """Scratch that a code table takes while it is used (docs/format.md, section 6)."""
    return (2 << _LOOKUP_BITS) + 4 * max(table.max_length - _LOOKUP_BITS, 0)
