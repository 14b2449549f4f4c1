"""Each operator against numbers worked out by hand from docs/format.md."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import blob_builder as b
import sample_blobs
from blob_builder import HALF, ONE, QUARTER, Operator, Tensor
from host_engine import HostEngine
from smidgen.requantization import requantize, wrap_int32


def run(engine: HostEngine, blob: b.Blob, *inputs: list[int]) -> list[int]:
    engine.load(bytes(blob.data))
    (output, *_) = engine.run([np.array(values, np.int8) for values in inputs])
    return [int(value) for value in output.reshape(-1)]


def convolution(
    tensors: list[Tensor], weights: list[int], parameters: bytes, scalings: list[tuple[int, int]], biases: list[int],
    kind: int = b.CONV_2D, clamp: tuple[int, int] = (-128, 127),
) -> b.Blob:  # fmt: skip
    requantization = b.channels(scalings, biases, weights, tensors[0].zero_point)
    operator = Operator(
        kind, 0, 1, parameters=parameters, weights=b.raw(weights), requantization=requantization, clamp=clamp
    )
    return b.build(tensors, [operator])


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_samples_load(engine: HostEngine, name: str) -> None:
    engine.load(bytes(sample_blobs.SAMPLES[name]().data))


@pytest.mark.parametrize(
    ("scaling", "accumulators", "expected"),
    [
        (ONE, [-100, -3, 0, 3, 100], [-100, -3, 0, 3, 100]),
        # One rounding: halves go up.
        (HALF, [-3, -1, 1, 3, 5], [-1, 0, 1, 2, 3]),
        # Two roundings: the second one takes halves away from zero. -7 -> -3.5 -> -3 -> -1.5 -> -2
        (QUARTER, [-7, -6, -2, 2, 5, 6, 7], [-2, -2, -1, 1, 2, 2, 2]),
        # 3 * 2^30 would be 2^31.58: the shift to the left wraps. 3 << 30 = -2^30, times 1/2 (multiplier 2^30): -2^29,
        # saturated; 2 << 30 = -2^31; 4 << 30 = 0.
        ((1 << 30, 30), [3, 2, 4], [-128, -128, 0]),
        ((0, 5), [77], [0]),
        ((0x7FFFFFFF, 0), [100, -100], [100, -100]),
        ((0x7FFFFFFF, -31), [127], [0]),
    ],
)
def test_requantization(
    engine: HostEngine, scaling: tuple[int, int], accumulators: list[int], expected: list[int]
) -> None:
    count = len(accumulators)
    blob = convolution(
        [Tensor((1, 1, 1, 1)), Tensor((1, 1, 1, count))], [0] * count, b.window((1, 1)), [scaling] * count, accumulators
    )
    assert run(engine, blob, [9]) == expected


def test_accumulator_wraps(engine: HostEngine) -> None:
    """2^31 - 1 + 5 wraps to -2^31 + 4, which saturates on the negative side."""
    blob = convolution([Tensor((1, 1, 1, 1)), Tensor((1, 1, 1, 1))], [1], b.window((1, 1)), [HALF], [0x7FFFFFFF])
    assert run(engine, blob, [5]) == [-128]
    assert run(engine, blob, [0]) == [127]


def test_zero_point_of_the_output_wraps(engine: HostEngine) -> None:
    """A sum near 2^31 times nearly 1 is 2^31 - 2; adding the zero point wraps to the negative side."""
    tensors = [Tensor((1, 1, 1, 1)), Tensor((1, 1, 1, 1), zero_point=100)]
    blob = convolution(tensors, [0], b.window((1, 1)), [(0x7FFFFFFF, 0)], [0x7FFFFFFF])
    assert run(engine, blob, [0]) == [-128]


def test_conv_2d(engine: HostEngine) -> None:
    """2x2 window over 2x3 with zero point 1: windows (1 2 / 4 5) and (2 3 / 5 6), each less 1."""
    tensors = [Tensor((1, 2, 3, 1), zero_point=1), Tensor((1, 1, 2, 2), zero_point=-1)]
    weights = [1, 2, 3, 4, -1, 0, 0, 1]
    blob = convolution(tensors, weights, b.window((2, 2)), [ONE, ONE], [0, 50])
    # 0*1 + 1*2 + 3*3 + 4*4 = 27;  -0 + 4 + 50 = 54;  1 + 4 + 12 + 20 = 37;  -1 + 5 + 50 = 54; each less 1
    assert run(engine, blob, [1, 2, 3, 4, 5, 6]) == [26, 53, 36, 53]


@pytest.mark.parametrize(
    ("scalings", "biases"),
    [
        ([HALF], [0] * 5),  # no bits at all
        ([HALF], [1, 0, -1, 0, -2]),  # 2 bits: entries cross no words
        ([(2**30, 0), (2**31 - 1, 1), (2**30 + 1, -2), (2**30, 3), (2**30, -3)], [-(2**20), 9, 2**20 - 1, 0, 0]),
        ([(2**30, 0), (2**30 + 2**14, 31), (2**30, 1), (2**30, -32), (2**30, -1)], [2**31 - 1, -(2**31), 5, -6, 7]),
        ([(3, 0), (2**30, 1), (1, 31), (2, 30), (2**30, 0)], [2**31 - 1, -5, -(2**31), 2**30, 99]),
        ([(2**30, 0), (2**30 + 2**29, -31), (2**30, -30), (2**30, -7), (2**30, 0)], [0] * 5),
    ],
)
def test_numbers_of_the_channels(engine: HostEngine, scalings: list[tuple[int, int]], biases: list[int]) -> None:
    """Entries of 0 to 68 bits, whose fields cross words anywhere, against the definition of requantisation."""
    tensors = [Tensor((1, 1, 1, 1)), Tensor((1, 1, 1, 5), zero_point=3)]
    blob = convolution(tensors, [0] * 5, b.window((1, 1)), scalings, biases)
    expected = [
        int(np.clip(wrap_int32(requantize(bias, multiplier, shift) + 3), -128, 127))
        for bias, (multiplier, shift) in zip(biases, scalings * 5 if len(scalings) == 1 else scalings, strict=True)
    ]
    assert run(engine, blob, [9]) == expected


def test_conv_2d_input_channels_are_innermost(engine: HostEngine) -> None:
    tensors = [Tensor((1, 1, 2, 2)), Tensor((1, 1, 1, 1))]
    blob = convolution(tensors, [1, 10, 2, 20], b.window((1, 2)), [ONE], [0])
    assert run(engine, blob, [1, 2, 3, 1]) == [1 + 20 + 6 + 20]


def test_conv_2d_stride_dilation_and_padding(engine: HostEngine) -> None:
    """Kernel 3 with dilation 2 spans 5; pad 2; stride 3 over a row of 5: windows at -2, 1."""
    tensors = [Tensor((1, 1, 5, 1), zero_point=-1), Tensor((1, 1, 2, 1))]
    parameters = b.window((1, 3), stride=(1, 3), dilation=(1, 2), pad=(0, 2))
    blob = convolution(tensors, [1, 2, 3], parameters, [ONE], [0])
    # x + 1 = 1 2 3 4 5. First: taps at -2 (outside), 0, 2: 2*1 + 3*3. Second: 1, 3, 5 (outside): 2 + 2*4.
    assert run(engine, blob, [0, 1, 2, 3, 4]) == [11, 10]


def test_conv_2d_clamp(engine: HostEngine) -> None:
    tensors = [Tensor((1, 1, 3, 1)), Tensor((1, 1, 3, 1))]
    blob = convolution(tensors, [1], b.window((1, 1)), [ONE], [0], clamp=(-5, 6))
    assert run(engine, blob, [-100, 0, 100]) == [-5, 0, 6]


def test_conv_2d_window_without_any_tap_inside(engine: HostEngine) -> None:
    """Dilation 4, pad 3 over one column: taps at -3 and 1, both outside; only the bias is left."""
    tensors = [Tensor((1, 1, 1, 1)), Tensor((1, 1, 1, 1))]
    parameters = b.window((1, 2), dilation=(1, 4), pad=(0, 3))
    blob = convolution(tensors, [1, 1], parameters, [ONE], [42])
    assert run(engine, blob, [100]) == [42]


def test_conv_2d_largest_dilation(engine: HostEngine) -> None:
    """Positions of taps pass 2^31 here and must not come back inside."""
    tensors = [Tensor((1, 1, 3, 1)), Tensor((1, 1, 1, 1))]
    parameters = b.window((1, 60000), dilation=(1, 65535))
    blob = convolution(tensors, [1] * 60000, parameters, [ONE], [0])
    assert run(engine, blob, [7, 100, 100]) == [7]


def test_depthwise_conv_2d(engine: HostEngine) -> None:
    """Two input channels, two outputs each: output c reads input c / 2."""
    tensors = [Tensor((1, 2, 1, 2), zero_point=1), Tensor((1, 1, 1, 4))]
    weights = [1, 2, 3, 4, 5, 6, 7, 8]
    blob = convolution(tensors, weights, b.window((2, 1)), [ONE] * 4, [0, 0, 0, 1], kind=b.DEPTHWISE_CONV_2D)
    # Channel 0: 1 3, channel 1: 2 4; less 1: 0 2 and 1 3.
    assert run(engine, blob, [1, 2, 3, 4]) == [4, 8, 5 + 18, 7 + 24 + 1]


def test_depthwise_conv_2d_padding(engine: HostEngine) -> None:
    tensors = [Tensor((1, 1, 3, 1), zero_point=-100), Tensor((1, 1, 3, 1))]
    parameters = b.window((1, 3), pad=(0, 1))
    blob = convolution(tensors, [1, 2, 3], parameters, [ONE], [-300], kind=b.DEPTHWISE_CONV_2D)
    # x + 100 = 100 0 30: (200 + 0, 100 + 0 + 90, 0 + 60) - 300
    assert run(engine, blob, [0, -100, -70]) == [-100, -110, -128]


def test_fully_connected(engine: HostEngine) -> None:
    """The sample: weights -6 .. 5 in rows of 3, halved, no bias."""
    # [1 2 3]: -28 -10 8 26;  [0 0 -1]: 4 1 -2 -5; halves go up
    assert run(engine, sample_blobs.fully_connected(), [1, 2, 3, 0, 0, -1]) == [-14, -5, 4, 13, 2, 1, -1, -2]


def test_fully_connected_takes_any_shape_of_input(engine: HostEngine) -> None:
    operator = Operator(
        b.FULLY_CONNECTED, 0, 1, weights=b.raw([1] * 8), requantization=b.channels([ONE], [0, 1], [1] * 8, -1),
    )  # fmt: skip
    blob = b.build([Tensor((1, 2, 2, 1), zero_point=-1), Tensor((2,))], [operator])
    assert run(engine, blob, [1, 2, 3, 4]) == [14, 15]


def test_add(engine: HostEngine) -> None:
    """x - 1 and (3 -4 5) + 1, each halved and added at 2^-19: (x - 1 + y + 1) * 2^19 * 2^-19."""
    values = [1, 1, 1, 10, 10, 10, 127, -128, 0, -5, 6, 7]
    expected = [min(127, max(-128, x - 1 + y + 1)) for x, y in zip(values, [3, -4, 5] * 4, strict=True)]
    assert run(engine, sample_blobs.add(), values) == expected


@pytest.mark.parametrize(
    ("constant", "repeat", "second"),
    [
        ([1, 2, 3, 4, 5, 6], 1, [1, 2, 3, 4, 5, 6]),
        ([7], 1, [7] * 6),
        ([1, 2], 1, [1, 2, 1, 2, 1, 2]),
        ([1, 2], 3, [1, 1, 1, 2, 2, 2]),
        ([1], 6, [1] * 6),
        ([10, 20, 30], 2, [10, 10, 20, 20, 30, 30]),
    ],
)
def test_mul_broadcast(engine: HostEngine, constant: list[int], repeat: int, second: list[int]) -> None:
    blob = b.build(
        [Tensor((2, 3)), Tensor((2, 3)), Tensor((len(constant),), constant=constant)],
        [Operator(b.MUL, 0, 1, input2=2, parameters=struct.pack("<I", repeat), requantization=b.scalings(ONE))],
    )
    values = [1, -2, 3, -4, 0, 4]
    assert run(engine, blob, values) == [x * y for x, y in zip(values, second, strict=True)]


def test_mul_rounding_and_zero_points(engine: HostEngine) -> None:
    """(x - 1) * (y + 1) / 2 with y + 1 = 4, -3, 6, in the range -20 .. 20."""
    blob = sample_blobs.mul()
    start = blob.places["requantization 0"]
    blob.data[start : start + 8] = b.scalings(HALF)
    blob.set_operator(0, "activation_min", -20)
    blob.set_operator(0, "activation_max", 20)
    blob.data[:] = blob.sealed()
    values = [2, 2, 2, 1, 4, 100, -100, 100, 0, 3, -2, 7]
    # 3*-3 = -9 -> -4.5 -> -4;  1*-3 = -3 -> -1;  -3*-3 = 9 -> 4.5 -> 5
    assert run(engine, blob, values) == [2, -1, 3, 0, -4, 20, -20, -20, -3, 4, 5, 18]


@pytest.mark.parametrize("kernel", [0, 1])
@pytest.mark.parametrize("second_is_output", [False, True])
def test_add_in_place(engine: HostEngine, second_is_output: bool, kernel: int) -> None:
    tensors = [Tensor((6,), offset=0), Tensor((6,), offset=6), Tensor((6,), offset=6 if second_is_output else 0)]
    scalings = b.scalings((1 << 30, 0), (1 << 30, 0), (1 << 30, -18)), struct.pack("<4i", 4, 4, 2, 2)
    operator = Operator(
        b.ADD, 0, 2, input2=1, parameters=struct.pack("<I", 1), requantization=scalings[kernel], kernel=kernel
    )
    blob = b.build(tensors, [operator], inputs=2)
    engine.load(bytes(blob.data))
    engine.run([bytes([1, 2, 3, 4, 5, 6]), bytes([10, 20, 30, 40, 50, 60])])
    assert engine.tensor(2).tolist() == [11, 22, 33, 44, 55, 66]


def test_average_pool_2d(engine: HostEngine) -> None:
    """3x3 windows at (-1, -1) of stride 2: 2x2, 2x3, 3x2 and 3x3 taps inside; halves away from zero."""
    first = [1, 2, 3, 4, 1, 2, 3, 4, 0, 0, 0, 0, -1, -1, -1, -3]
    values = [value for pixel in first for value in (pixel, -pixel)]
    # 6/4 = 1.5 -> 2; (2+3+4)*2/6 = 3; rows 1..3: (1+2)+(0+0)+(-1-1) = 1/6 -> 0; 9 + 0 - 5 = 4/9 -> 0
    assert run(engine, sample_blobs.average_pool_2d(), values) == [2, -2, 3, -3, 0, 0, 0, 0]


def test_max_pool_2d(engine: HostEngine) -> None:
    first = [1, 2, 3, 4, 1, 2, 3, 4, 0, 0, 0, 0, -1, -1, -1, -128]
    values = [value for pixel in first for value in (pixel, max(-128, min(127, -pixel)))]
    assert run(engine, sample_blobs.max_pool_2d(), values) == [2, -1, 4, -2, 2, 1, 4, 127]


def test_max_pool_2d_of_lowest_values(engine: HostEngine) -> None:
    assert run(engine, sample_blobs.max_pool_2d(), [-128] * 32) == [-128] * 8


@pytest.mark.parametrize("kind", [b.AVERAGE_POOL_2D, b.MAX_POOL_2D])
def test_pool_2d_clamp(engine: HostEngine, kind: int) -> None:
    operator = Operator(kind, 0, 1, parameters=b.window((1, 1)), clamp=(-2, 3))
    blob = b.build([Tensor((1, 1, 3, 1)), Tensor((1, 1, 3, 1))], [operator])
    assert run(engine, blob, [-9, 1, 9]) == [-2, 1, 3]


def test_mean(engine: HostEngine) -> None:
    """Sums of four, less 4 * 2, quartered (halves up, then away from zero)."""
    # 10+1+1+1 = 13 - 8 = 5 -> 2.5 -> 3 -> 1.5 -> 2;  -8 -> -2;  -1-1-1+0 = -3 - 8 = -11 -> -5 -> -3
    values = [10, 0, -1, 1, 0, -1, 1, 0, -1, 1, 0, 0]
    assert run(engine, sample_blobs.mean(), values) == [2, -2, -3]


def test_mean_of_sums(engine: HostEngine) -> None:
    """With the factor 1 the sums themselves: two outer blocks, three of inner."""
    operator = Operator(b.MEAN, 0, 1, parameters=struct.pack("<I", 3), requantization=b.scalings(ONE))
    blob = b.build([Tensor((2, 2, 3), zero_point=1), Tensor((2, 3), zero_point=-10)], [operator])
    assert run(engine, blob, [1, 2, 3, 10, 20, 30, -1, -2, -3, 0, 1, 2]) == [-1, 10, 21, -13, -13, -13]


def test_pad(engine: HostEngine) -> None:
    """1x2x2 with one row above and two below, a column on the left, one channel in front and two behind."""
    row = [7] * 5 + [7, 1, 2, 7, 7] + [7, 3, 4, 7, 7]
    assert run(engine, sample_blobs.pad(), [1, 2, 3, 4]) == [7] * 15 + row + [7] * 30


def test_copy(engine: HostEngine) -> None:
    assert run(engine, sample_blobs.copy(), [1, 2, 3, 4], [10, 20]) == [1, 2, 10, 3, 4, 20]


def test_lookup(engine: HostEngine) -> None:
    assert run(engine, sample_blobs.lookup(), [-128, -1, 0, 5, 127]) == [127, 1, 0, -5, -127]


def test_lookup_in_place(engine: HostEngine) -> None:
    table = list(range(-128, 0)) + [5] * 128
    tensors = [Tensor((4,), offset=0), Tensor((4,), offset=0)]
    blob = b.build(tensors, [Operator(b.LOOKUP, 0, 1, weights=b.raw(table))])
    assert run(engine, blob, [-7, 7, -128, 127]) == [-7, 5, -128, 5]
