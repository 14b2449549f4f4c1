"""The blob reader refuses every blob that breaks a rule of docs/format.md, and says which."""

from __future__ import annotations

import json
import random
import re
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from blob_source import (
    CODED_BITS,
    EXAMPLES,
    Operator,
    Section,
    Source,
    Tensor,
    code_table,
    conv,
    conv_huffman,
    everything,
    integers,
    one,
    seal,
    window,
)

from smidgen.blob.reader import read_blob, read_blob_file
from smidgen.errors import BlobError, InputError

# Every rule, broken alone

Break = Callable[[Source], None]


def operator(index: int = 0, /, **fields: Any) -> Break:
    return lambda source: vars(source.operators[index]).update(fields)


def tensor(index: int, /, **fields: Any) -> Break:
    return lambda source: vars(source.tensors[index]).update(fields)


def header(**fields: Any) -> Break:
    return lambda source: source.header.update(fields)


def source_fields(**fields: Any) -> Break:
    return lambda source: vars(source).update(fields)


def section(name: str, change: Callable[[bytes], bytes]) -> Break:
    """Change the bytes that a field of the first operator points at."""

    def apply(source: Source) -> None:
        found = getattr(source.operators[0], name)
        found.data = change(found.data)

    return apply


def both(*breaks: Break) -> Break:
    def apply(source: Source) -> None:
        for each in breaks:
            each(source)

    return apply


def poke(layout: str, offset: int, *values: int) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        changed = bytearray(data)
        struct.pack_into("<" + layout, changed, offset, *values)
        return bytes(changed)

    return apply


def u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def table_of(*lengths: int, first: int = 0, longest: int | None = None) -> Section:
    data = bytearray(code_table({first + i: length for i, length in enumerate(lengths)}))
    data[0] = longest if longest is not None else data[0]
    return Section(bytes(data), 4)


HEADER_RULES: list[tuple[Break, str]] = [
    (header(magic=b"SMG\x1b"), "not a smidgen blob.* 53 4d 47 1b"),
    (header(version=2), "newer smidgen .format version 2"),
    (header(version=0), "header: version is 0"),
    (header(header_bytes=68), "header: header_bytes is 68, expected 64"),
    (header(blob_bytes=60), "header: blob_bytes is 60"),
    (header(blob_bytes=70), "header: blob_bytes is 70"),
    (header(blob_bytes=2**32 - 4), "cut short: header says 4294967292 bytes"),
    (header(arena_bytes=2**24), "header: arena_bytes is 16777216"),
    (header(scratch_bytes=2**24), "header: scratch_bytes is 16777216"),
    (header(tensor_count=0), "header: tensor_count is 0"),
    (header(operator_count=0), "header: operator_count is 0"),
    (header(input_count=0), "header: input_count is 0"),
    (header(output_count=0), "header: output_count is 0"),
    (header(output_count=2), "header: tensor_count is 2, fewer than the 3"),
    (header(golden_offset=64), "header: golden_offset is 64"),
    (header(metadata_offset=64), "header: metadata_offset is 64"),
    (header(zero=bytes(11) + b"\1"), "header: bytes 52 .. 63"),
    (header(tensors_offset=66), "tensor records: offset 66 is not a multiple of 4"),
    (header(tensors_offset=60), "tensor records: offset 60 is inside the header"),
    (header(tensors_offset=2**32 - 4), "tensor records: 40 bytes at offset 4294967292 end behind"),
    (header(tensor_count=65535), "tensor records: 1310700 bytes"),
    (header(operators_offset=66), "operator records: offset 66 is not a multiple of 4"),
    (header(operators_offset=60), "operator records: offset 60 is inside the header"),
    (header(operator_count=65535), "operator records: 3407820 bytes"),
    (header(golden_count=65535, golden_offset=64), r"golden vectors .65535.: \d+ bytes at offset 64 end behind"),
    (header(golden_count=1), "golden vectors .1.: offset 0 is inside the header"),
    (header(metadata_bytes=1), "metadata: offset 0 is inside the header"),
    (header(metadata_bytes=2**32 - 1, metadata_offset=64), "metadata: 4294967295 bytes at offset 64 end behind"),
    (source_fields(gap=b"\0\1"), r"padding at offset \d+"),
    (source_fields(metadata=b"[1]"), "metadata: expected one JSON object, found list"),
    (source_fields(metadata=b"{"), "metadata: not UTF-8 JSON"),
    (source_fields(metadata=b'{"a": "\xff"}'), "metadata: not UTF-8 JSON"),
    (source_fields(metadata=b'{"a": NaN}'), "metadata: not UTF-8 JSON"),
    (source_fields(metadata=b'{"a": "\\ud800"}'), "metadata: not UTF-8 JSON"),
    (source_fields(metadata=b"[" * 100_000), "metadata: not UTF-8 JSON"),
    (source_fields(metadata=b'{"a": ' + b"1" * 5000 + b"}"), "metadata: not UTF-8 JSON"),
]

