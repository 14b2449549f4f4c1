"""How large the instructions are that the engine compiles weights to on Cortex-M0+ (native/core/dot_thumb.c).

The counts follow what is emitted there, halfword by halfword, so that a workspace is exactly as large as it must be.
Other engines do not compile, and the results do not depend on it: a workspace that is too small only costs time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, WeightedOperator
from smidgen.plan.band import Band

SEGMENT_LIMIT = 255  # the magnitudes of the weights in a segment add up to this at most
FAST_SHIFTS = range(-10, 1)  # of multipliers that need no call to requantise
_HEADER_BYTES = 8
_PRODUCT_HALFWORDS = 8  # the room that the compiler wants for a weight
_UNPACK_HALFWORDS = 5
_GROUP_WORDS = 4  # loaded at a time
_ADD_LIMIT = 252  # added by one instruction
_NEAR = 505  # steps below this are made of additions
_BRANCH_REACH = 1000


@dataclass(frozen=True)
class CompiledBlock:
    """The code of one or two output channels, in bytes. room: what the compiler wants to be free, at least `size`."""

    size: int
    room: int


@dataclass(frozen=True)
class _Shape:
    """What the code for a dot product depends on besides weights and requantisation; words and bytes."""

    rows: int
    columns: int
    row_words: int
    pair_words: int
    output_step: int

    @staticmethod
    def of(band: Band, output_channels: int) -> _Shape:
        column = band.output_width == 1
        return _Shape(
            band.kernel[0],
            band.kernel[1] * band.channels,
            band.dilation_h * band.row_words,
            band.period * band.row_words if column else band.stride[1] * band.channels,
            output_channels * (2 if column else 1),
        )


def compiled_blocks(network: Network, operator: WeightedOperator) -> list[CompiledBlock]:
    """The code of all output channels: two in a block for CONV_2D, but for a last one; one for DEPTHWISE_CONV_2D."""
    shape = _Shape.of(Band.of(network, operator), operator.channels)
    weights = _weight_halfwords(operator.weights)
    taps = _group_halfwords(weights, shape)
    ends = np.where(np.any(operator.weights != 0, axis=1), _UNPACK_HALFWORDS, 0)
    outputs = [_output_halfwords(network, operator, channel) for channel in range(operator.channels)]
    step = 2 if operator.kind == Kind.CONV_2D else 1
    return [
        _block(shape, taps[first : first + step], int(ends[first : first + step].sum()), outputs[first : first + step])
        for first in range(0, operator.channels, step)
    ]


def multiplier_bits(shift: int) -> int:
    """How many bits each half of a multiplier has where requantisation needs no call; the low 31 - 2 * bits are 0."""
    return 14 if shift >= -8 else 22 + shift


def _weight_halfwords(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """Halfwords for each weight [channels, weights], with the unpacking before it if a segment ends there."""
    values = weights.astype(np.int64)
    halfwords = np.zeros(values.shape, np.int64)
    segment = np.full(len(values), -1)  # magnitudes so far; -1 before the first weight
    for tap in range(values.shape[1]):
        value = values[:, tap]
        used, opened = value != 0, segment >= 0
        total = np.maximum(segment, 0) + np.abs(value)
        starts = used & (~opened | (total > SEGMENT_LIMIT))
        product = np.where(starts, 2 + (value < 0) + _UNPACK_HALFWORDS * opened, 3)
        halfwords[:, tap] = np.where(used, product, 0)
        segment = np.where(starts, np.abs(value), np.where(used, total, segment))
    return halfwords


def _group_halfwords(weights: NDArray[np.int64], shape: _Shape) -> NDArray[np.int64]:
    """Halfwords for the products of each group of words that is loaded at a time [channels, rows, groups]."""
    groups = -(-shape.columns // _GROUP_WORDS)
    padded = np.zeros((len(weights), shape.rows, groups * _GROUP_WORDS), np.int64)
    padded[:, :, : shape.columns] = weights.reshape(len(weights), shape.rows, shape.columns)
    sums: NDArray[np.int64] = padded.reshape(len(weights), shape.rows, groups, _GROUP_WORDS).sum(axis=3)
    return sums


def _block(shape: _Shape, products: NDArray[np.int64], ends: int, outputs: list[tuple[int, int]]) -> CompiledBlock:
    channels = len(products)
    gap = 4 * (shape.row_words - shape.columns)
    pieces = 1 + products.sum(axis=0)  # a load and the products, [rows, groups]
    steps = np.zeros(pieces.shape, np.int64)  # before the groups: from row to row
    steps[1:, 0] = _additions(gap)
    starts = np.cumsum(steps + pieces).reshape(pieces.shape) - pieces
    loaded = np.full(pieces.shape, _GROUP_WORDS)
    loaded[:, -1] = shape.columns - _GROUP_WORDS * (pieces.shape[1] - 1)
    wanted = starts + 1 + loaded * channels * _PRODUCT_HALFWORDS
    rest = 44 + 72 * channels + (shape.rows - 1) * (gap // _ADD_LIMIT + 1)
    halfwords, constants = int((steps + pieces).sum()) + ends, 0
    for more in _rest(shape, outputs):
        halfwords, constants = halfwords + more[0], constants + more[1]
    near = halfwords < _BRANCH_REACH
    halfwords, constants = halfwords + (1 if near else 2), constants + (0 if near else 1)
    size = _HEADER_BYTES + 4 * -(-halfwords // 2) + 4 * constants
    return CompiledBlock(size, max(size, _HEADER_BYTES + 2 * (int(wanted.max()) + rest)))


def _rest(shape: _Shape, outputs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Halfwords and constants of everything after the taps but the branch back to them."""
    channels = len(outputs)
    yield 3 + (channels - 1), 0
    yield from outputs
    yield _step(shape.output_step - (channels - 1))
    yield 2, 0
    yield _step(4 * (shape.pair_words - ((shape.rows - 1) * shape.row_words + shape.columns)))
    yield 5, 0
    yield 3 * channels, channels


def _additions(value: int) -> int:
    return -(-abs(value) // _ADD_LIMIT)


def _step(value: int) -> tuple[int, int]:
    return (_additions(value), 0) if abs(value) < _NEAR else (2, 1)


def _output_halfwords(network: Network, operator: WeightedOperator, channel: int) -> tuple[int, int]:
    """Halfwords and constants that requantise and store the outputs of one channel for both pixels of a pair."""
    index = 0 if len(operator.multiplier) == 1 else channel
    multiplier, shift = int(operator.multiplier[index]), int(operator.shift[index])
    if not is_fast(multiplier, shift):
        return 2 * 11, 6
    above = network.tensors[operator.output].zero_point - operator.activation_min
    rounding = 3 + _additions(1 << (-shift - 1)) if shift < 0 else 0
    body = 15 if above == 0 else 18 + rounding + _additions(above)
    return 2 + 2 * (1 + body + _additions(operator.activation_min) + 1), 3


def is_fast(multiplier: int, shift: int) -> bool:
    """Whether compiled code requantises with these numbers without a call."""
    if shift not in FAST_SHIFTS or multiplier < 2**30:
        return False
    return multiplier % (1 << (31 - 2 * multiplier_bits(shift))) == 0
