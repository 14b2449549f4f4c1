"""Which fields of an operator record a kind uses; the others must have the value docs/format.md gives for "none"."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from smidgen.blob.reader_bytes import BlobBytes, require
from smidgen.blob.reader_records import OperatorRecord, TensorRecord
from smidgen.blob.reader_weights import HUFFMAN, RAW, WeightReader
from smidgen.network import Kind
from smidgen.requantization import MAX_SHIFT, MIN_SHIFT

NO_TENSOR = 0xFFFF
PLAIN_KERNEL, PAIRS_KERNEL, STREAMED_KERNEL = 0, 1, 1  # pairs: of convolutions; streamed: of FULLY_CONNECTED
LINEAR_KERNEL = 1  # of ADD

_WINDOW_BYTES = 16


@dataclass(frozen=True)
class KindFields:
    """Which fields of the operator record a kind uses; the others have the value for "none"."""

    clamp: bool = False
    input2: bool = False
    weights: bool = False
    table: bool = False
    requantization: bool = False
    parameter_bytes: int = 0
    kernels: tuple[int, ...] = (PLAIN_KERNEL,)


_CONVOLUTION = KindFields(
    clamp=True,
    weights=True,
    requantization=True,
    parameter_bytes=_WINDOW_BYTES,
    kernels=(PLAIN_KERNEL, PAIRS_KERNEL),
)
_FIELDS = {
    Kind.CONV_2D: _CONVOLUTION,
    Kind.DEPTHWISE_CONV_2D: _CONVOLUTION,
    Kind.FULLY_CONNECTED: KindFields(
        clamp=True, weights=True, requantization=True, kernels=(PLAIN_KERNEL, STREAMED_KERNEL)
    ),
    Kind.ADD: KindFields(
        clamp=True, input2=True, requantization=True, parameter_bytes=4, kernels=(PLAIN_KERNEL, LINEAR_KERNEL)
    ),
    Kind.MUL: KindFields(clamp=True, input2=True, requantization=True, parameter_bytes=4),
    Kind.AVERAGE_POOL_2D: KindFields(clamp=True, parameter_bytes=_WINDOW_BYTES),
    Kind.MAX_POOL_2D: KindFields(clamp=True, parameter_bytes=_WINDOW_BYTES),
    Kind.MEAN: KindFields(requantization=True, parameter_bytes=4),
    Kind.PAD: KindFields(parameter_bytes=12),
    Kind.COPY: KindFields(parameter_bytes=12),
    Kind.LOOKUP: KindFields(table=True),
    Kind.SOFTMAX: KindFields(requantization=True),
}


@dataclass(frozen=True)
class OperatorSource:
    """One operator's record, with all that its fields refer to."""

    index: int
    kind: Kind
    record: OperatorRecord
    tensors: list[TensorRecord]
    blob: BlobBytes
    weights: WeightReader
    arena_bytes: int

    @property
    def subject(self) -> str:
        return f"operator {self.index} ({self.kind.name})"

    @property
    def input(self) -> TensorRecord:
        return self.tensors[self.record.input]

    @property
    def input2(self) -> TensorRecord:
        return self.tensors[self.record.input2]

    @property
    def output(self) -> TensorRecord:
        return self.tensors[self.record.output]

    def require(self, condition: bool, problem: str) -> None:
        require(condition, self.subject, problem)

    def require_equal(self, field: str, found: int, expected: int) -> None:
        self.require(found == expected, f"{field} is {found}, expected {expected}")

    def require_divides(self, divisor: int, number: int, divisor_name: str, number_name: str) -> None:
        self.require(
            divisor >= 1 and number % max(divisor, 1) == 0,
            f"{divisor_name} ({divisor}) does not divide {number_name} ({number})",
        )

    def parameters(self, layout: str) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.record.parameters)

    def factors(self, count: int, minimum: int = MIN_SHIFT, maximum: int = MAX_SHIFT) -> list[tuple[int, int]]:
        """`count` pairs of multiplier and shift at requantization_offset."""
        numbers = self.requantization(2 * count)
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        for position, (multiplier, shift) in enumerate(pairs, 1):
            self.require(multiplier >= 0, f"multiplier {position} is {multiplier}, it must be 0 .. 2^31-1")
            self.require(minimum <= shift <= maximum, f"shift {position} is {shift}, expected {minimum} .. {maximum}")
        return pairs

    def requantization(self, count: int) -> tuple[int, ...]:
        """`count` i32 at requantization_offset."""
        view = self.blob.section(
            f"{self.subject}: requantization",
            self.record.requantization_offset,
            4 * count,
            "requantization",
            operator=self.index,
            alignment=4,
        )
        return struct.unpack(f"<{count}i", view)