TENSOR_RULES: list[tuple[Break, str]] = [
    (tensor(0, dimensions=(1, 5, 0, 2)), r"tensor 0: dimensions are \(1, 5, 0, 2\)"),
    (tensor(0, rank=0), "tensor 0: rank is 0"),
    (tensor(0, rank=5), "tensor 0: rank is 5"),
    (tensor(0, rank=2), "tensor 0: .*with rank 2 the first 2 must be 1"),
    (tensor(1, dtype=2), "tensor 1: dtype is 2"),
    (tensor(1, flags=2), "tensor 1: flags are 0x2"),
    (tensor(1, scale=0.0), "tensor 1: scale is 0.0"),
    (tensor(1, scale=-1.0), "tensor 1: scale is -1.0"),
    (tensor(1, scale=float("nan")), "tensor 1: scale is nan"),
    (tensor(1, scale=float("inf")), "tensor 1: scale is inf"),
    (tensor(0, offset=4037), "tensor 0: 60 elements at arena offset 4037 end at 4097, arena_bytes is 4096"),
    (tensor(1, dimensions=(65535,) * 4), "tensor 1: it has 18445618199572250625 elements, the limit is 16777215"),
    (tensor(1, dimensions=(1, 64, 64, 1)), "tensor 1: 4096 elements at arena offset 256 end at 4352"),
    (tensor(0, flags=1), "tensor 0: an input or output of the network cannot be a constant"),
    (tensor(1, flags=1), "tensor 1: an input or output of the network cannot be a constant"),
    (lambda s: s.tensors.append(Tensor()), "tensor 2: it is no operator's output"),
    (lambda s: s.tensors.append(Tensor(60, flags=1)), r"tensor 2 \(constant\): offset 60 is inside the header"),
    (
        lambda s: s.tensors.append(Tensor(64, (1, 1, 65535, 256), flags=1)),
        r"tensor 2 \(constant\): 16776960 bytes at offset 64 end behind",
    ),
]

