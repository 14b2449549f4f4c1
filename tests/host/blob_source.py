"""Blobs put together byte by byte from docs/format.md, for the tests of the blob reader."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smidgen.blob.reader import read_blob

# A builder: records as the document's tables, sections wherever a record names one.


@dataclass(eq=False)
class Section:
    """Bytes behind the records; a record field that holds one becomes its offset."""

    data: bytes
    alignment: int = 1


@dataclass
class Tensor:
    offset: int | Section = 0
    dimensions: tuple[int, ...] = (1, 1, 1, 1)  # four
    rank: int = 4
    dtype: int = 1
    zero_point: int = 0
    flags: int = 0
    scale: float = 0.5


@dataclass
class Operator:
    kind: int
    kernel: int = 0
    activation_min: int = -128
    activation_max: int = 127
    input: int = 0
    input2: int = 0xFFFF
    output: int = 1
    tile: int = 0
    weights_offset: int | Section = 0
    weights_bits: int = 0
    weights_coding: int = 0
    zero_runs: int = 0
    workspace: int = 0
    requantization_offset: int | Section = 0
    code_table_offset: int | Section = 0
    parameters: bytes = b""
    scratch_offset: int = 0


@dataclass
class Source:
    """Everything a blob is built from. `header` replaces header fields just before the checksum is taken."""

    tensors: list[Tensor]
    operators: list[Operator]
    input_count: int = 1
    arena_bytes: int = 4096
    scratch_bytes: int = 0
    golden: list[bytes] = field(default_factory=list)
    metadata: bytes = b""
    gap: bytes = b""  # at the end, nobody's
    header: dict[str, Any] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)  # by id of a section, once built

    def build(self) -> bytes:
        tensors_offset = 64
        operators_offset = tensors_offset + 20 * len(self.tensors)
        body = bytearray(operators_offset + 52 * len(self.operators))
        place = self._placer(body)
        for position, tensor in enumerate(self.tensors):
            record = struct.pack(
                "<I4HBBbBf", place(tensor.offset), *tensor.dimensions,
                tensor.rank, tensor.dtype, tensor.zero_point, tensor.flags, tensor.scale,
            )  # fmt: skip
            start = tensors_offset + 20 * position
            body[start : start + 20] = record
        for position, o in enumerate(self.operators):
            record = struct.pack(
                "<BBbbHHHHIIBBHII16sI", o.kind, o.kernel, o.activation_min, o.activation_max, o.input, o.input2,
                o.output, o.tile, place(o.weights_offset), o.weights_bits, o.weights_coding, o.zero_runs, o.workspace,
                place(o.requantization_offset), place(o.code_table_offset), o.parameters, o.scratch_offset,
            )  # fmt: skip
            start = operators_offset + 52 * position
            body[start : start + 52] = record
        fields = self._header_fields(body, tensors_offset, operators_offset)
        body += self.gap
        body += bytes(-len(body) % 4)
        fields["blob_bytes"] = len(body)
        fields.update(self.header)
        body[:64] = struct.pack("<4sHHIIIIHHBBHIIIII12s", *fields.values())
        return seal(bytes(body))

    def _placer(self, body: bytearray) -> Callable[[int | Section], int]:
        def place(offset: int | Section) -> int:
            if isinstance(offset, int):
                return offset
            if id(offset) not in self.offsets:
                body.extend(bytes(-len(body) % offset.alignment))
                self.offsets[id(offset)] = len(body)
                body.extend(offset.data)
            return self.offsets[id(offset)]

        return place

    def _header_fields(self, body: bytearray, tensors_offset: int, operators_offset: int) -> dict[str, Any]:
        golden_offset = len(body) if self.golden else 0
        body += b"".join(self.golden)
        metadata_offset = len(body) if self.metadata else 0
        body += self.metadata
        return {
            "magic": b"SMG\x1a", "version": 1, "header_bytes": 64, "blob_bytes": 0, "crc32": 0,
            "arena_bytes": self.arena_bytes, "scratch_bytes": self.scratch_bytes,
            "tensor_count": len(self.tensors), "operator_count": len(self.operators),
            "input_count": self.input_count, "output_count": 1, "golden_count": len(self.golden),
            "tensors_offset": tensors_offset, "operators_offset": operators_offset,
            "golden_offset": golden_offset, "metadata_offset": metadata_offset,
            "metadata_bytes": len(self.metadata), "zero": b"",
        }  # fmt: skip


def seal(data: bytes) -> bytes:
    """The same bytes with a CRC-32 that is right."""
    (blob_bytes,) = struct.unpack_from("<I", data, 8)
    return data[:12] + struct.pack("<I", zlib.crc32(data[16:blob_bytes])) + data[16:]


# Huffman coding by hand: strings of 0 and 1.


def codes_of(lengths: dict[int, int]) -> dict[int, str]:
    """symbol -> code, as the document gives them out."""
    code, codes = 0, {}
    for length in range(1, max(lengths.values()) + 1):
        code *= 2
        for symbol in sorted(lengths):
            if lengths[symbol] == length:
                codes[symbol] = format(code, f"0{length}b")
                code += 1
    return codes


def units(bits: str) -> bytes:
    """A string of bits in u16 units, most significant bit first."""
    padded = bits + "0" * (-len(bits) % 16)
    return b"".join(struct.pack("<H", int(padded[i : i + 16], 2)) for i in range(0, len(padded), 16))


def code_table(lengths: dict[int, int]) -> bytes:
    longest = max(lengths.values())
    counts = [list(lengths.values()).count(length) for length in range(1, longest + 1)]
    symbols = sorted(lengths, key=lambda symbol: (lengths[symbol], symbol))
    return struct.pack(f"<BBH{longest}H{len(symbols)}b", longest, 0, len(symbols), *counts, *symbols)


def decode_bit_by_bit(bits: str, codes: dict[int, str], count: int) -> list[int]:
    symbols = {code: symbol for symbol, code in codes.items()}
    decoded, code = [], ""
    for bit in bits:
        code += bit
        if code in symbols:
            decoded.append(symbols[code])
            code = ""
    assert code == "" and len(decoded) == count
    return decoded


def random_lengths(generator: random.Random, leaves: int, max_length: int) -> dict[int, int]:
    """A complete code: a tree grown by splitting leaves."""
    lengths = [1, 1]
    while len(lengths) < leaves:
        index = generator.randrange(len(lengths))
        if lengths[index] < max_length:
            lengths[index] += 1
            lengths.append(lengths[index])
    return dict(zip(generator.sample(range(-128, 128), leaves), lengths, strict=True))


# One small valid blob for every kind of operator

CONV_WEIGHTS = np.arange(-9, 9, dtype=np.int8).reshape(3, 6)  # 3 output channels, kernel 1x3, 2 input channels
LENGTHS = {-3: 1, -1: 3, 0: 3, 2: 2}
CODED = [-3, -3, 2, 0, -1, -3, 2, 2, 0, -3, -3, -3, -1, 2, -3, 0, 2, -3]  # 18 weights
CODED_BITS = "".join(codes_of(LENGTHS)[weight] for weight in CODED)
TABLE_256 = bytes((i * 7) % 256 for i in range(256))


def channel_numbers(channels: int, bias_bits: int, multiplier_bits: int, shift_bits: int, shift: int = -3) -> Section:
    """Biases -1, 0, 1 ..., multipliers 2^30 and a step more each, shifts from `shift` on; alike without bits."""
    bits = ""
    for i in range(channels):
        for number, width in ((i - 1, bias_bits), (i, multiplier_bits), (i, shift_bits)):
            bits += "".join(str(number >> place & 1) for place in range(width))
    bits += "0" * (-len(bits) % 32)
    stream = bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
    return Section(struct.pack("<IbBBB", 2**30, shift, bias_bits, multiplier_bits, shift_bits) + stream, 4)


def integers(*numbers: int) -> Section:
    return Section(struct.pack(f"<{len(numbers)}i", *numbers), 4)


def window(*numbers: int) -> bytes:
    return struct.pack("<8H", *numbers)


def one(operator: Operator, shape_in: tuple[int, ...], shape_out: tuple[int, ...], **fields: Any) -> Source:
    """A network of one operator; the output tensor behind the input."""
    tensors = [Tensor(0, (1,) * (4 - len(shape_in)) + shape_in, len(shape_in))]
    tensors.append(Tensor(256, (1,) * (4 - len(shape_out)) + shape_out, len(shape_out)))
    return Source(tensors, [operator], **fields)


CONV_WINDOW = window(1, 3, 2, 1, 1, 2, 0, 1)


def conv() -> Source:
    operator = Operator(
        1, 0, -100, 99, tile=2, weights_offset=Section(CONV_WEIGHTS.tobytes()), weights_bits=18 * 8,
        weights_coding=1, requantization_offset=channel_numbers(3, 32, 30, 2), parameters=CONV_WINDOW,
    )  # fmt: skip
    return one(operator, (1, 5, 6, 2), (1, 3, 4, 3))


def conv_huffman() -> Source:
    source = conv()
    source.operators[0].weights_offset = Section(units(CODED_BITS), 2)
    source.operators[0].weights_bits = len(CODED_BITS)
    source.operators[0].weights_coding = 2
    source.operators[0].code_table_offset = Section(code_table(LENGTHS), 4)
    source.scratch_bytes, source.operators[0].scratch_offset = 512 + 2 * 6, 512
    return source


def pairs() -> Source:
    """The same weights with kernel 1 and two pairs of output rows in a block; rows of 6 pixels of 2 channels."""
    source = conv_huffman()
    operator = source.operators[0]
    operator.kernel, operator.tile = 1, 2
    operator.parameters = window(1, 3, 2, 1, 1, 1, 0, 1)
    operator.workspace = 3 + 2 * 12  # two channels of 6 weights, two rows
    source.scratch_bytes = 512 + 4 * 27
    return source


def pairs_pointwise() -> Source:
    """A depthwise convolution of 1x1 sees a column of 20 pixels: with kernel 1 one word for each pair."""
    operator = Operator(
        2, 1, tile=9, weights_offset=Section(bytes(range(6))), weights_bits=6 * 8, weights_coding=1, workspace=9 + 50,
        scratch_offset=1024,
        requantization_offset=channel_numbers(6, 0, 0, 0), parameters=window(1, 1, 1, 1, 1, 1, 0, 0),
    )  # fmt: skip
    return one(operator, (1, 4, 5, 3), (1, 4, 5, 6), scratch_bytes=4 * 59)


def depthwise() -> Source:
    operator = Operator(
        2, tile=1, weights_offset=Section(bytes(range(24))), weights_bits=24 * 8, weights_coding=1,
        requantization_offset=channel_numbers(4, 0, 0, 0), parameters=window(2, 3, 1, 1, 1, 1, 1, 2),
    )  # fmt: skip
    return one(operator, (1, 4, 4, 2), (1, 5, 5, 4))


def fully_connected() -> Source:
    operator = Operator(
        3, tile=4, weights_offset=Section(bytes(range(12))), weights_bits=12 * 8, weights_coding=1,
        requantization_offset=channel_numbers(4, 3, 0, 2),
    )  # fmt: skip
    return one(operator, (2, 3), (2, 4))


def fully_connected_streamed() -> Source:
    """3 -> 6 with kernel 1: the weights of four channels for input 0, 1, 2, then of the last two."""
    operator = Operator(
        3, 1, tile=1, weights_offset=Section(units(CODED_BITS), 2), weights_bits=len(CODED_BITS), weights_coding=2,
        requantization_offset=channel_numbers(6, 4, 0, 3), code_table_offset=Section(code_table(LENGTHS), 4),
        scratch_offset=512,
    )  # fmt: skip
    return one(operator, (1, 3), (1, 6), scratch_bytes=512)


def binary(kind: int) -> Source:
    """input2 is a constant of three channels, repeated for two neighbours each."""
    numbers = integers(2**30, -1, 2**29, -31, 7, 0) if kind == 4 else integers(2**30, 30)
    operator = Operator(kind, 0, -5, 6, input2=2, requantization_offset=numbers, parameters=struct.pack("<I", 2))
    source = one(operator, (2, 2, 6), (2, 2, 6))
    source.tensors.append(Tensor(Section(bytes([1, 2, 255])), (1, 1, 1, 3), 1, zero_point=4, flags=1, scale=0.25))
    return source


def linear_add() -> Source:
    source = binary(4)
    source.operators[0].kernel = 1
    source.operators[0].requantization_offset = integers(2**30, -3, -(2**31), 31)
    return source


def pool(kind: int) -> Source:
    return one(Operator(kind, 0, 0, 50, parameters=window(2, 3, 2, 1, 1, 1, 1, 2)), (1, 4, 4, 3), (1, 3, 5, 3))


def mean() -> Source:
    operator = Operator(8, requantization_offset=integers(2**30 + 5, -4), parameters=struct.pack("<I", 3))
    return one(operator, (1, 4, 4, 3), (1, 1, 1, 3))


def pad() -> Source:
    return one(Operator(9, parameters=struct.pack("<6H", 1, 2, 0, 1, 0, 3)), (1, 2, 2, 1), (1, 5, 3, 4))


def copy() -> Source:
    """Concatenation of two inputs along the channels."""
    operators = [
        Operator(10, input=0, output=2, parameters=struct.pack("<3I", 2, 5, 0)),
        Operator(10, input=1, output=2, parameters=struct.pack("<3I", 3, 5, 2)),
    ]
    tensors = [Tensor(0, (1, 2, 2, 2)), Tensor(8, (1, 2, 2, 3)), Tensor(20, (1, 2, 2, 5))]
    return Source(tensors, operators, input_count=2, arena_bytes=40)


def lookup() -> Source:
    return one(Operator(11, weights_offset=Section(TABLE_256), weights_bits=2048, weights_coding=1), (5, 2), (10,))


def softmax() -> Source:
    source = one(Operator(12, requantization_offset=integers(2**30, 23, -248)), (2, 5), (2, 5))
    source.tensors[1].zero_point = -128
    return source


def everything() -> Source:
    """A convolution and a layer that share a code table, a constant, golden vectors, metadata, and padding."""
    source = conv_huffman()
    convolution = source.operators[0]
    convolution.output = 2
    source.operators.append(
        Operator(
            3, input=2, output=1, tile=1, weights_offset=Section(units(CODED_BITS * 2), 2),
            weights_bits=len(CODED_BITS * 2), weights_coding=2, scratch_offset=3000,
            requantization_offset=channel_numbers(1, 16, 0, 0), code_table_offset=convolution.code_table_offset,
        )
    )  # fmt: skip
    source.tensors.insert(1, Tensor(0, rank=2))
    source.tensors.append(Tensor(Section(bytes(7), 4), (1, 1, 1, 7), 1, flags=1))
    source.scratch_bytes = 512 + 36
    source.golden = [bytes(range(61)), bytes(range(100, 161))]
    source.metadata = json.dumps({"name": "kws", "labels": ["j\u00e4"]}, ensure_ascii=False).encode()
    return source


EXAMPLES: dict[str, Callable[[], Source]] = {
    "conv": conv,
    "conv_huffman": conv_huffman,
    "pairs": pairs,
    "pairs_pointwise": pairs_pointwise,
    "depthwise": depthwise,
    "fully_connected": fully_connected,
    "fully_connected_streamed": fully_connected_streamed,
    "add": lambda: binary(4),
    "linear_add": linear_add,
    "mul": lambda: binary(5),
    "average_pool": lambda: pool(6),
    "max_pool": lambda: pool(7),
    "mean": mean,
    "pad": pad,
    "copy": copy,
    "lookup": lookup,
    "softmax": softmax,
    "everything": everything,
}


def first_operator(name: str) -> Any:
    return read_blob(EXAMPLES[name]().build()).network.operators[0]
