"""Every rule marked R in docs/format.md, broken, is refused with the right status at the right record."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

import blob_builder as b
import sample_blobs
from blob_builder import Blob, Operator, Tensor
from host_engine import STATUS, HostEngine

Change = Callable[[Blob], object]


def header(name: str, value: float) -> Change:
    return lambda blob: blob.set_header(name, value)


def tensor(index: int, name: str, value: float) -> Change:
    return lambda blob: blob.set_tensor(index, name, value)


def operator(name: str, value: float, index: int = 0) -> Change:
    return lambda blob: blob.set_operator(index, name, value)


def data(place: str, offset: int, code: str, value: int) -> Change:
    return lambda blob: struct.pack_into("<" + code, blob.data, blob.places[place] + offset, value)


def several_rows(blob: b.Blob) -> None:
    """Two rows in place of one."""
    for index in (0, 1):
        blob.set_tensor(index, "w", 2)
        blob.set_tensor(index, "rank", 2)
    blob.set_tensor(1, "offset", 10)
    blob.set_header("arena_bytes", 22)


def band_of_4_gib(blob: b.Blob) -> None:
    """Words of a block that take 2^32 + 24 bytes, in a workspace of 72."""
    fields = {"stride_h": 16384, "dilation_h": 32768, "pad_top": 65535, "tile": 32765}
    for name, value in fields.items():
        blob.set_operator(0, name, value)


def weights_of_24_gib(blob: b.Blob) -> None:
    """6 * 2^32 + 24 weights, of which 24 are there."""
    blob.set_header("arena_bytes", 64)
    blob.set_tensor(0, "c", 4)
    blob.set_operator(0, "kernel_h", 33025)
    blob.set_operator(0, "kernel_w", 65026)


# sample, change, status, place
HEADER_RULES = [
    ("conv_2d", header("magic", 0x1A474D54), "BAD_MAGIC"),
    ("conv_2d", header("version", 0), "BAD_VERSION"),
    ("conv_2d", header("version", 2), "BAD_VERSION"),
    ("conv_2d", header("header_bytes", 60), "BAD_LENGTH"),
    ("conv_2d", header("header_bytes", 68), "BAD_LENGTH"),
    ("conv_2d", header("blob_bytes", 0), "BAD_LENGTH"),
    ("conv_2d", header("blob_bytes", 60), "BAD_LENGTH"),
    ("conv_2d", header("blob_bytes", 322), "BAD_LENGTH"),
    ("conv_2d", header("blob_bytes", 0xFFFFFFFC), "TOO_SHORT"),
    ("conv_2d", header("arena_bytes", 1 << 24), "TOO_LARGE"),
    ("conv_2d", header("arena_bytes", 0xFFFFFFFF), "TOO_LARGE"),
    ("conv_2d", header("scratch_bytes", 1 << 24), "TOO_LARGE"),
    ("conv_2d", header("scratch_bytes", 4), "BAD_SCRATCH"),
    ("conv_2d_huffman", header("scratch_bytes", 0), "BAD_SCRATCH"),
    ("conv_2d", header("tensor_count", 0), "BAD_COUNT"),
    ("conv_2d", header("tensor_count", 1), "BAD_COUNT"),
    ("conv_2d", header("tensor_count", 0xFFFF), "OUTSIDE_BLOB"),
    ("conv_2d", header("operator_count", 0), "BAD_COUNT"),
    ("conv_2d", header("operator_count", 0xFFFF), "OUTSIDE_BLOB"),
    ("conv_2d", header("input_count", 0), "BAD_COUNT"),
    ("conv_2d", header("output_count", 0), "BAD_COUNT"),
    ("conv_2d", header("output_count", 255), "BAD_COUNT"),
    ("conv_2d", header("tensors_offset", 66), "BAD_OFFSET"),
    ("conv_2d", header("tensors_offset", 60), "OUTSIDE_BLOB"),
    ("conv_2d", header("tensors_offset", 0xFFFFFFF0), "OUTSIDE_BLOB"),
    ("conv_2d", header("operators_offset", 105), "BAD_OFFSET"),
    ("conv_2d", header("operators_offset", 0), "OUTSIDE_BLOB"),
    ("conv_2d", header("operators_offset", 0xFFFFFFFC), "OUTSIDE_BLOB"),
    ("conv_2d", header("golden_count", 0), "NOT_ZERO"),
    ("conv_2d", header("golden_count", 0xFFFF), "OUTSIDE_BLOB"),
    ("conv_2d", header("golden_offset", 0), "OUTSIDE_BLOB"),
    ("conv_2d", header("golden_offset", 0xFFFFFFFF), "OUTSIDE_BLOB"),
    ("conv_2d", header("metadata_bytes", 0), "NOT_ZERO"),
    ("conv_2d", header("metadata_bytes", 0xFFFFFFFF), "OUTSIDE_BLOB"),
    ("conv_2d", header("metadata_offset", 4), "OUTSIDE_BLOB"),
    ("conv_2d", header("zero", 1), "NOT_ZERO"),
    ("conv_2d", header("last_zero", 0x80), "NOT_ZERO"),
]

TENSOR_RULES = [
    (tensor(0, "rank", 0), 0, "BAD_SHAPE"),
    (tensor(1, "rank", 5), 1, "BAD_SHAPE"),
    (tensor(0, "rank", 3), None, None),  # the batch is 1, so this is a valid shape
    (tensor(0, "rank", 2), 0, "BAD_SHAPE"),
    (tensor(0, "n", 0), 0, "BAD_SHAPE"),
    (tensor(0, "h", 0), 0, "BAD_SHAPE"),
    (tensor(0, "w", 0), 0, "BAD_SHAPE"),
    (tensor(1, "c", 0), 1, "BAD_SHAPE"),
    (tensor(0, "dtype", 0), 0, "BAD_DTYPE"),
    (tensor(1, "dtype", 2), 1, "BAD_DTYPE"),
    (tensor(0, "flags", 2), 0, "NOT_ZERO"),
    (tensor(0, "flags", 0x81), 0, "NOT_ZERO"),
    (tensor(0, "flags", 1), 0, "BAD_CONSTANT"),
    (tensor(1, "flags", 1), 1, "BAD_CONSTANT"),
    (tensor(0, "scale", 0.0), 0, "BAD_SCALE"),
    (tensor(0, "scale", -0.0), 0, "BAD_SCALE"),
    (tensor(0, "scale", -1.0), 0, "BAD_SCALE"),
    (tensor(1, "scale", float("inf")), 1, "BAD_SCALE"),
    (tensor(1, "scale", float("nan")), 1, "BAD_SCALE"),
    (tensor(1, "scale_bits", 1), None, None),  # the smallest number above 0
    (tensor(1, "offset", 19), 1, "OUTSIDE_ARENA"),
    (tensor(1, "offset", 0xFFFFFFFF), 1, "OUTSIDE_ARENA"),
    (tensor(0, "h", 16), 0, "OUTSIDE_ARENA"),
    (tensor(0, "h", 0xFFFF), 0, "OUTSIDE_ARENA"),
    (header("arena_bytes", 29), 1, "OUTSIDE_ARENA"),
]

OPERATOR_RULES = [
    ("conv_2d", operator("kind", 0), "BAD_KIND"),
    ("conv_2d", operator("kind", 13), "BAD_KIND"),
    ("conv_2d", operator("kind", 255), "BAD_KIND"),
    ("conv_2d", operator("kernel", 2), "BAD_KERNEL"),
    ("conv_2d", operator("kernel", 1), "BAD_WORKSPACE"),
    ("fully_connected", operator("kernel", 1), "BAD_TILE"),
    ("fully_connected", operator("kernel", 2), "BAD_KERNEL"),
    ("softmax", operator("kernel", 255), "BAD_KERNEL"),
    ("add", operator("kernel", 2), "BAD_KERNEL"),
    ("mul", operator("kernel", 1), "BAD_KERNEL"),
    ("linear_add", operator("workspace", 1), "NOT_ZERO"),
    ("conv_2d", weights_of_24_gib, "BAD_WEIGHTS_BITS"),
    ("depthwise_conv_2d_pairs", band_of_4_gib, "BAD_WORKSPACE"),
    ("conv_2d", operator("input", 2), "BAD_TENSOR"),
    ("conv_2d", operator("input", 0xFFFF), "BAD_TENSOR"),
    ("conv_2d", operator("output", 2), "BAD_TENSOR"),
    ("conv_2d", operator("output", 0xFFFF), "BAD_TENSOR"),
    ("conv_2d", operator("input2", 0), "BAD_TENSOR"),
    ("add", operator("input2", 3), "BAD_TENSOR"),
    ("mul", operator("input2", 0xFFFF), "BAD_TENSOR"),
    ("conv_2d", operator("output", 0), "INPUT_WRITTEN"),
    ("add", operator("output", 2), "BAD_CONSTANT"),
    ("conv_2d", operator("activation_min", 101), "BAD_CLAMP"),
    ("conv_2d", operator("activation_max", -101), "BAD_CLAMP"),
    ("mean", operator("activation_min", -127), "BAD_CLAMP"),
    ("pad", operator("activation_max", 126), "BAD_CLAMP"),
    ("copy", operator("activation_min", 0), "BAD_CLAMP"),
    ("lookup", operator("activation_max", 0), "BAD_CLAMP"),
    ("softmax", operator("activation_max", 126), "BAD_CLAMP"),
    ("conv_2d", operator("zero", 1), "NOT_ZERO"),
    ("fully_connected", operator("zero", 0x80), "NOT_ZERO"),
    ("lookup", operator("zero", 4), "NOT_ZERO"),
    ("conv_2d", operator("workspace", 0x100), "NOT_ZERO"),
    ("softmax", operator("workspace", 1), "NOT_ZERO"),
    ("fully_connected", operator("first_parameter", 1), "NOT_ZERO"),
    ("add", operator("second_word", 1), "NOT_ZERO"),
    ("mul", operator("last_parameter", 1), "NOT_ZERO"),
    ("mean", operator("second_word", 1), "NOT_ZERO"),
    ("pad", operator("last_parameter", 1), "NOT_ZERO"),
    ("copy", operator("last_parameter", 1), "NOT_ZERO"),
    ("lookup", operator("first_parameter", 1), "NOT_ZERO"),
    ("softmax", operator("first_parameter", 1), "NOT_ZERO"),
    ("softmax", operator("last_parameter", 1), "NOT_ZERO"),
    # Windows
    ("conv_2d", operator("kernel_h", 0), "BAD_WINDOW"),
    ("conv_2d", operator("kernel_w", 0), "BAD_WINDOW"),
    ("conv_2d", operator("stride_h", 0), "BAD_WINDOW"),
    ("max_pool_2d", operator("stride_w", 0), "BAD_WINDOW"),
    ("conv_2d", operator("dilation_h", 0), "BAD_WINDOW"),
    ("depthwise_conv_2d", operator("dilation_w", 0), "BAD_WINDOW"),
    ("average_pool_2d", operator("dilation_h", 2), "BAD_WINDOW"),
    ("max_pool_2d", operator("dilation_w", 2), "BAD_WINDOW"),
    ("conv_2d", operator("pad_top", 2), "BAD_WINDOW"),
    ("average_pool_2d", operator("pad_left", 3), "BAD_WINDOW"),
    ("conv_2d", operator("stride_h", 3), "BAD_WINDOW"),
    ("conv_2d", operator("stride_w", 0xFFFF), "BAD_WINDOW"),
    ("max_pool_2d", operator("stride_h", 5), "BAD_WINDOW"),
    # Shapes
    ("average_pool_2d", tensor(1, "c", 1), "BAD_SIZE"),
    ("max_pool_2d", tensor(0, "c", 1), "BAD_SIZE"),
    ("depthwise_conv_2d", tensor(1, "c", 3), "BAD_SIZE"),
    ("fully_connected", tensor(0, "w", 1), "BAD_SIZE"),
    ("add", tensor(0, "h", 1), "BAD_SIZE"),
    ("add", tensor(2, "c", 2), None),
    ("mul", operator("repeat", 0), "BAD_PARAMETER"),
    ("mul", operator("repeat", 5), "BAD_PARAMETER"),
    ("add", operator("repeat", 24), "BAD_PARAMETER"),
    ("add", operator("repeat", 12), "BAD_SIZE"),
    ("add", operator("repeat", 2), None),
    ("mean", tensor(1, "c", 2), "BAD_PARAMETER"),
    ("mean", tensor(0, "c", 2), "BAD_SIZE"),
    ("mean", operator("inner", 0), "BAD_PARAMETER"),
    ("mean", operator("inner", 2), "BAD_PARAMETER"),
    ("mean", operator("inner", 0xFFFFFFFF), "BAD_PARAMETER"),
    ("pad", operator("before_h", 0), "BAD_SIZE"),
    ("pad", operator("before_w", 0), "BAD_SIZE"),
    ("pad", operator("before_c", 0xFFFF), "BAD_SIZE"),
    ("copy", operator("chunk", 0), "BAD_PARAMETER"),
    ("copy", operator("chunk", 3), "BAD_PARAMETER"),
    ("copy", operator("start", 2), "BAD_PARAMETER"),
    ("copy", operator("start", 0xFFFFFFFF), "BAD_PARAMETER"),
    ("copy", operator("stride", 1), "BAD_PARAMETER"),
    ("copy", operator("stride", 0xFFFFFFFF), "BAD_SIZE"),
    ("copy", operator("chunk", 1), "BAD_SIZE"),
    ("lookup", tensor(0, "c", 4), "BAD_SIZE"),
    ("softmax", tensor(0, "c", 2), "BAD_SIZE"),
    ("softmax", tensor(1, "zero_point", -127), "BAD_ZERO_POINT"),
    # Requantisation
    ("conv_2d", operator("requantization_offset", 0), "OUTSIDE_BLOB"),
    ("conv_2d", operator("requantization_offset", 0xFFFFFFFC), "OUTSIDE_BLOB"),
    ("conv_2d", operator("requantization_offset", 1), "BAD_OFFSET"),
    ("conv_2d", data("requantization 0", 0, "I", 0x7FFFFFFF), None),  # no bits are added to it
    ("conv_2d", data("requantization 0", 0, "I", 0x80000000), "BAD_MULTIPLIER"),
    ("fully_connected", data("requantization 0", 0, "I", 0xFFFFFFFF), "BAD_MULTIPLIER"),
    # Three bits for the multiplier: up to 7/8 of 2^30 are added.
    ("depthwise_conv_2d", data("requantization 0", 0, "I", 0x47FFFFFF), None),
    ("depthwise_conv_2d", data("requantization 0", 0, "I", 0x48000000), "BAD_MULTIPLIER"),
    ("conv_2d", data("requantization 0", 4, "b", -32), None),
    ("conv_2d", data("requantization 0", 4, "b", -33), "BAD_SHIFT"),
    ("conv_2d", data("requantization 0", 4, "b", 28), None),  # two bits add 3
    ("conv_2d", data("requantization 0", 4, "b", 29), "BAD_SHIFT"),
    ("fully_connected", data("requantization 0", 4, "b", 31), None),
    ("fully_connected", data("requantization 0", 4, "b", 32), "BAD_SHIFT"),
    ("conv_2d", data("requantization 0", 5, "B", 33), "BAD_ENTRY"),
    ("conv_2d", data("requantization 0", 6, "B", 31), "BAD_ENTRY"),
    ("conv_2d", data("requantization 0", 7, "B", 7), "BAD_ENTRY"),
    ("depthwise_conv_2d", data("requantization 0", 6, "B", 30), "OUTSIDE_BLOB"),
    ("conv_2d", operator("requantization_offset", 236), "OUTSIDE_BLOB"),
    ("depthwise_conv_2d", data("requantization 0", 15, "B", 0xFF), "NOT_ZERO"),  # behind the last entry
    ("add", data("requantization 0", 4, "i", 1), "BAD_SHIFT"),
    ("add", data("requantization 0", 12, "i", -32), "BAD_SHIFT"),
    ("add", data("requantization 0", 20, "i", 1), "BAD_SHIFT"),
    ("add", data("requantization 0", 16, "I", 1 << 31), "BAD_MULTIPLIER"),
    ("linear_add", data("requantization 0", 12, "i", 32), "BAD_SHIFT"),
    ("linear_add", data("requantization 0", 12, "i", -1), "BAD_SHIFT"),
    ("linear_add", data("requantization 0", 0, "i", -(2**31)), None),
    ("mul", data("requantization 0", 4, "i", 31), "BAD_SHIFT"),
    ("mul", data("requantization 0", 4, "i", 30), None),
    ("mul", operator("requantization_offset", 0), "OUTSIDE_BLOB"),
    ("mean", data("requantization 0", 4, "i", -32), "BAD_SHIFT"),
    ("mean", operator("requantization_offset", 0), "OUTSIDE_BLOB"),
    ("softmax", data("requantization 0", 4, "i", 32), "BAD_SHIFT"),
    ("softmax", data("requantization 0", 4, "i", -1), "BAD_SHIFT"),
    ("softmax", data("requantization 0", 8, "i", 1), "BAD_MULTIPLIER"),
    ("max_pool_2d", operator("requantization_offset", 64), "NOT_ZERO"),
    ("pad", operator("requantization_offset", 64), "NOT_ZERO"),
    ("lookup", operator("requantization_offset", 64), "NOT_ZERO"),
    # Weights
    ("conv_2d", operator("weights_coding", 0), "BAD_CODING"),
    ("conv_2d", operator("weights_coding", 3), "BAD_CODING"),
    ("add", operator("weights_coding", 1), "BAD_CODING"),
    ("lookup", operator("weights_coding", 2), "BAD_CODING"),
    ("lookup", operator("weights_coding", 0), "BAD_CODING"),
    ("softmax", operator("weights_offset", 64), "NOT_ZERO"),
    ("softmax", operator("weights_bits", 8), "NOT_ZERO"),
    ("pad", operator("code_table_offset", 64), "NOT_ZERO"),
    ("conv_2d", operator("code_table_offset", 64), "NOT_ZERO"),
    ("conv_2d", operator("weights_bits", 8 * 23), "BAD_WEIGHTS_BITS"),
    ("conv_2d", operator("weights_bits", 8 * 24 + 1), "BAD_WEIGHTS_BITS"),
    ("lookup", operator("weights_bits", 2040), "BAD_WEIGHTS_BITS"),
    ("conv_2d", operator("kernel_h", 0xFFFF), "BAD_WEIGHTS_BITS"),
    ("conv_2d", operator("weights_offset", 0), "OUTSIDE_BLOB"),
    ("conv_2d", operator("weights_offset", 0xFFFFFFFF), "OUTSIDE_BLOB"),
    ("lookup", operator("weights_offset", 0xFFFFFF00), "OUTSIDE_BLOB"),
    ("conv_2d", operator("tile", 0), "BAD_TILE"),
    ("conv_2d", operator("tile", 4), "BAD_TILE"),
    ("conv_2d_huffman", operator("tile", 0), "BAD_TILE"),
    ("add", operator("tile", 1), "NOT_ZERO"),
    ("lookup", operator("tile", 1), "NOT_ZERO"),
    # Kernel 1
    ("conv_2d_pairs", operator("tile", 0), "BAD_TILE"),
    ("conv_2d_pairs", operator("tile", 2), "BAD_WORKSPACE"),
    ("conv_2d_pairs", operator("tile", 3), "BAD_WORKSPACE"),
    ("conv_2d_pairs", operator("tile", 0xFFFF), "BAD_WORKSPACE"),
    ("conv_2d_pairs", operator("workspace", 4 + 6 * 2 - 1), "BAD_WORKSPACE"),
    ("conv_2d_pairs", operator("workspace", 0), "BAD_WORKSPACE"),
    ("depthwise_conv_2d_pairs", operator("workspace", 17), "BAD_WORKSPACE"),
    ("depthwise_conv_2d_pairs", operator("tile", 2), "BAD_WORKSPACE"),
    ("depthwise_conv_2d_pairs", operator("dilation_h", 2), "BAD_WORKSPACE"),
    ("depthwise_conv_2d_pairs", operator("dilation_w", 2), "BAD_WINDOW"),
    ("fully_connected_streamed", operator("tile", 0), "BAD_TILE"),
    ("fully_connected_streamed", operator("tile", 2), "BAD_TILE"),
    ("fully_connected_streamed", operator("workspace", 1), "NOT_ZERO"),
    ("fully_connected_streamed", several_rows, "BAD_SIZE"),
    ("fully_connected_streamed", operator("weights_coding", 1), "BAD_CODING"),
    ("fully_connected", operator("workspace", 1), "NOT_ZERO"),
    # Scratch: the tensors of this sample end at 30, the scratch lies from 32 to the end of the arena
    ("conv_2d_huffman", operator("scratch_offset", 36), "OUTSIDE_ARENA"),
    ("conv_2d_huffman", operator("scratch_offset", 0xFFFFFFFC), "OUTSIDE_ARENA"),
    ("conv_2d_huffman", header("arena_bytes", 32), "OUTSIDE_ARENA"),
    ("conv_2d_huffman", operator("scratch_offset", 30), "BAD_OFFSET"),
    ("conv_2d_huffman", operator("scratch_offset", 28), "SCRATCH_OVERLAPS"),  # the output
    ("conv_2d_huffman", operator("scratch_offset", 0), "SCRATCH_OVERLAPS"),
    ("conv_2d_pairs", operator("scratch_offset", 28), "SCRATCH_OVERLAPS"),
    ("conv_2d", operator("scratch_offset", 4), "NOT_ZERO"),
    ("add", operator("scratch_offset", 4), "NOT_ZERO"),
    ("lookup", operator("scratch_offset", 0x80000000), "NOT_ZERO"),
    # Huffman codes
    ("conv_2d_huffman", operator("weights_offset", 0xFFFFFFFE), "OUTSIDE_BLOB"),
    ("conv_2d_huffman", operator("weights_offset", 101), "BAD_OFFSET"),
    ("conv_2d_huffman", operator("code_table_offset", 0), "OUTSIDE_BLOB"),
    ("conv_2d_huffman", operator("code_table_offset", 102), "BAD_OFFSET"),
    ("conv_2d_huffman", operator("code_table_offset", 0xFFFFFFFC), "OUTSIDE_BLOB"),
    ("conv_2d_huffman", operator("weights_bits", 23), "BAD_STREAM"),
    ("conv_2d_huffman", operator("weights_bits", 0), "BAD_STREAM"),
    ("conv_2d_huffman", operator("weights_bits", 0xFFFFFFFF), "OUTSIDE_BLOB"),
    ("conv_2d_huffman", data("table 0", 0, "B", 0), "BAD_CODE_TABLE"),
    ("conv_2d_huffman", data("table 0", 0, "B", 2), "BAD_CODE_TABLE"),
    ("conv_2d_huffman", data("table 0", 0, "B", 255), "OUTSIDE_BLOB"),
    ("conv_2d_huffman", data("table 0", 1, "B", 1), "NOT_ZERO"),
    ("conv_2d_huffman", data("table 0", 2, "H", 0), "BAD_CODE_TABLE"),
    ("conv_2d_huffman", data("table 0", 2, "H", 0xFFFF), "OUTSIDE_BLOB"),
    ("conv_2d_huffman", data("table 0", 8, "I", 6 << 16 | 5), None),
    ("conv_2d_huffman", data("table 0", 8, "I", 5 << 16 | 6), "INCOMPLETE_CODE"),
    ("conv_2d_huffman", data("table 0", 8, "I", 7 << 16 | 4), "INCOMPLETE_CODE"),
    ("conv_2d_huffman", data("table 0", 8, "I", 11), "BAD_CODE_TABLE"),
    ("conv_2d_huffman", data("table 0", 4, "I", 0xFFFFFFFF), "BAD_CODE_TABLE"),
]  # fmt: skip


def changed(sample: str, change: Change) -> bytes:
    blob = sample_blobs.SAMPLES[sample]()
    change(blob)
    return blob.sealed()


def refuse(engine: HostEngine, data: bytes, status: str | None, place: str, index: int) -> None:
    fault = engine.check(data)
    if status is None:
        assert fault is None, str(fault)
        return
    assert fault is not None, f"the blob was accepted, not refused with {status}"
    assert (fault.status, fault.place, fault.index) == (STATUS[status], place, index), str(fault)


@pytest.mark.parametrize(("sample", "change", "status"), HEADER_RULES)
def test_header(engine: HostEngine, sample: str, change: Change, status: str) -> None:
    refuse(engine, changed(sample, change), status, "header", 0)


@pytest.mark.parametrize(("change", "index", "status"), TENSOR_RULES)
def test_tensor(engine: HostEngine, change: Change, index: int | None, status: str | None) -> None:
    refuse(engine, changed("conv_2d", change), status, "tensor", index or 0)


@pytest.mark.parametrize(("sample", "change", "status"), OPERATOR_RULES)
def test_operator(engine: HostEngine, sample: str, change: Change, status: str | None) -> None:
    refuse(engine, changed(sample, change), status, "operator", 0)


def test_crc(engine: HostEngine) -> None:
    data = bytearray(sample_blobs.conv_2d().data)
    for position in (*range(12, 64, 7), len(data) - 1):
        damaged = data.copy()
        damaged[position] ^= 0x10
        fault = engine.check(bytes(damaged))
        assert fault is not None and fault.status == STATUS["BAD_CRC"]


def test_more_bytes_than_the_blob_are_ignored(engine: HostEngine) -> None:
    assert engine.check(bytes(sample_blobs.conv_2d().data) + b"\xff" * 1001) is None


@pytest.mark.parametrize("skew", [1, 2, 3])
def test_unaligned_blob(engine: HostEngine, skew: int) -> None:
    fault = engine.check(bytes(sample_blobs.conv_2d().data), skew)
    assert fault is not None
    assert (fault.status, fault.found) == (STATUS["BAD_ALIGNMENT"], skew)


@pytest.mark.parametrize(
    ("sample", "change", "expected"),
    [
        ("mul", data("requantization 0", 4, "i", -40), "operator 0: shift is out of range (found -40, expected -31)"),
        (
            "depthwise_conv_2d",
            data("requantization 0", 4, "b", 31),
            "operator 0: shift is out of range (found 31, expected 30)",
        ),
        (
            "conv_2d",
            data("requantization 0", 5, "B", 33),
            "operator 0: too many bits for a channel's numbers (found 33, expected 32)",
        ),
        ("mul", operator("output", 3), "operator 0: tensor index is wrong (found 3, expected 2)"),
        ("conv_2d", operator("tile", 9), "operator 0: tile is out of range (found 9, expected 3)"),
        (
            "conv_2d",
            operator("stride_h", 5),
            "operator 0: window, stride, dilation or padding is wrong (found 5, expected 2)",
        ),
        ("conv_2d", operator("activation_min", 101), "operator 0: activation range is wrong (found 101, expected 100)"),
        (
            "conv_2d",
            tensor(1, "offset", 19),
            "tensor 1: data lies outside the arena (found 31, expected 30)",
        ),
        ("conv_2d", header("version", 2), "header: format version is unknown (found 2, expected 1)"),
        ("conv_2d_huffman", header("scratch_bytes", 8), "header: scratch size is wrong (found 8, "),
        ("conv_2d_huffman", data("table 0", 8, "I", 7 << 16 | 4), "operator 0: code table is incomplete"),
        ("softmax", tensor(1, "zero_point", 5), "operator 0: zero point is wrong (found 5, expected -128)"),
        ("pad", operator("before_w", 5), "operator 0: shapes do not go together (found 3, "),
    ],
)  # fmt: skip
def test_sentence(engine: HostEngine, sample: str, change: Change, expected: str) -> None:
    fault = engine.check(changed(sample, change))
    assert fault is not None
    assert str(fault).startswith(expected)
    assert str(fault) == expected or expected.endswith(" ")


def test_golden_vectors_at_the_very_end(engine: HostEngine) -> None:
    """Only inputs and outputs count, and they count fully."""
    maximum = b.window((1, 1))
    tensors = [Tensor((1, 1, 1, size)) for size in (4, 4, 4)]
    operators = [Operator(b.MAX_POOL_2D, 0, 2, parameters=maximum), Operator(b.MAX_POOL_2D, 2, 1, parameters=maximum)]
    blob = b.build(tensors, operators, golden=[bytes(8), bytes(8)])
    assert blob.places["golden"] + 16 == len(blob.data)
    assert engine.check(bytes(blob.data)) is None
    blob.set_header("golden_offset", blob.places["golden"] + 1)
    refuse(engine, blob.sealed(), "OUTSIDE_BLOB", "header", 0)


def test_constant_outside_the_blob(engine: HostEngine) -> None:
    for offset in (0, 60, len(sample_blobs.add().data) - 2, 0xFFFFFFFF):
        refuse(engine, changed("add", tensor(2, "offset", offset)), "OUTSIDE_BLOB", "tensor", 2)


def test_tensor_no_operator_writes(engine: HostEngine) -> None:
    refuse(engine, changed("add", tensor(2, "flags", 0)), "OUTSIDE_ARENA", "tensor", 2)
    blob = sample_blobs.add()
    blob.set_tensor(2, "flags", 0)
    blob.set_tensor(2, "offset", 0)
    refuse(engine, blob.sealed(), "NEVER_WRITTEN", "tensor", 2)


def test_tensor_no_operator_writes_among_many(engine: HostEngine) -> None:
    """The check goes through the tensors in groups; the missing one is in the third."""
    count = 2500
    tensors = [Tensor((1,), offset=i % 2) for i in range(count)]
    table = b.raw([0] * 256)
    operators = [Operator(b.LOOKUP, 0, i, weights=table if i == 1 else None) for i in range(1, count)]
    blob = b.build(tensors, operators)
    for index in range(1, len(operators)):
        blob.set_operator(index, "weights_offset", blob.places["weights 0"])
        blob.set_operator(index, "weights_bits", 2048)
        blob.set_operator(index, "weights_coding", 1)
    assert engine.check(blob.sealed()) is None
    blob.set_operator(2221 - 1, "output", 2222)
    refuse(engine, blob.sealed(), "NEVER_WRITTEN", "tensor", 2221)


def test_scratch_beside_the_tensors(engine: HostEngine) -> None:
    """The input moved behind the scratch: then the scratch may neither reach into it nor into the output."""
    blob = sample_blobs.conv_2d_huffman()
    arena = int.from_bytes(blob.data[16:20], "little")
    blob.set_header("arena_bytes", arena + 18)
    blob.set_tensor(0, "offset", arena)
    refuse(engine, blob.sealed(), None, "operator", 0)
    blob.set_tensor(0, "offset", arena - 1)
    refuse(engine, blob.sealed(), "SCRATCH_OVERLAPS", "operator", 0)
    blob.set_tensor(0, "offset", 32 - 18)
    blob.set_tensor(1, "offset", arena)
    refuse(engine, blob.sealed(), None, "operator", 0)
    blob.set_tensor(0, "offset", 33 - 18)
    refuse(engine, blob.sealed(), "SCRATCH_OVERLAPS", "operator", 0)


def test_batches(engine: HostEngine) -> None:
    for kind, parameters in ((b.MAX_POOL_2D, b.window((1, 1))), (b.PAD, bytes(12))):
        tensors = [Tensor((2, 1, 1, 1)), Tensor((2, 1, 1, 1))]
        blob = b.build(tensors, [Operator(kind, 0, 1, parameters=parameters)])
        refuse(engine, bytes(blob.data), "BAD_BATCH", "operator", 0)


def test_softmax_rows_of_another_length(engine: HostEngine) -> None:
    blob = sample_blobs.softmax()
    blob.set_tensor(0, "w", 3)
    blob.set_tensor(0, "c", 2)
    refuse(engine, blob.sealed(), "BAD_SIZE", "operator", 0)


def test_softmax_of_too_many(engine: HostEngine) -> None:
    operator = Operator(b.SOFTMAX, 0, 1, requantization=struct.pack("<iii", 1 << 30, 23, -248))
    for count, status in ((4095, None), (4096, "BAD_SIZE")):
        blob = b.build([Tensor((count,)), Tensor((count,), zero_point=-128)], [operator])
        refuse(engine, bytes(blob.data), status, "operator", 0)


def test_mean_of_too_many(engine: HostEngine) -> None:
    operator = Operator(b.MEAN, 0, 1, parameters=struct.pack("<I", 1), requantization=b.scalings(b.ONE))
    for height, status in ((0x7FFF, None), (0x8000, "BAD_SIZE")):
        blob = b.build([Tensor((1, height, 256, 1), offset=1), Tensor((1,), offset=0)], [operator])
        refuse(engine, bytes(blob.data), status, "operator", 0)


def test_one_message_for_each_status(engine: HostEngine) -> None:
    values = sorted(set(STATUS.values()) - {STATUS["STATUS_LIMIT"]}, reverse=True)
    numbers = [value for value in values if value <= 0]
    assert numbers == list(range(0, STATUS["STATUS_LIMIT"], -1))
    messages = [engine.status_message(value) for value in numbers]
    assert len(set(messages)) == len(messages)
    assert all(message and not message.endswith(".") for message in messages)
    for unknown in (1, STATUS["STATUS_LIMIT"], -1000, -(1 << 31), (1 << 31) - 1):
        assert engine.status_message(unknown) == "unknown status"