OPERATOR_RULES: list[tuple[str, Break, str]] = [
    # Fields of the record
    ("conv", operator(kind=0), "operator 0: kind is 0"),
    ("conv", operator(kind=13), "operator 0: kind is 13"),
    ("conv", operator(kernel=2), "CONV_2D.: kernel is 2, this kind has 0, 1"),
    ("fully_connected", operator(kernel=2), "FULLY_CONNECTED.: kernel is 2, this kind has 0, 1"),
    ("fully_connected", operator(kernel=1), "FULLY_CONNECTED.: number of rows with kernel 1 is 2, expected 1"),
    ("fully_connected_streamed", operator(tile=2), "FULLY_CONNECTED.: tile with kernel 1 is 2, expected 1"),
    ("fully_connected_streamed", operator(workspace=1), "FULLY_CONNECTED.: workspace is 1, expected 0"),
    ("fully_connected_streamed", operator(weights_coding=1, code_table_offset=0), "weights_coding with kernel 1 is 1"),
    ("conv", operator(activation_min=100), "CONV_2D.: activation_min 100 is above activation_max 99"),
    ("conv", operator(workspace=1), "CONV_2D.: workspace is 1, expected 0"),
    ("lookup", operator(workspace=1), "LOOKUP.: workspace is 1, expected 0"),
    ("conv", operator(input=2), "CONV_2D.: input is tensor 2, there are only 2"),
    ("conv", operator(output=2), "CONV_2D.: output is tensor 2, there are only 2"),
    ("lookup", operator(output=0), r"operator 0 .LOOKUP.: its output, tensor 0, is an input"),
    ("add", operator(output=2), "ADD.: its output, tensor 2, is a constant"),
    ("add", operator(input2=3), "ADD.: input2 is tensor 3, there are only 3"),
    ("conv", operator(input2=0), "CONV_2D.: input2 is 0, expected 65535"),
    ("conv", operator(zero_runs=8), "CONV_2D.: zero_runs is 8, expected 0"),
    ("add", operator(zero_runs=1), "ADD.: zero_runs is 1, expected 0"),
    ("fully_connected_streamed", operator(zero_runs=9), "zero_runs is 9, expected 0 .. 8"),
    ("fully_connected", operator(parameters=bytes(15) + b"\1"), "FULLY_CONNECTED.: unused parameter bytes"),
    ("copy", operator(1, parameters=u32(3, 5, 2, 1)), r"operator 1 \(COPY\): unused parameter bytes are 01"),
    ("pad", operator(activation_min=-127), "PAD.: activation_min is -127"),
    ("pad", operator(activation_max=126), "PAD.: activation_max is 126"),
    ("pad", operator(tile=1), "PAD.: tile is 1, expected 0"),
    ("pad", operator(weights_coding=1), "PAD.: weights_coding is 1, expected 0"),
    ("pad", operator(weights_offset=64), "PAD.: weights_offset is 64, expected 0"),
    ("pad", operator(weights_bits=8), "PAD.: weights_bits is 8, expected 0"),
    ("pad", operator(requantization_offset=64), "PAD.: requantization_offset is 64, expected 0"),
    ("pad", operator(code_table_offset=64), "PAD.: code_table_offset is 64, expected 0"),
    ("conv", operator(code_table_offset=64), "CONV_2D.: code_table_offset is 64, expected 0"),
    ("lookup", operator(code_table_offset=64), "LOOKUP.: code_table_offset is 64, expected 0"),
    # Windows
    ("conv", operator(parameters=window(0, 3, 2, 1, 1, 2, 0, 1)), "CONV_2D.: kernel_h is 0"),
    ("conv", operator(parameters=window(1, 3, 2, 0, 1, 2, 0, 1)), "CONV_2D.: stride_w is 0"),
    ("conv", operator(parameters=window(1, 3, 2, 1, 0, 2, 0, 1)), "CONV_2D.: dilation_h is 0"),
    ("conv", operator(parameters=window(1, 3, 2, 1, 1, 2, 1, 1)), "CONV_2D.: padding of 1 along h.*at most 0"),
    ("conv", operator(parameters=window(1, 3, 2, 1, 1, 2, 0, 5)), "CONV_2D.: padding of 5 along w.*at most 4"),
    ("conv", operator(parameters=window(1, 3, 3, 1, 1, 2, 0, 1)), "CONV_2D.: the last window starts at 6 along h"),
    ("conv", tensor(0, dimensions=(2, 5, 6, 2)), "CONV_2D.: batch of the input is 2"),
    ("conv", tensor(1, dimensions=(2, 3, 4, 3)), "CONV_2D.: batch of the output is 2"),
    ("max_pool", operator(parameters=window(2, 3, 2, 1, 1, 2, 1, 2)), "MAX_POOL_2D.: dilation_w is 2"),
    ("max_pool", tensor(1, dimensions=(1, 3, 5, 2)), "MAX_POOL_2D.: number of output channels is 2, expected 3"),
    ("depthwise", tensor(1, dimensions=(1, 5, 5, 3)), r"input channels \(2\) does not divide output channels \(3\)"),
    # Weights
    ("conv", operator(tile=0), "CONV_2D.: tile is 0, expected 1 .. 3"),
    ("conv", operator(tile=4), "CONV_2D.: tile is 4, expected 1 .. 3"),
    ("conv", operator(weights_coding=0), "CONV_2D.: weights_coding is 0"),
    ("conv", operator(weights_coding=3), "CONV_2D.: weights_coding is 3"),
    ("conv", operator(weights_bits=143), "CONV_2D.: weights_bits is 143, 18 raw weights take 144"),
    ("conv", operator(weights_offset=63), "CONV_2D.: weights: offset 63 is inside the header"),
    ("conv", operator(weights_offset=2**32 - 1), "CONV_2D.: weights: 18 bytes at offset 4294967295 end behind"),
    ("conv", operator(parameters=window(65535, 65535, 2, 1, 1, 2, 0, 1)), "25769017350 raw weights"),
    ("conv_huffman", operator(parameters=window(65535, 65535, 2, 1, 1, 2, 0, 1)), "25769017350 weights take at least"),
    ("conv_huffman", operator(weights_offset=65), "CONV_2D.: weights: offset 65 is not a multiple of 2"),
    ("conv_huffman", operator(weights_bits=2**32 - 1), "CONV_2D.: weights: 536870912 bytes .* end behind"),
    ("conv_huffman", operator(weights_bits=17), "CONV_2D.: weights_bits is 17, 18 weights take at least"),
    ("conv_huffman", operator(weights_bits=len(CODED_BITS) - 1), "18 weights take 33 bits of the stream, .* is 32"),
    ("conv_huffman", operator(weights_bits=len(CODED_BITS) + 1), "18 weights take 33 bits of the stream, .* is 34"),
    ("conv_huffman", section("weights_offset", poke("H", 4, 0xFFFF)), "weights take"),
    ("conv_huffman", section("weights_offset", lambda data: data[:4] + bytes([data[4] | 1, data[5]])), "unused bits"),
    ("conv_huffman", operator(scratch_offset=510), "scratch_offset is 510, expected a multiple of 4"),
    ("conv_huffman", operator(scratch_offset=3576), "scratch of 524 bytes at arena offset 3576 ends .* which has 4096"),
    ("conv_huffman", operator(scratch_offset=2**32 - 4), "its scratch of 524 bytes at arena offset 4294967292 ends"),
    ("conv_huffman", operator(scratch_offset=0), "its scratch of 524 bytes at arena offset 0 overlaps the input"),
    ("conv_huffman", operator(scratch_offset=288), "its scratch of 524 bytes at arena offset 288 overlaps the output"),
    ("conv", operator(scratch_offset=512), "CONV_2D.: scratch_offset is 512, expected 0"),
    ("softmax", operator(scratch_offset=512), "SOFTMAX.: scratch_offset is 512, expected 0"),
    ("conv_huffman", source_fields(scratch_bytes=523), "header: scratch_bytes is 523, .* needs 524"),
    ("conv_huffman", source_fields(scratch_bytes=525), "header: scratch_bytes is 525, .* needs 524"),
    # Kernel 1
    ("pairs", operator(tile=0), "CONV_2D.: tile is 0, expected at least 1 pair"),
    ("pairs", operator(workspace=26), "CONV_2D.: its workspace has 104 bytes, it needs at least 108"),
    ("pairs", operator(tile=3), "CONV_2D.: its workspace has 108 bytes, it needs at least 156"),
    ("pairs", operator(parameters=window(1, 3, 2, 1, 1, 2, 0, 1)), "CONV_2D.: dilation_w is 2, expected 1"),
    (
        "pairs",
        operator(parameters=window(1, 3, 2, 2, 1, 1, 0, 1)),
        "its workspace has 108 bytes, it needs at least 156",
    ),
    ("pairs", tensor(1, dimensions=(1, 3, 5, 3)), "CONV_2D.: its workspace has 108 bytes, it needs at least 124"),
    ("pairs", source_fields(scratch_bytes=512 + 4 * 27 - 1), "header: scratch_bytes is 619, .* needs 620"),
    ("pairs_pointwise", operator(tile=60), "DEPTHWISE_CONV_2D.: its workspace has 236 bytes, it needs at least 240"),
    ("pairs_pointwise", operator(workspace=8), "DEPTHWISE_CONV_2D.: its workspace has 32 bytes, it needs at least 36"),
    ("pairs_pointwise", operator(workspace=58), "header: scratch_bytes is 236, .* needs 232"),
    # Code tables
    ("conv_huffman", operator(code_table_offset=0), "code table of operator 0: offset 0 is inside the header"),
    ("conv_huffman", operator(code_table_offset=70), "code table of operator 0: offset 70 is not a multiple of 4"),
    ("conv_huffman", operator(code_table_offset=2**32 - 4), "code table of operator 0: 4 bytes at offset 4294967292"),
    ("conv_huffman", section("code_table_offset", poke("H", 2, 0)), "operator 0: symbol_count is 0"),
    ("conv_huffman", section("code_table_offset", poke("H", 2, 257)), "symbol_count is 257"),
    ("conv_huffman", section("code_table_offset", poke("H", 2, 5)), "it counts 4 codes, but symbol_count is 5"),
    ("conv_huffman", section("code_table_offset", poke("B", 0, 0)), "max_length is 0, expected 1 .. 15"),
    ("conv_huffman", section("code_table_offset", poke("B", 0, 16)), "max_length is 16, expected 1 .. 15"),
    ("conv_huffman", section("code_table_offset", poke("B", 1, 1)), "its second byte is 1, expected 0"),
    (
        "conv_huffman",
        section("code_table_offset", poke("HHH", 4, 2, 2, 0)),
        "max_length is 3, but no code has so many bits",
    ),
    ("conv_huffman", operator(code_table_offset=table_of(1, 2, 2, longest=1)), "it counts 1 codes, but symbol_count"),
    ("conv_huffman", operator(code_table_offset=table_of(1, 2, 3)), "not complete: its lengths cover 7 of 8"),
    ("conv_huffman", operator(code_table_offset=table_of(1, 1, 2)), "not complete: its lengths cover 5 of 4"),
    ("conv_huffman", operator(code_table_offset=table_of(1)), "symbol_count is 1, expected 2 .. 256"),
    # Requantisation
    ("conv", operator(requantization_offset=0), "CONV_2D.: requantization: offset 0 is inside the header"),
    ("conv", operator(requantization_offset=66), "CONV_2D.: requantization: offset 66 is not a multiple of 4"),
    ("conv", section("requantization_offset", lambda data: data[:4]), "CONV_2D.: requantization: 8 bytes"),
    ("conv", section("requantization_offset", lambda data: data[:28]), "CONV_2D.: requantization: 32 bytes"),
    ("conv", section("requantization_offset", poke("B", 5, 33)), "bias_bits is 33, the limit is 32"),
    ("conv", section("requantization_offset", poke("B", 6, 31)), "multiplier_bits is 31, the limit is 30"),
    ("conv", section("requantization_offset", poke("B", 7, 7)), "shift_bits is 7, the limit is 6"),
    ("conv", section("requantization_offset", poke("I", 0, 2**30 + 1)), "multipliers reach up to 2147483648, they"),
    ("depthwise", section("requantization_offset", poke("I", 0, 2**31)), "multipliers reach up to 2147483648, they"),
    ("conv", section("requantization_offset", poke("b", 4, 29)), r"shifts reach from 29 to 32, .* -32 .. 31"),
    ("conv", section("requantization_offset", poke("b", 4, -33)), r"shifts reach from -33 to -30, .* -32 .. 31"),
    ("fully_connected", section("requantization_offset", poke("B", 11, 1)), "requantization: the bits behind the last"),
    ("mul", operator(requantization_offset=66), "MUL.: requantization: offset 66 is not a multiple of 4"),
    ("mul", operator(requantization_offset=integers(-1, 0)), "MUL.: multiplier 1 is -1"),
    ("mul", operator(requantization_offset=integers(1, 31)), "MUL.: shift 1 is 31, expected -31 .. 30"),
    ("mul", operator(requantization_offset=integers(1, -32)), "MUL.: shift 1 is -32, expected -31 .. 30"),
    ("add", operator(requantization_offset=integers(1, 0, 1, 1, 1, 0)), "ADD.: shift 2 is 1, expected -31 .. 0"),
    ("add", operator(requantization_offset=integers(1, 0, 1, 0, 1, -32)), "ADD.: shift 3 is -32, expected -31 .. 0"),
    ("add", operator(requantization_offset=integers(1, 0, 1, 0, -2, 0)), "ADD.: multiplier 3 is -2"),
    ("mean", operator(requantization_offset=integers(-3, 0)), "MEAN.: multiplier 1 is -3"),
    ("linear_add", operator(requantization_offset=integers(1, 1, 1, 32)), "ADD.: exponent is 32, expected 0 .. 31"),
    ("linear_add", operator(requantization_offset=integers(1, 1, 1, -1)), "ADD.: exponent is -1, expected 0 .. 31"),
    ("linear_add", operator(workspace=1), "ADD.: workspace is 1, expected 0"),
    ("linear_add", operator(kernel=2), "ADD.: kernel is 2, this kind has 0, 1"),
    ("mul", operator(kernel=1), "MUL.: kernel is 1, this kind has 0"),
    ("mean", operator(requantization_offset=integers(3, 31)), "MEAN.: shift 1 is 31"),
    ("softmax", operator(requantization_offset=integers(-1, 0, 0)), "SOFTMAX.: multiplier is -1"),
    ("softmax", operator(requantization_offset=integers(1, 32, 0)), "SOFTMAX.: shift is 32, expected 0 .. 31"),
    ("softmax", operator(requantization_offset=integers(1, -1, 0)), "SOFTMAX.: shift is -1, expected 0 .. 31"),
    ("softmax", operator(requantization_offset=integers(1, 0, 1)), "SOFTMAX.: minimum is 1, expected at most 0"),
    # Shapes
    (
        "fully_connected",
        tensor(1, dimensions=(1, 1, 4, 4)),
        "rows of the output .4. does not divide input elements .6.",
    ),
    ("add", tensor(1, dimensions=(1, 2, 2, 5)), "ADD.: number of output elements is 20, expected 24"),
    ("add", operator(parameters=u32(0)), r"ADD.: elements of input2 \* repeat .0. does not divide"),
    (
        "mul",
        operator(parameters=u32(3)),
        r"MUL.: elements of input2 \* repeat .9. does not divide output elements .24.",
    ),
    ("mean", operator(parameters=u32(0)), "MEAN.: inner .0. does not divide output elements .3."),
    ("mean", operator(parameters=u32(2)), "MEAN.: inner .2. does not divide output elements .3."),
    ("mean", tensor(1, dimensions=(1, 1, 1, 5)), "MEAN.: output elements .5. does not divide input elements .48."),
    (
        "mean",
        both(
            source_fields(arena_bytes=2**23 + 512),
            tensor(0, dimensions=(1, 1024, 8192, 1)),
            tensor(1, dimensions=(1, 1, 1, 1)),
            operator(parameters=u32(1)),
        ),
        "MEAN.: it averages 8388608 elements, the limit is 8388607",
    ),
    ("pad", tensor(0, dimensions=(2, 2, 2, 1)), "PAD.: batch of the input is 2"),
    ("pad", tensor(1, dimensions=(2, 5, 3, 4)), "PAD.: batch of the output is 2"),
    ("pad", tensor(1, dimensions=(1, 4, 3, 4)), "PAD.: output dimension 1 is 4, expected 5"),
    ("pad", tensor(1, dimensions=(1, 5, 4, 4)), "PAD.: output dimension 2 is 4, expected 3"),
    ("pad", tensor(1, dimensions=(1, 5, 3, 5)), "PAD.: output dimension 3 is 5, expected 4"),
    ("copy", operator(1, parameters=u32(0, 5, 2)), r"operator 1 .COPY.: chunk .0. does not divide"),
    ("copy", operator(1, parameters=u32(5, 5, 0)), r"operator 1 .COPY.: chunk .5. does not divide input elements .12."),
    ("copy", operator(1, parameters=u32(3, 5, 3)), "operator 1 .COPY.: start 3 . chunk 3 is 6, above the stride of 5"),
    ("copy", operator(1, parameters=u32(3, 5, 2**32 - 1)), "operator 1 .COPY.: start 4294967295"),
    ("copy", operator(1, parameters=u32(3, 6, 2)), "operator 1 .COPY.: 4 rows of stride 6 are 24 elements"),
    ("lookup", operator(weights_coding=2), "LOOKUP.: weights_coding is 2, expected 1"),
    ("lookup", operator(weights_bits=2040), "LOOKUP.: weights_bits is 2040, expected 2048"),
    ("lookup", operator(weights_offset=60), "LOOKUP.: table: offset 60 is inside the header"),
    ("lookup", section("weights_offset", lambda data: data[:250]), "LOOKUP.: table: 256 bytes at offset .* end behind"),
    ("lookup", tensor(1, dimensions=(1, 1, 1, 9)), "LOOKUP.: number of output elements is 9, expected 10"),
    ("softmax", tensor(1, dimensions=(1, 1, 1, 5)), "SOFTMAX.: number of output elements is 5, expected 10"),
    ("softmax", tensor(1, dimensions=(1, 1, 5, 2)), "SOFTMAX.: last dimension of the output is 2, expected 5"),
    ("softmax", tensor(1, zero_point=-127), "SOFTMAX.: zero point of the output is -127, expected -128"),
]


