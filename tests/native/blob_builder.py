"""Blobs for the engine's tests, written straight from docs/format.md and sharing no code with the packager.

    data = build(
        [Tensor((1, 2, 2, 1)), Tensor((1, 1, 1, 1))],
        [Operator(CONV_2D, 0, 1, parameters=window((2, 2)), weights=raw([1, 2, 3, 4]),
                  requantization=channels([ONE], [0]))],
    )

Tensors 0.. are the inputs, then the outputs. Nothing is checked: tests build wrong blobs on purpose.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, ADD, MUL, AVERAGE_POOL_2D = 1, 2, 3, 4, 5, 6
MAX_POOL_2D, MEAN, PAD, COPY, LOOKUP, SOFTMAX = 7, 8, 9, 10, 11, 12
NO_TENSOR = 0xFFFF

HEADER_FIELDS = {
    "magic": (0, "I"), "version": (4, "H"), "header_bytes": (6, "H"), "blob_bytes": (8, "I"), "crc32": (12, "I"),
    "arena_bytes": (16, "I"), "scratch_bytes": (20, "I"), "tensor_count": (24, "H"), "operator_count": (26, "H"),
    "input_count": (28, "B"), "output_count": (29, "B"), "golden_count": (30, "H"), "tensors_offset": (32, "I"),
    "operators_offset": (36, "I"), "golden_offset": (40, "I"), "metadata_offset": (44, "I"),
    "metadata_bytes": (48, "I"), "zero": (52, "B"), "last_zero": (63, "B"),
}  # fmt: skip
TENSOR_FIELDS = {
    "offset": (0, "I"), "n": (4, "H"), "h": (6, "H"), "w": (8, "H"), "c": (10, "H"), "rank": (12, "B"),
    "dtype": (13, "B"), "zero_point": (14, "b"), "flags": (15, "B"), "scale": (16, "f"), "scale_bits": (16, "I"),
}  # fmt: skip
OPERATOR_FIELDS = {
    "kind": (0, "B"), "kernel": (1, "B"), "activation_min": (2, "b"), "activation_max": (3, "b"), "input": (4, "H"),
    "input2": (6, "H"), "output": (8, "H"), "tile": (10, "H"), "weights_offset": (12, "I"),
    "weights_bits": (16, "I"), "weights_coding": (20, "B"), "zero": (21, "B"), "workspace": (22, "H"),
    "requantization_offset": (24, "I"), "code_table_offset": (28, "I"),
    "kernel_h": (32, "H"), "kernel_w": (34, "H"), "stride_h": (36, "H"), "stride_w": (38, "H"),
    "dilation_h": (40, "H"), "dilation_w": (42, "H"), "pad_top": (44, "H"), "pad_left": (46, "H"),
    "repeat": (32, "I"), "inner": (32, "I"), "chunk": (32, "I"), "stride": (36, "I"), "start": (40, "I"),
    "before_h": (32, "H"), "before_w": (36, "H"), "before_c": (40, "H"), "last_parameter": (47, "B"),
    "second_word": (36, "I"), "first_parameter": (32, "B"), "scratch_offset": (48, "I"),
}  # fmt: skip

# Multiplier and shift of the factors 1, 1/2 and 1/4.
ONE = (1 << 30, 1)
HALF = (1 << 30, 0)
QUARTER = (1 << 30, -1)


@dataclass
class CodeTable:
    first_symbol: int
    lengths: list[int]  # of first_symbol, first_symbol + 1, ...

    def data(self) -> bytes:
        longest = self.longest()
        counts = [self.lengths.count(length) for length in range(1, longest + 1)]
        head = struct.pack(f"<BBH{longest}H", longest, 0, self.used(), *counts)
        return head + struct.pack(f"<{self.used()}b", *self.codes())

    def codes(self) -> dict[int, str]:
        """Symbol -> its bits."""
        codes, code = {}, 0
        for length in range(1, max(self.lengths) + 1):
            code *= 2
            for place, own in enumerate(self.lengths):
                if own == length:
                    codes[self.first_symbol + place] = f"{code:0{length}b}"
                    code += 1
        return codes

    def used(self) -> int:
        return sum(length != 0 for length in self.lengths)

    def longest(self) -> int:
        return max(self.lengths)

    def decoder_bytes(self) -> int:
        return 512 + 4 * max(self.longest() - 8, 0)


@dataclass
class Weights:
    coding: int
    bits: int
    data: bytes
    table: CodeTable | None = None
    zero_runs: int = 0


def raw(values: Sequence[int]) -> Weights:
    return Weights(1, 8 * len(values), struct.pack(f"<{len(values)}b", *values))


def huffman_table(values: Sequence[int]) -> CodeTable:
    """Code lengths of Huffman's algorithm; a second symbol is added if there is only one. Not length-limited."""
    counts = Counter(values)
    if len(counts) == 1:
        counts[min(counts) + 1 if min(counts) < 127 else 126] += 1
    heap = [(count, symbol, [symbol]) for symbol, count in counts.items()]
    heapq.heapify(heap)
    lengths = dict.fromkeys(counts, 0)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in first[2] + second[2]:
            lengths[symbol] += 1
        heapq.heappush(heap, (first[0] + second[0], min(first[1], second[1]), first[2] + second[2]))
    return CodeTable(min(lengths), [lengths.get(symbol, 0) for symbol in range(min(lengths), max(lengths) + 1)])


