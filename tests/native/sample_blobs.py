"""One small valid blob for every kind of operator, and their names."""

from __future__ import annotations

import struct
from collections.abc import Callable

import blob_builder as b
from blob_builder import Blob, Operator, Tensor


def conv_2d(weights: b.Weights | None = None) -> Blob:
    """3x3x2 -> 2x2x3, kernel 2x2, one golden vector, metadata."""
    values = [(7 * i) % 11 - 5 for i in range(24)]
    return b.build(
        [Tensor((1, 3, 3, 2), zero_point=-3, scale=0.5), Tensor((1, 2, 2, 3), zero_point=4)],
        [
            Operator(
                b.CONV_2D, 0, 1, parameters=b.window((2, 2)), weights=weights or b.raw(values), clamp=(-100, 100),
                requantization=b.channels([b.ONE, b.HALF, b.QUARTER], [10, -20, 30], values, -3),
            )
        ],
        golden=[bytes(18 + 12)],
        metadata=b'{"name":"tiny"}',
    )  # fmt: skip


def conv_2d_huffman() -> Blob:
    """The same network with Huffman coded weights, two channels at a time."""
    values = [(7 * i) % 11 - 5 for i in range(24)]
    return b.build(
        [Tensor((1, 3, 3, 2), zero_point=-3, scale=0.5), Tensor((1, 2, 2, 3), zero_point=4)],
        [
            Operator(
                b.CONV_2D, 0, 1, parameters=b.window((2, 2)), weights=b.huffman(values), clamp=(-100, 100),
                tile=2, requantization=b.channels([b.ONE, b.HALF, b.QUARTER], [10, -20, 30], values, -3),
            )
        ],
    )  # fmt: skip


def conv_2d_pairs() -> Blob:
    """The same network with kernel 1, and room for code."""
    values = [(7 * i) % 11 - 5 for i in range(24)]
    operator = Operator(
        b.CONV_2D, 0, 1, parameters=b.window((2, 2)), weights=b.huffman(values), clamp=(-100, 100), kernel=1, tile=1,
        workspace=4 + 6 * 2 + 5, requantization=b.channels([b.ONE, b.HALF, b.QUARTER], [10, -20, 30], values, -3),
    )  # fmt: skip
    return b.build([Tensor((1, 3, 3, 2), zero_point=-3, scale=0.5), Tensor((1, 2, 2, 3), zero_point=4)], [operator])


def conv_2d_zero_runs() -> Blob:
    """The same with kernel 1 and few weights that are not zero: none in channel 1, only the last one in channel 2."""
    values = [0, 0, 5, 0, -3, 0, 0, 0] + 15 * [0] + [-5]
    operator = Operator(
        b.CONV_2D, 0, 1, parameters=b.window((2, 2)), weights=b.huffman_with_zero_runs(values, 8, 2), clamp=(-100, 100),
        kernel=1, tile=1, workspace=4 + 6 * 2 + 5,
        requantization=b.channels([b.ONE, b.HALF, b.QUARTER], [10, -20, 30], values, -3),
    )  # fmt: skip
    return b.build([Tensor((1, 3, 3, 2), zero_point=-3, scale=0.5), Tensor((1, 2, 2, 3), zero_point=4)], [operator])


def fully_connected_zero_runs() -> Blob:
    """1x5 -> 1x6 with kernel 1, channel by channel."""
    values = [0, 0, 7, 0, 0, *range(1, 6), 0, 0, 0, 0, -9, -2, 0, 0, 0, 0, *(10 * [0])]
    operator = Operator(
        b.FULLY_CONNECTED, 0, 1, weights=b.huffman_with_zero_runs(values, 5, 1), kernel=1, tile=1,
        requantization=b.channels([b.HALF], [0] * 6),
    )  # fmt: skip
    return b.build([Tensor((5,)), Tensor((6,))], [operator])


def depthwise_conv_2d_pairs() -> Blob:
    """5x4x2 -> 5x4x4 with padding and kernel 1, one pair of rows in a block."""
    values = [i % 5 - 2 for i in range(36)]
    return b.build(
        [Tensor((1, 5, 4, 2), zero_point=5), Tensor((1, 5, 4, 4))],
        [
            Operator(
                b.DEPTHWISE_CONV_2D, 0, 1, parameters=b.window((3, 3), pad=(1, 1)), kernel=1, tile=1,
                workspace=3 * 6, weights=b.raw(values),
                requantization=b.channels([b.QUARTER] * 4, [1, -2, 300, -400], values, 5),
            )
        ],
    )  # fmt: skip


def depthwise_conv_2d() -> Blob:
    """4x4x2 -> 4x4x4 with padding, two outputs for each input channel, different multipliers."""
    values = [i % 5 - 2 for i in range(36)]
    return b.build(
        [Tensor((1, 4, 4, 2), zero_point=5), Tensor((1, 4, 4, 4))],
        [
            Operator(
                b.DEPTHWISE_CONV_2D, 0, 1, parameters=b.window((3, 3), pad=(1, 1)),
                weights=b.raw(values),
                requantization=b.channels(
                    [b.QUARTER, (0x60000000, -1), (0x48000000, 0), b.HALF], [1, -2, 300, -400], values, 5
                ),
            )
        ],
    )  # fmt: skip


