"""The geometry of kernel 1 of CONV_2D and DEPTHWISE_CONV_2D: which input rows a block of output rows needs, and when.

docs/format.md, section 6, defines the terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, WeightedOperator


@dataclass(frozen=True)
class Band:
    """Sizes of one operator as kernel 1 sees it. A pointwise convolution sees its pictures as a single column.

    channels: of the input, that a row of words holds: all, or 1 for DEPTHWISE_CONV_2D.
    """

    input_height: int
    output_height: int
    output_width: int
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation_h: int
    pad_top: int
    input_row_bytes: int
    output_row_bytes: int

    @staticmethod
    def of(network: Network, operator: WeightedOperator) -> Band:
        window = operator.window
        assert window is not None
        _, input_height, input_width, input_channels = network.tensors[operator.input].dimensions
        _, output_height, output_width, output_channels = network.tensors[operator.output].dimensions
        if is_pointwise(operator):
            input_height, input_width = input_height * input_width, 1
            output_height, output_width = output_height * output_width, 1
        return Band(
            input_height,
            output_height,
            output_width,
            input_channels if operator.kind == Kind.CONV_2D else 1,
            window.kernel,
            window.stride,
            window.dilation[0],
            window.padding[0],
            input_width * input_channels,
            output_width * output_channels,
        )

    @property
    def pairs(self) -> int:
        """Pairs of output rows; the last may be a single row."""
        return (self.output_height + 1) // 2

    @property
    def row_words(self) -> int:
        return ((self.output_width - 1) * self.stride[1] + self.kernel[1]) * self.channels

    @property
    def rows_of_taps(self) -> int:
        return (self.kernel[0] - 1) * self.dilation_h + 1

    def period(self, tile: int) -> int:
        """Rows of words from one pair to the next. A single block pairs the halves of the picture, not neighbours."""
        return min(self.rows_of_taps, (1 if tile >= self.pairs else 2) * self.stride[0])

    def rows(self, tile: int) -> int:
        """Rows of words that a block of so many pairs needs."""
        return (tile - 1) * self.period(tile) + self.rows_of_taps

    def bytes(self, tile: int) -> int:
        return 4 * self.row_words * self.rows(tile)

    def largest_tile(self, available: int) -> int:
        """The most pairs whose rows fit so many bytes, up to all pairs; 0 if not even one fits."""
        if self.bytes(self.pairs) <= available:
            return self.pairs
        spare = available // (4 * self.row_words) - self.rows_of_taps
        return 0 if spare < 0 else min(1 + spare // self.period(1), self.pairs - 1)

    def least_distance(self, tile: int) -> int:
        """The least (input offset - output offset) with which no input row is overwritten before it is gathered.

        With a single block everything is gathered before anything is stored: then any distance will do, and the
        result is minus the size of the input, where the two do not overlap anyway.
        """
        apart = -self.input_height * self.input_row_bytes
        done = np.arange(tile, self.pairs, tile)  # pairs of output rows stored after each block but the last
        first = self._first_row_read_later[(done - 1) * self.period(tile) + self.rows_of_taps]
        stored = 2 * done * self.output_row_bytes
        read_later = first < self.input_height
        distances = stored[read_later] - first[read_later] * self.input_row_bytes
        return max(int(distances.max(initial=apart)), apart)

    @cached_property
    def _first_row_read_later(self) -> NDArray[np.int64]:
        """By number of rows gathered, neighbours in pairs: the first input row that is read later, or the height."""
        period = min(self.rows_of_taps, 2 * self.stride[0])
        index = np.arange((self.pairs - 1) * period + self.rows_of_taps)
        upper = index // period * 2 * self.stride[0] + index % period - self.pad_top
        both = np.stack([upper, upper + self.stride[0]])
        inside = np.where((both >= 0) & (both < self.input_height), both, self.input_height)
        later = np.minimum.accumulate(inside.min(axis=0)[::-1])[::-1]
        return np.append(later, self.input_height)


def is_pointwise(operator: WeightedOperator) -> bool:
    """Whether every output pixel depends on one input pixel, without steps."""
    return operator.window is not None and operator.window.kernel == operator.window.stride == (1, 1)
