"""Which channels can only be removed together: those that an operator reads and writes at the same place.

A channel is an index into a tensor's last dimension. CONV_2D and FULLY_CONNECTED tie none together, because each of
their outputs may read any input.
"""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from smidgen.network import (
    BinaryOperator,
    CopyOperator,
    Kind,
    LookupOperator,
    MeanOperator,
    Network,
    NetworkOperator,
    PadOperator,
    PoolOperator,
    SoftmaxOperator,
    WeightedOperator,
)

Channels = NDArray[np.int64]


class ChannelGroups:
    """Every channel of every tensor belongs to one group. `fixed` says for each group whether it has to stay."""

    def __init__(self, network: Network) -> None:
        self._network = network
        counts = [tensor.shape[-1] for tensor in network.tensors]
        self._first = [0, *accumulate(counts)]
        self._parent = list(range(self._first[-1]))
        self._pinned: list[int] = []
        for index in network.inputs + network.outputs:
            self._pin(index)
        for operator in network.operators:
            self._tie_operator(operator)
        roots = np.array([self._root(channel) for channel in range(len(self._parent))])
        _, numbers = np.unique(roots, return_inverse=True)
        self._numbers: Channels = numbers.reshape(-1)
        self.fixed: NDArray[np.bool_] = np.zeros(int(self._numbers.max()) + 1, np.bool_)
        self.fixed[self._numbers[self._pinned]] = True

    def of(self, tensor: int) -> Channels:
        """The group of each channel of a tensor."""
        return self._numbers[self._first[tensor] : self._first[tensor + 1]]

    def _root(self, channel: int) -> int:
        while self._parent[channel] != channel:
            self._parent[channel] = self._parent[self._parent[channel]]
            channel = self._parent[channel]
        return channel

    def _channels(self, tensor: int) -> int:
        return self._network.tensors[tensor].shape[-1]

    def _tie(self, tensor: int, channels: Channels, other: int, other_channels: Channels) -> None:
        """Channels of one tensor with those of another, one by one."""
        for a, b in zip(channels.tolist(), other_channels.tolist(), strict=True):
            self._parent[self._root(self._first[tensor] + a)] = self._root(self._first[other] + b)

    def _tie_elements(self, tensor: int, other: int, start: int = 0, count: int | None = None) -> None:
        """Element i of one tensor with element start + i of the other, whatever their shapes, for all or `count` i."""
        channels, other_channels = self._channels(tensor), self._channels(other)
        elements = self._network.tensors[tensor].elements if count is None else count
        index = np.arange(min(elements, math.lcm(channels, other_channels)))
        self._tie(tensor, index % channels, other, (start + index) % other_channels)

    def _pin(self, *tensors: int) -> None:
        for tensor in tensors:
            self._pinned += range(self._first[tensor], self._first[tensor + 1])

    def _tie_operator(self, operator: NetworkOperator) -> None:
        match operator:
            case WeightedOperator():
                self._tie_weighted(operator)
            case BinaryOperator():
                self._tie_binary(operator)
            case MeanOperator():
                self._tie_mean(operator)
            case PadOperator():
                source = np.arange(self._channels(operator.input))
                self._tie(operator.input, source, operator.output, source + operator.paddings[2][0])
            case CopyOperator():
                self._tie_copy(operator)
            case PoolOperator() | LookupOperator():
                self._tie_elements(operator.input, operator.output)
            case SoftmaxOperator():  # a row is all channels of a position
                self._pin(operator.input, operator.output)
            case _:
                raise ValueError(f"it is not known how the channels of {operator.kind!r} depend on each other")

    def _tie_weighted(self, operator: WeightedOperator) -> None:
        """DEPTHWISE_CONV_2D has equally many outputs for each input; with a single input it is a CONV_2D."""
        channels = self._channels(operator.input)
        if operator.kind == Kind.DEPTHWISE_CONV_2D and channels > 1:
            outputs = np.arange(operator.channels)
            self._tie(operator.input, outputs // (operator.channels // channels), operator.output, outputs)
        elif operator.kind == Kind.FULLY_CONNECTED and operator.weights.shape[1] % channels:
            self._pin(operator.input)  # a row is not whole positions

    def _tie_binary(self, operator: BinaryOperator) -> None:
        """A second operand that is broadcast over positions loses the same channels; one over channels loses none."""
        self._tie_elements(operator.input, operator.output)
        second = self._network.tensors[operator.input2].elements
        both = math.lcm(self._channels(operator.input), self._channels(operator.output))
        if second > 1 and operator.repeat == 1 and second % both == 0:
            self._tie_elements(operator.input2, operator.output)
            return
        self._pin(operator.input2)
        if max(second, operator.repeat) > 1 and operator.repeat % both:
            self._pin(operator.input, operator.output)

    def _tie_mean(self, operator: MeanOperator) -> None:
        """The mean over positions has the channels of its input. Over channels, none can go."""
        if operator.inner % math.lcm(self._channels(operator.input), self._channels(operator.output)):
            self._pin(operator.input, operator.output)
        else:
            self._tie_elements(operator.input, operator.output, count=operator.inner)

    def _tie_copy(self, operator: CopyOperator) -> None:
        """Element by element, if a row has whole positions of both tensors: then all rows lose equally many."""
        if operator.chunk % self._channels(operator.input) or operator.stride % self._channels(operator.output):
            self._pin(operator.input, operator.output)
        else:
            self._tie_elements(operator.input, operator.output, operator.start, operator.chunk)