def huffman(values: Sequence[int], table: CodeTable | None = None) -> Weights:
    table = table or huffman_table(values)
    codes = table.codes()
    text = "".join(codes[value] for value in values)
    padded = text + "0" * (-len(text) % 16)
    units = [int(padded[i : i + 16], 2) for i in range(0, len(padded), 16)]
    return Weights(2, len(text), struct.pack(f"<{len(units)}H", *units), table)


def run_code(run: int, low_bits: int) -> str:
    """A run of zeros in a stream with zero runs."""
    return "1" * (run >> low_bits) + "0" + "".join(str(run >> bit & 1) for bit in reversed(range(low_bits)))


def coded(text: str, table: CodeTable, zero_runs: int) -> Weights:
    """A stream of these bits, 0 and 1."""
    padded = text + "0" * (-len(text) % 16)
    units = [int(padded[i : i + 16], 2) for i in range(0, len(padded), 16)]
    return Weights(2, len(text), struct.pack(f"<{len(units)}H", *units), table, zero_runs)


def huffman_with_zero_runs(values: Sequence[int], per_channel: int, zero_runs: int) -> Weights:
    table = huffman_table([value for value in values if value] or [1])
    codes, text, run = table.codes(), "", 0
    for place, value in enumerate(values, 1):
        if value == 0:
            run += 1
        else:
            text += run_code(run, zero_runs - 1) + codes[value]
            run = 0
        if place % per_channel == 0 and run:
            text += run_code(run, zero_runs - 1)
            run = 0
    return coded(text, table, zero_runs)