def rejected(data: bytes) -> str:
    with pytest.raises(BlobError) as caught:
        read_blob(data)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("change", "expected"), HEADER_RULES + TENSOR_RULES)
def test_rules_of_the_header_and_the_tensors(change: Break, expected: str) -> None:
    source = conv()
    change(source)
    assert re.search(expected, rejected(source.build()))


@pytest.mark.parametrize(("name", "change", "expected"), OPERATOR_RULES)
def test_rules_of_the_operators(name: str, change: Break, expected: str) -> None:
    source = EXAMPLES[name]()
    change(source)
    assert re.search(expected, rejected(source.build()))


# Damaged and hostile files


def test_a_wrong_checksum_is_damage() -> None:
    data = bytearray(conv().build())
    data[100] ^= 1
    assert re.search("damaged: its CRC-32 is [0-9a-f]{8}, header says [0-9a-f]{8}", rejected(bytes(data)))


def test_what_follows_the_blob_is_ignored() -> None:
    data = everything().build()
    assert read_blob(data + b"\xff" * 1000).blob_bytes == len(data)


def test_every_truncation_is_told() -> None:
    data = everything().build()
    for size in range(len(data)):
        assert re.search(f"cut short: .* has {size}(;|$)", rejected(data[:size]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_flipped_bits_behind_a_right_checksum(name: str) -> None:
    """Damage that the CRC-32 does not see gives another blob or a BlobError, and nothing else."""
    generator = random.Random(name)
    data = EXAMPLES[name]().build()
    outcomes = set()
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(generator.choice([1, 1, 2, 8])):
            changed[generator.randrange(16, len(data))] ^= 1 << generator.randrange(8)
        try:
            assert sum(span.size for span in read_blob(seal(bytes(changed))).spans) == len(data)
            outcomes.add("read")
        except BlobError:
            outcomes.add("rejected")
    assert outcomes == {"read", "rejected"}


def test_extreme_fields_behind_a_right_checksum() -> None:
    """Every aligned u16 in turn at its extremes; memory stays in proportion."""
    data = everything().build()
    tracemalloc.start()
    for offset in range(16, len(data) - 1, 2):
        for value in (0, 0x7FFF, 0xFFFF):
            changed = bytearray(data)
            struct.pack_into("<H", changed, offset, value)
            try:
                read_blob(seal(bytes(changed)))
            except BlobError:
                pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_overlapping_sections_cannot_expand_without_limit() -> None:
    """120 operators with 65,532 biases of one bit each, that start four bytes apart: 94 MB of int32 out of 82 kB."""
    channels = 65532
    header = struct.pack("<IbBBB", 0, 0, 1, 0, 0)
    base = Section(header * 121 + bytes(channels // 8 + 4), 4)
    weights = Section(bytes(channels))
    operators = [
        Operator(
            3, tile=1, weights_offset=weights, weights_bits=8 * channels, weights_coding=1, requantization_offset=base
        )
        for _ in range(120)
    ]
    source = one(operators[0], (1,), (channels,), arena_bytes=2**17)
    source.operators = operators
    shared = bytearray(source.build())
    assert len(read_blob(bytes(shared)).network.operators) == 120  # sharing is free
    for index in range(120):
        offset = source.offsets[id(base)] + 8 * index
        struct.pack_into("<I", shared, 64 + 40 + 52 * index + 24, offset)
    assert re.search("weights and numbers up to here expand to", rejected(seal(bytes(shared))))


def test_overlapping_streams_cannot_expand_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 operators, each with 16,000 weights of one bit, from streams of 2,000 bytes that start two bytes apart."""
    monkeypatch.setattr("smidgen.blob.reader_weights._EXPANSION_ALLOWANCE", 0)
    stream, numbers, codes = Section(bytes(2000 + 40), 2), integers(2**30, 0), table_of(1, 1)
    source = one(
        Operator(
            3, tile=1, weights_offset=stream, weights_bits=16000, weights_coding=2,
            requantization_offset=numbers, code_table_offset=codes, scratch_offset=2**15,
        ), (16000,), (1,), arena_bytes=2**16, scratch_bytes=512 + 16000,
    )  # fmt: skip
    source.tensors[1].offset = 0
    source.operators *= 20
    shared = bytearray(source.build())
    assert len(read_blob(bytes(shared)).network.operators) == 20  # sharing is free
    for index in range(20):
        offset = source.offsets[id(stream)] + 2 * index
        struct.pack_into("<I", shared, 64 + 40 + 52 * index + 12, offset)
    assert re.search("weights and numbers up to here expand to", rejected(seal(bytes(shared))))


def test_a_stream_cannot_end_with_the_blob() -> None:
    """Decoders read on for two units behind it."""
    stream = conv_huffman().operators[0].weights_offset
    assert isinstance(stream, Section)
    for zeros, accepted in ((4, True), (2, False)):
        again = conv_huffman()
        again.operators[0].weights_offset = 0
        data = bytearray(again.build())
        data += bytes(-(len(data) + len(stream.data) + zeros) % 4) + stream.data + bytes(zeros)
        struct.pack_into("<I", data, 8, len(data))
        struct.pack_into("<I", data, 64 + 2 * 20 + 12, len(data) - zeros - len(stream.data))
        if accepted:
            read_blob(seal(bytes(data)))
        else:
            assert re.search("read-ahead of the weights: 4 bytes at offset", rejected(seal(bytes(data))))


def test_files(tmp_path: Any) -> None:
    path = tmp_path / "model.smg"
    path.write_bytes(conv().build())
    assert read_blob_file(path).blob_bytes == path.stat().st_size
    path.write_bytes(b"TFL3")
    with pytest.raises(BlobError, match=r"model\.smg: not a smidgen blob"):
        read_blob_file(path)
    with pytest.raises(InputError, match=r"cannot read .*missing\.smg: No such file"):
        read_blob_file(tmp_path / "missing.smg")


def test_softmax_rows_that_could_overflow_are_refused() -> None:
    for length in (4095, 4096):
        source = one(Operator(12, requantization_offset=integers(2**30, 23, -248)), (1, length), (1, length))
        source.tensors[0].offset, source.tensors[1].offset, source.arena_bytes = 0, 4096, 8192
        source.tensors[1].zero_point = -128
        if length == 4095:
            read_blob(source.build())
        else:
            assert "its rows have 4096 elements, the limit is 4095" in rejected(source.build())


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"labels": 5}, "labels is 5, expected a list of strings"),
        ({"labels": [1]}, "labels is .1., expected a list of strings"),
        ({"labels": ["a", "b", "c"]}, "there are 3 labels for 36 output elements"),
        ({"source": 5}, "source is 5, expected a string"),
        ({"uint8_tensors": 5}, "uint8_tensors is 5, expected indices"),
        ({"uint8_tensors": [2]}, "uint8_tensors is .2., expected indices of inputs and outputs, below 2"),
    ],
)
def test_metadata_that_readers_rely_on(metadata: dict[str, Any], words: str) -> None:
    source = conv()
    source.metadata = json.dumps(metadata).encode()
    assert re.search(words, rejected(source.build()))