def kind_of(index: int, record: OperatorRecord) -> Kind:
    """The kind of a record; BlobError if this version does not know it."""
    require(record.kind in _FIELDS, f"operator {index}", f"kind is {record.kind}, version 1 knows 1 .. {len(_FIELDS)}")
    return Kind(record.kind)


def check_tensors(source: OperatorSource) -> None:
    count = len(source.tensors)
    names = ["input", "output"] + ["input2"] * _FIELDS[source.kind].input2
    for name in names:
        index = getattr(source.record, name)
        source.require(index < count, f"{name} is tensor {index}, there are only {count}")
    source.require(not source.output.is_constant, f"its output, tensor {source.record.output}, is a constant")


def check_unused_fields(source: OperatorSource) -> None:
    record, fields = source.record, _FIELDS[source.kind]
    source.require(
        record.kernel in fields.kernels,
        f"kernel is {record.kernel}, this kind has {', '.join(map(str, fields.kernels))}",
    )
    if record.kernel == PLAIN_KERNEL or not fields.weights:
        source.require_equal("workspace", record.workspace, 0)
    if record.weights_coding != HUFFMAN:
        source.require_equal("zero_runs", record.zero_runs, 0)
    rest = record.parameters[fields.parameter_bytes :]
    source.require(not any(rest), f"unused parameter bytes are {rest.hex(' ')}, expected zeros")
    if not fields.input2:
        source.require_equal("input2", record.input2, NO_TENSOR)
    if not fields.requantization:
        source.require_equal("requantization_offset", record.requantization_offset, 0)
    _check_clamp(source, fields)
    _check_unused_weights(source, fields)


def _check_clamp(source: OperatorSource, fields: KindFields) -> None:
    minimum, maximum = source.record.activation_min, source.record.activation_max
    source.require(minimum <= maximum, f"activation_min {minimum} is above activation_max {maximum}")
    if not fields.clamp:
        source.require_equal("activation_min", minimum, -128)
        source.require_equal("activation_max", maximum, 127)


def _check_unused_weights(source: OperatorSource, fields: KindFields) -> None:
    record = source.record
    if not fields.weights:
        source.require_equal("tile", record.tile, 0)
        source.require_equal("scratch_offset", record.scratch_offset, 0)
    if not (fields.weights or fields.table):
        for name in ("weights_coding", "weights_offset", "weights_bits"):
            source.require_equal(name, getattr(record, name), 0)
    if not fields.weights or record.weights_coding == RAW:
        source.require_equal("code_table_offset", record.code_table_offset, 0)


def check_scratch(source: OperatorSource, size: int) -> None:
    """Where the scratch of an operator with one input lies, `size` bytes."""
    offset = source.record.scratch_offset
    if size == 0:
        source.require_equal("scratch_offset", offset, 0)
        return
    source.require(offset % 4 == 0, f"scratch_offset is {offset}, expected a multiple of 4")
    source.require(
        offset + size <= source.arena_bytes,
        f"its scratch of {size} bytes at arena offset {offset} ends behind the arena, which has {source.arena_bytes}",
    )
    for name, tensor in (("input", source.input), ("output", source.output)):
        apart = tensor.is_constant or offset + size <= tensor.offset or tensor.offset + tensor.elements <= offset
        source.require(apart, f"its scratch of {size} bytes at arena offset {offset} overlaps the {name}")