def channels(
    scalings: Sequence[tuple[int, int]], biases: Sequence[int], weights: Sequence[int] = (), zero_point: int = 0
) -> bytes:
    """Requantisation data of the kinds with weights: (multiplier, shift) pairs; a single one for all channels.

    The biases are for (input - zero point) * weight; weights of all channels are needed if the zero point is not 0.
    """
    count = len(biases)
    per_channel = len(weights) // count
    sums = [sum(weights[c * per_channel : (c + 1) * per_channel]) for c in range(count)]
    folded = [(bias - zero_point * total + 2**31) % 2**32 - 2**31 for bias, total in zip(biases, sums, strict=True)]
    multipliers = [multiplier for multiplier, _ in scalings]
    base, bits = multipliers[0], 0
    if len(set(multipliers)) > 1:
        base = min(1 << 30, *multipliers)
        while any((multiplier - base) % (1 << (30 - bits)) for multiplier in multipliers):
            bits += 1
    least = min(shift for _, shift in scalings)
    widths = (
        max((1 + max(bias, ~bias).bit_length() for bias in folded if bias), default=0),
        bits,
        max(shift - least for _, shift in scalings).bit_length(),
    )
    stream = place = 0
    for bias, (multiplier, shift) in zip(folded, [*scalings, *scalings[-1:] * (count - len(scalings))], strict=True):
        for number, width in zip((bias, (multiplier - base) >> (30 - bits), shift - least), widths, strict=True):
            stream |= (number & ((1 << width) - 1)) << place
            place += width
    return struct.pack("<IbBBB", base, least, *widths) + stream.to_bytes((place + 31) // 32 * 4, "little")


def scalings(*pairs: tuple[int, int]) -> bytes:
    """Requantisation record of ADD, MUL and MEAN."""
    return b"".join(struct.pack("<ii", *pair) for pair in pairs)


def window(
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    pad: tuple[int, int] = (0, 0),
) -> bytes:
    return struct.pack("<8H", *kernel, *stride, *dilation, *pad)


@dataclass
class Tensor:
    shape: tuple[int, ...]
    zero_point: int = 0
    scale: float = 1.0
    constant: Sequence[int] | None = None
    offset: int | None = None  # in the arena; None: behind the tensors before it

    @property
    def elements(self) -> int:
        product = 1
        for dimension in self.shape:
            product *= dimension
        return product


@dataclass
class Operator:
    kind: int
    input: int
    output: int
    input2: int = NO_TENSOR
    parameters: bytes = b""
    clamp: tuple[int, int] = (-128, 127)
    weights: Weights | None = None
    tile: int = 0
    requantization: bytes = b""
    kernel: int = 0
    workspace: int = 0


@dataclass
class Blob:
    """A finished blob and where its records lie; `set_...` change a field, `sealed` repairs the checksum."""

    data: bytearray
    tensors_offset: int
    operators_offset: int
    places: dict[str, int] = field(default_factory=dict)  # "weights 0", "table 0", "requantization 0", ...

    def set_header(self, name: str, value: float) -> None:
        offset, code = HEADER_FIELDS[name]
        struct.pack_into("<" + code, self.data, offset, value)

    def set_tensor(self, index: int, name: str, value: float) -> None:
        offset, code = TENSOR_FIELDS[name]
        struct.pack_into("<" + code, self.data, self.tensors_offset + 20 * index + offset, value)

    def set_operator(self, index: int, name: str, value: float) -> None:
        offset, code = OPERATOR_FIELDS[name]
        struct.pack_into("<" + code, self.data, self.operators_offset + 52 * index + offset, value)

    def sealed(self) -> bytes:
        return seal(self.data)


def seal(data: bytes | bytearray) -> bytes:
    """The blob with the checksum of its present bytes."""
    return bytes(data[:12]) + struct.pack("<I", zlib.crc32(data[16:])) + bytes(data[16:])


def weights_per_channel(operator: Operator, tensors: Sequence[Tensor]) -> int:
    input_shape, output_shape = tensors[operator.input].shape, tensors[operator.output].shape
    if operator.kind == FULLY_CONNECTED:
        return tensors[operator.input].elements // (tensors[operator.output].elements // output_shape[-1])
    kernel_h, kernel_w = struct.unpack_from("<HH", operator.parameters)
    return int(kernel_h * kernel_w * (input_shape[-1] if operator.kind == CONV_2D else 1))


def scratch_bytes(operator: Operator, tensors: Sequence[Tensor]) -> int:
    held = 4 * operator.workspace
    if operator.weights is None or operator.weights.table is None:
        return held
    decoder = operator.weights.table.decoder_bytes()
    return decoder + (held if operator.kernel else operator.tile * weights_per_channel(operator, tensors))


def build(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    inputs: int = 1,
    outputs: int = 1,
    golden: Sequence[bytes] = (),
    metadata: bytes = b"",
) -> Blob:
    tensors_offset = 64
    operators_offset = tensors_offset + 20 * len(tensors)
    body = bytearray(operators_offset + 52 * len(operators))
    blob = Blob(body, tensors_offset, operators_offset)

    def append(name: str, data: bytes) -> int:
        body.extend(bytes(-len(body) % 4))
        blob.places[name] = len(body)
        body.extend(data)
        return blob.places[name]

    arena_end = 0
    for index, tensor in enumerate(tensors):
        dimensions = (1,) * (4 - len(tensor.shape)) + tensor.shape
        if tensor.constant is not None:
            offset = append(f"constant {index}", struct.pack(f"<{len(tensor.constant)}b", *tensor.constant))
        else:
            offset = arena_end if tensor.offset is None else tensor.offset
            arena_end = max(arena_end, offset + tensor.elements)
        struct.pack_into(
            "<I4HBBbBf", body, tensors_offset + 20 * index, offset, *dimensions, len(tensor.shape), 1,
            tensor.zero_point, tensor.constant is not None, tensor.scale,
        )  # fmt: skip
    scratch_start = (arena_end + 3) // 4 * 4  # behind all tensors
    scratch = 0
    for index, operator in enumerate(operators):
        weights = operator.weights or Weights(0, 0, b"")
        weights_offset = append(f"weights {index}", weights.data) if weights.data else 0
        table_offset = append(f"table {index}", weights.table.data()) if weights.table else 0
        requantization = operator.requantization
        requantization_offset = append(f"requantization {index}", requantization) if requantization else 0
        if operator.kind <= FULLY_CONNECTED and operator.tile == 0:
            operator.tile = tensors[operator.output].shape[-1]
        own_scratch = scratch_bytes(operator, tensors)
        scratch = max(scratch, own_scratch)
        struct.pack_into(
            "<BBbbHHHHIIBBHII16sI", body, operators_offset + 52 * index,
            operator.kind, operator.kernel, *operator.clamp, operator.input, operator.input2, operator.output,
            operator.tile, weights_offset, weights.bits,
            weights.coding, weights.zero_runs, operator.workspace, requantization_offset, table_offset,
            operator.parameters, scratch_start if own_scratch else 0,
        )  # fmt: skip
    arena_end = scratch_start + scratch if scratch else arena_end
    golden_offset = append("golden", b"".join(golden)) if golden else 0
    metadata_offset = append("metadata", metadata) if metadata else 0
    if any(operator.weights and operator.weights.table for operator in operators):
        body.extend(bytes(4))  # decoders read on for two units
    body.extend(bytes(-len(body) % 4))
    struct.pack_into(
        "<4sHHIIIIHHBBHIIIII", body, 0, b"SMG\x1a", 1, 64, len(body), 0, arena_end, scratch, len(tensors),
        len(operators), inputs, outputs, len(golden), tensors_offset, operators_offset, golden_offset,
        metadata_offset, len(metadata),
    )  # fmt: skip
    body[:] = seal(body)
    return blob
