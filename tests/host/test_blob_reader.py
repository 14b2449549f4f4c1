"""The blob reader gives back what went into a valid blob."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest
from blob_source import (
    CODED,
    CODED_BITS,
    CONV_WEIGHTS,
    EXAMPLES,
    TABLE_256,
    Operator,
    Section,
    binary,
    channel_numbers,
    codes_of,
    conv,
    conv_huffman,
    copy,
    decode_bit_by_bit,
    everything,
    first_operator,
    lookup,
    random_lengths,
    seal,
    units,
)

from smidgen import network as n
from smidgen.blob.reader import read_blob
from smidgen.blob.reader_huffman import CodeTable, decode_huffman

# Valid blobs give back what went in


def test_conv() -> None:
    blob = read_blob(conv().build())
    operator = blob.network.operators[0]
    assert isinstance(operator, n.WeightedOperator) and operator.kind == n.Kind.CONV_2D
    assert (operator.input, operator.output, operator.activation_min, operator.activation_max) == (0, 1, -100, 99)
    assert np.array_equal(operator.weights, CONV_WEIGHTS) and operator.weights.dtype == np.int8
    assert operator.window == n.WindowParameters((1, 3), (2, 1), (1, 2), (0, 1))
    assert operator.bias is not None and operator.bias.tolist() == [-1, 0, 1] and operator.bias.dtype == np.int32
    assert operator.multiplier.tolist() == [2**30, 2**30 + 1, 2**30 + 2] and operator.multiplier.dtype == np.int32
    assert operator.shift.tolist() == [-3, -2, -1] and operator.shift.dtype == np.int32
    stored = blob.storage[0]
    assert (stored.coding, stored.bits, stored.tile, stored.scratch_bytes) == ("raw", 144, 2, 0)
    assert (blob.arena_bytes, blob.scratch_bytes, blob.arena_offsets) == (4096, 0, [0, 256])
    assert [tensor.shape for tensor in blob.network.tensors] == [(1, 5, 6, 2), (1, 3, 4, 3)]


def test_conv_huffman() -> None:
    source = conv_huffman()
    blob = read_blob(source.build())
    operator = blob.network.operators[0]
    assert isinstance(operator, n.WeightedOperator)
    assert operator.weights.tolist() == np.reshape(CODED, (3, 6)).tolist()
    stored, record = blob.storage[0], source.operators[0]
    assert stored.coding == "huffman" and stored.bits == len(CODED_BITS) and stored.scratch_bytes == 524
    assert stored.offset == source.offsets[id(record.weights_offset)]
    assert stored.code_table_offset == source.offsets[id(record.code_table_offset)]


def test_depthwise_with_a_shared_multiplier_and_no_bias() -> None:
    operator = first_operator("depthwise")
    assert operator.kind == n.Kind.DEPTHWISE_CONV_2D and operator.bias is None
    assert operator.weights.tolist() == np.arange(24).reshape(4, 6).tolist()
    assert operator.multiplier.tolist() == [2**30] and operator.shift.tolist() == [-3]
    assert operator.window == n.WindowParameters((2, 3), (1, 1), (1, 1), (1, 2))


def test_fully_connected_with_short_biases() -> None:
    operator = first_operator("fully_connected")
    assert operator.kind == n.Kind.FULLY_CONNECTED and operator.window is None
    assert operator.weights.tolist() == np.arange(12).reshape(4, 3).tolist()
    assert operator.bias.tolist() == [-1, 0, 1, 2] and operator.bias.dtype == np.int32
    assert operator.shift.tolist() == [-3, -2, -1, 0]
    assert operator.multiplier.tolist() == [2**30] * 4


def test_the_bias_holds_the_zero_point_of_the_input() -> None:
    """Stored are -1 .. 2; the weights are 0 .. 11, three for each channel."""
    source = EXAMPLES["fully_connected"]()
    source.tensors[0].zero_point = -5
    operator: Any = read_blob(source.build()).network.operators[0]
    assert operator.bias.tolist() == [-1 - 5 * 3, 0 - 5 * 12, 1 - 5 * 21, 2 - 5 * 30]


def test_the_bias_wraps() -> None:
    source = conv()
    numbers, source.tensors[0].zero_point = channel_numbers(3, 32, 0, 0), 1
    source.operators[0].requantization_offset = Section(
        numbers.data[:8] + struct.pack("<3i", 2**31 - 1, 5, -(2**31)), 4
    )
    operator: Any = read_blob(source.build()).network.operators[0]
    sums = CONV_WEIGHTS.sum(axis=1).tolist()
    assert sums == [-39, -3, 33]
    assert operator.bias.tolist() == [2**31 - 40, 2, -(2**31) + 33]


def test_binary() -> None:
    blob = read_blob(binary(4).build())
    add: Any = blob.network.operators[0]
    assert (add.kind, add.inputs, add.repeat, add.activation_min, add.activation_max) == (n.Kind.ADD, (0, 2), 2, -5, 6)
    assert (add.multipliers, add.shifts) == ((2**30, 2**29, 7), (-1, -31, 0))
    constant = blob.network.tensors[2]
    assert constant.data is not None and constant.data.tolist() == [1, 2, -1] and constant.shape == (3,)
    assert (constant.scale, constant.zero_point, blob.arena_offsets[2]) == (0.25, 4, None)
    mul = first_operator("mul")
    assert (mul.kind, mul.inputs, mul.multipliers, mul.shifts) == (n.Kind.MUL, (0, 2), (2**30,), (30,))


def test_linear_add() -> None:
    add = first_operator("linear_add")
    assert isinstance(add, n.LinearAddOperator)
    assert (add.kind, add.inputs, add.repeat, add.activation_min, add.activation_max) == (n.Kind.ADD, (0, 2), 2, -5, 6)
    assert (add.factors, add.offset, add.exponent) == ((2**30, -3), -(2**31), 31)


def test_pools() -> None:
    for name, kind in (("average_pool", n.Kind.AVERAGE_POOL_2D), ("max_pool", n.Kind.MAX_POOL_2D)):
        operator = first_operator(name)
        assert (operator.kind, operator.activation_min, operator.activation_max) == (kind, 0, 50)
        assert operator.window == n.WindowParameters((2, 3), (2, 1), (1, 1), (1, 2))


def test_mean() -> None:
    operator = first_operator("mean")
    assert (operator.kind, operator.inner) == (n.Kind.MEAN, 3)
    assert (operator.multiplier, operator.shift) == (2**30 + 5, -4)


def test_operators_that_move_elements() -> None:
    assert first_operator("pad").paddings == ((1, 2), (0, 1), (0, 3))
    copies: list[Any] = read_blob(copy().build()).network.operators
    assert [(c.input, c.output, c.chunk, c.stride, c.start) for c in copies] == [(0, 2, 2, 5, 0), (1, 2, 3, 5, 2)]
    assert first_operator("lookup").table.tobytes() == TABLE_256


def test_softmax() -> None:
    operator = first_operator("softmax")
    assert (operator.kind, operator.multiplier, operator.shift, operator.minimum) == (n.Kind.SOFTMAX, 2**30, 23, -248)


def test_kernel_1() -> None:
    blob = read_blob(EXAMPLES["pairs"]().build())
    stored = blob.storage[0]
    assert (stored.kernel, stored.tile, stored.workspace_bytes, stored.scratch_bytes) == (1, 2, 108, 620)
    stored = read_blob(EXAMPLES["pairs_pointwise"]().build()).storage[0]
    assert (stored.kernel, stored.tile, stored.workspace_bytes, stored.scratch_bytes) == (1, 9, 236, 236)


def test_weights_in_the_order_of_kernel_1() -> None:
    operator = first_operator("fully_connected_streamed")
    assert isinstance(operator, n.WeightedOperator)
    expected = [CODED[0:12:4], CODED[1:12:4], CODED[2:12:4], CODED[3:12:4], CODED[12::2], CODED[13::2]]
    assert operator.weights.tolist() == expected


def test_golden_vectors_and_metadata() -> None:
    blob = read_blob(everything().build())
    assert len(blob.golden) == 2
    assert blob.golden[1].inputs[0].tolist() == np.arange(100, 160).astype(np.int8).reshape(1, 5, 6, 2).tolist()
    assert blob.golden[1].outputs[0].tolist() == np.array([[160]]).astype(np.int8).tolist()
    assert blob.metadata == {"name": "kws", "labels": ["j\u00e4"]} == blob.network.metadata
    assert blob.storage[1].scratch_bytes == blob.scratch_bytes == 548


@pytest.mark.parametrize("name", EXAMPLES)
def test_spans_cover_every_byte_once(name: str) -> None:
    blob = read_blob(EXAMPLES[name]().build())
    position = 0
    for span in blob.spans:
        assert span.offset == position and span.size > 0
        position += span.size
    assert position == blob.blob_bytes


def test_spans_say_what_the_bytes_are_for() -> None:
    source = everything()
    source.gap = bytes(5)
    blob = read_blob(source.build())
    sizes: dict[tuple[str, int | None], int] = {}
    for span in blob.spans:
        sizes[span.purpose, span.operator] = sizes.get((span.purpose, span.operator), 0) + span.size
    padding = sizes.pop(("padding", None))
    assert sizes == {
        ("header", None): 64, ("tensors", None): 80, ("operators", None): 104, ("constant", None): 7,
        ("weights", 0): 6, ("requantization", 0): 8 + 24, ("code table", 0): 14,
        ("weights", 1): 10, ("requantization", 1): 8 + 4,
        ("golden", None): 122, ("metadata", None): len(source.metadata),
    }  # fmt: skip
    assert padding == blob.blob_bytes - sum(sizes.values()) >= 5


@pytest.mark.parametrize(
    ("name", "purpose", "size"),
    [("add", "requantization", 24), ("softmax", "requantization", 12), ("lookup", "lookup table", 256)],
)
def test_spans_of_other_sections(name: str, purpose: str, size: int) -> None:
    blob = read_blob(EXAMPLES[name]().build())
    assert [(span.size, span.operator) for span in blob.spans if span.purpose == purpose] == [(size, 0)]


def test_the_constant_span_names_its_reader() -> None:
    assert [span.operator for span in read_blob(binary(5).build()).spans if span.purpose == "constant"] == [0]


def test_overlapping_sections_count_once() -> None:
    source = lookup()
    source.operators.append(Operator(**vars(source.operators[0])))
    data = bytearray(source.build() + bytes(4))
    start = source.offsets[id(source.operators[0].weights_offset)]
    struct.pack_into("<I", data, 64 + 40 + 52 + 12, start + 4)  # the second table begins inside the first
    struct.pack_into("<I", data, 8, len(data))
    spans = read_blob(seal(bytes(data))).spans
    assert [(s.offset, s.size, s.operator) for s in spans[-2:]] == [(start, 256, 0), (start + 256, 4, 1)]


# Huffman coding against a decoder that looks at one bit after the other


def table_of(lengths: dict[int, int]) -> CodeTable:
    ordered = sorted(lengths, key=lambda symbol: (lengths[symbol], symbol))
    counts = tuple(list(lengths.values()).count(length) for length in range(1, max(lengths.values()) + 1))
    return CodeTable(counts, tuple(ordered))


@pytest.mark.parametrize("seed", range(12))
def test_huffman_against_a_bit_by_bit_decoder(seed: int) -> None:
    generator = random.Random(seed)
    lengths = random_lengths(generator, generator.choice([2, 3, 17, 60, 200, 256]), 15)
    codes = codes_of(lengths)
    weights = generator.choices(list(lengths), k=generator.choice([1, 2, 500]))
    bits = "".join(codes[weight] for weight in weights)
    table = table_of(lengths)
    decoded = decode_huffman("weights", memoryview(units(bits)), len(bits), len(weights), table)
    assert decoded.tolist() == decode_bit_by_bit(bits, codes, len(weights)) == weights


def test_huffman_with_the_longest_codes() -> None:
    """Lengths 1, 2, .. 15, 15: every window straddles units somewhere."""
    lengths = {symbol: min(symbol + 8, 15) for symbol in range(-7, 9)}
    codes = codes_of(lengths)
    weights = [symbol for _ in range(40) for symbol in range(-7, 9)]
    bits = "".join(codes[weight] for weight in weights)
    table = table_of(lengths)
    assert decode_huffman("weights", memoryview(units(bits)), len(bits), len(weights), table).tolist() == weights
