"""How large the instructions are that the engine compiles weights to on Cortex-M0+
(native/core/dot_compile_thumb.c).

The counts follow what is emitted there, halfword by halfword, so that a workspace is exactly as large as it must be.
Other engines do not compile, and the results do not depend on it: a workspace that is too small only costs time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, WeightedOperator
from smidgen.plan.band import Band

SEGMENT_LIMIT = 255  # the magnitudes of the weights in a segment add up to this at most
FAST_SHIFTS = range(-10, 0)  # of multipliers that need no call to requantise
UNUSED_BITS = 6  # the lowest bits of such multipliers, which are 0
_HEADER_BYTES = 8
_CHANNEL_BYTES = 24  # in front of the code: how each channel is requantised
_GROUP_ROOM = 88  # bytes that the compiler wants to be free for the weights of a group and a lane
_UNPACK_HALFWORDS = 5
_GROUP_WORDS = 4  # loaded at a time
_ADD_LIMIT = 252  # added by one instruction
_FARTHEST_LOAD = 124  # bytes from the pointer


@dataclass(frozen=True)
class CompiledBlock:
    """The code of one or two output channels. size, room: bytes; room is what the compiler wants to be free.

    instructions: without the return, all of them halfwords. words: that a run loads. pairs: that a run computes.
    """

    size: int
    room: int
    instructions: int
    words: int
    pairs: int

    @property
    def cycles(self) -> int:
        """Of one run on a Cortex-M0+: one for each instruction and each word that is loaded, two for the return."""
        return self.instructions + self.words + 2


@dataclass(frozen=True)
class _Shape:
    """What the code for a dot product depends on besides the weights: rows of taps, words of each, and the next row.

    pair_words: from one pair's words to the next pair's. row_pairs: of a row of the picture.
    """

    rows: int
    columns: int
    row_words: int
    pair_words: int
    row_pairs: int

    @staticmethod
    def of(band: Band) -> _Shape:
        columns = band.kernel[1] * band.channels
        pair_words = band.stride[1] * band.channels
        return _Shape(band.kernel[0], columns, band.dilation_h * band.row_words, pair_words, band.output_width)

    def are_twins(self, channels: int) -> bool:
        """Whether the code of so many channels computes two neighbouring pairs at once."""
        return channels == 1 and self.row_pairs % 2 == 0 and self.columns + self.pair_words <= _GROUP_WORDS


def compiled_blocks(network: Network, operator: WeightedOperator, sparse: bool = False) -> list[CompiledBlock]:
    """The code of all output channels: two in a block for CONV_2D, but for a last one; one for DEPTHWISE_CONV_2D.

    sparse: the weights are coded with zero runs, and two channels together load only words that they need.
    """
    return _compiled_blocks(_Shape.of(Band.of(network, operator)), operator, sparse)


@lru_cache(maxsize=256)  # a planner asks for the same operators again and again
def _compiled_blocks(shape: _Shape, operator: WeightedOperator, sparse: bool) -> list[CompiledBlock]:
    products = _weight_halfwords(operator.weights)
    taps = _group_halfwords(products, shape)
    ends = np.where(np.any(operator.weights != 0, axis=1), _UNPACK_HALFWORDS, 0)
    step = 2 if operator.kind == Kind.CONV_2D else 1
    blocks = []
    for first in range(0, operator.channels, step):
        channels = slice(first, first + step)
        if sparse and len(products[channels]) == 2:
            blocks.append(_sparse_block(shape, products[channels], int(ends[channels].sum())))
        else:
            blocks.append(_block(shape, taps[channels], int(ends[channels].sum())))
    return blocks


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


def _block(shape: _Shape, products: NDArray[np.int64], ends: int) -> CompiledBlock:
    twins = shape.are_twins(len(products))
    gap = 4 * (shape.row_words - shape.columns - (shape.pair_words if twins else 0))
    lanes = 2 if twins else 1  # for each channel
    products = np.repeat(products, lanes, axis=0)  # [lanes, rows, groups]
    pieces = 1 + products.sum(axis=0)  # a load and the products, [rows, groups]
    steps = np.zeros(pieces.shape, np.int64)  # before the groups: from row to row
    steps[1:, 0] = -(-gap // _ADD_LIMIT)
    halfwords = int((steps + pieces).sum())
    before_last_lane = halfwords - int(products[-1, -1, -1])
    header = _HEADER_BYTES + _CHANNEL_BYTES * (len(products) // lanes)
    instructions = halfwords + lanes * ends
    words = shape.rows * (shape.columns + (shape.pair_words if twins else 0))
    size = header + 4 * -(-(instructions + 1) // 2)
    return CompiledBlock(size, header + 2 * before_last_lane + _GROUP_ROOM, instructions, words, lanes)


def _sparse_block(shape: _Shape, products: NDArray[np.int64], ends: int) -> CompiledBlock:
    """Of two channels. The compiler wants room before each load and each step of the pointer, the last of which comes
    behind all products."""
    index = np.flatnonzero(products.any(axis=0))
    places = 4 * (index // shape.columns * shape.row_words + index % shape.columns)
    end = 4 * ((shape.rows - 1) * shape.row_words + shape.columns)
    steps, pointer = 0, 0
    for place in places.tolist():
        while place - pointer > _FARTHEST_LOAD:
            pointer += min(place - pointer, _ADD_LIMIT)
            steps += 1
    steps += -(-(end - pointer) // _ADD_LIMIT)
    header = _HEADER_BYTES + 2 * _CHANNEL_BYTES
    code = len(places) + steps + int(products.sum())
    instructions = code + ends
    size = header + 4 * -(-(instructions + 1) // 2)
    return CompiledBlock(size, header + 2 * (code - 1) + _GROUP_ROOM, instructions, len(places), 1)


def is_fast(multiplier: int, shift: int) -> bool:
    """Whether the engine requantises with these numbers without a call."""
    return shift in FAST_SHIFTS and multiplier >= 2**30 and multiplier % (1 << UNUSED_BITS) == 0