def fully_connected() -> Blob:
    """Two rows of 3 -> two rows of 4, shared multiplier, no bias."""
    return b.build(
        [Tensor((2, 3)), Tensor((2, 4))],
        [
            Operator(
                b.FULLY_CONNECTED, 0, 1, weights=b.raw(list(range(-6, 6))),
                requantization=b.channels([b.HALF], [0] * 4),
            )
        ],
    )  # fmt: skip


def fully_connected_streamed() -> Blob:
    """1x5 -> 1x6 with kernel 1: the weights of four channels for input 0, for input 1, ..., then of the last two."""
    values = [(5 * i) % 9 - 4 for i in range(30)]
    operator = Operator(
        b.FULLY_CONNECTED, 0, 1, kernel=1, tile=1, weights=b.huffman(values),
        requantization=b.channels([b.HALF] * 6, list(range(6))),
    )  # fmt: skip
    return b.build([Tensor((5,)), Tensor((6,))], [operator])


def _binary(kind: int, requantization: bytes, kernel: int = 0) -> Blob:
    return b.build(
        [Tensor((1, 2, 2, 3), zero_point=1), Tensor((1, 2, 2, 3)), Tensor((3,), zero_point=-1, constant=[3, -4, 5])],
        [Operator(kind, 0, 1, input2=2, parameters=struct.pack("<I", 1), requantization=requantization, kernel=kernel)],
    )


def add() -> Blob:
    # x - zx is raised by 2^20, and the sum is brought down again by 2^-20.
    return _binary(b.ADD, b.scalings((1 << 30, 0), (1 << 30, 0), (1 << 30, -18)))


def linear_add() -> Blob:
    return _binary(b.ADD, struct.pack("<4i", 3, -2, 5, 1), kernel=1)


def mul() -> Blob:
    return _binary(b.MUL, b.scalings(b.ONE))


def _pool(kind: int) -> Blob:
    return b.build(
        [Tensor((1, 4, 4, 2)), Tensor((1, 2, 2, 2))],
        [Operator(kind, 0, 1, parameters=b.window((3, 3), stride=(2, 2), pad=(1, 1)))],
    )


def average_pool_2d() -> Blob:
    return _pool(b.AVERAGE_POOL_2D)


def max_pool_2d() -> Blob:
    return _pool(b.MAX_POOL_2D)


def mean() -> Blob:
    """Over height and width."""
    return b.build(
        [Tensor((1, 2, 2, 3), zero_point=2), Tensor((1, 3))],
        [Operator(b.MEAN, 0, 1, parameters=struct.pack("<I", 3), requantization=b.scalings(b.QUARTER))],
    )


def pad() -> Blob:
    return b.build(
        [Tensor((1, 1, 2, 2), zero_point=7), Tensor((1, 4, 3, 5), zero_point=7)],
        [Operator(b.PAD, 0, 1, parameters=struct.pack("<6H", 1, 2, 1, 0, 1, 2))],
    )


def copy() -> Blob:
    """Concatenation of two inputs along the last dimension."""
    return b.build(
        [Tensor((2, 2)), Tensor((2, 1)), Tensor((2, 3))],
        [
            Operator(b.COPY, 0, 2, parameters=struct.pack("<3I", 2, 3, 0)),
            Operator(b.COPY, 1, 2, parameters=struct.pack("<3I", 1, 3, 2)),
        ],
        inputs=2,
    )


def lookup() -> Blob:
    table = [max(-128, min(127, -q)) for q in range(-128, 128)]
    return b.build([Tensor((5,)), Tensor((5,))], [Operator(b.LOOKUP, 0, 1, weights=b.raw(table))])


def softmax() -> Blob:
    """Input scale 1/16: the exponent's Q5 is x * 2^26 / 16, so multiplier 2^30 and shift 23 give x / 16."""
    return b.build(
        [Tensor((2, 3), scale=1 / 16), Tensor((2, 3), zero_point=-128, scale=1 / 256)],
        [Operator(b.SOFTMAX, 0, 1, requantization=struct.pack("<iii", 1 << 30, 23, -248))],
    )


SAMPLES: dict[str, Callable[[], Blob]] = {
    function.__name__: function
    for function in (
        conv_2d, conv_2d_huffman, conv_2d_pairs, conv_2d_zero_runs, depthwise_conv_2d, depthwise_conv_2d_pairs,
        fully_connected, fully_connected_streamed, fully_connected_zero_runs, add, linear_add, mul, average_pool_2d,
        max_pool_2d, mean, pad, copy, lookup, softmax,
    )
}  # fmt: skip
