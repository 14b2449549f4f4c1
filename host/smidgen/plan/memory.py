"""What has to lie in the arena, and when: tensors, and the scratch of operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from smidgen.network import Network
from smidgen.plan.kernels import KernelPlan
from smidgen.plan.overlap import Overlap, allowed_overlap


@dataclass(frozen=True)
class Buffer:
    """Memory that a tensor uses from operator first to last."""

    tensor: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """The tensors. overlaps: by (input, output), indices of buffers, that may lie over each other."""

    buffers: Sequence[Buffer]
    overlaps: Mapping[tuple[int, int], Overlap]

    @cached_property
    def together(self) -> list[list[int]]:
        """For each buffer, the others that live at a time when it does."""
        return [
            [
                index
                for index, other in enumerate(self.buffers)
                if other is not buffer and other.first <= buffer.last and buffer.first <= other.last
            ]
            for buffer in self.buffers
        ]

    @cached_property
    def at_operator(self) -> dict[int, list[int]]:
        """The buffers in use at each operator, or before the first (-1), or after the last."""
        moments = range(
            min((buffer.first for buffer in self.buffers), default=0),
            max((buffer.last for buffer in self.buffers), default=0) + 1,
        )
        return {
            moment: [index for index, buffer in enumerate(self.buffers) if buffer.first <= moment <= buffer.last]
            for moment in moments
        }

    def alive(self, moment: int) -> int:
        """Bytes of the tensors that an operator must find or leave, less what may lie over an input."""
        size = sum(buffer.size for buffer in self.buffers if buffer.first <= moment <= buffer.last)
        savings = [
            overlap.saving(self.buffers[source].size, self.buffers[result].size)
            for (source, result), overlap in self.overlaps.items()
            if self.buffers[result].first == moment
        ]
        return size - max(savings, default=0)

    def least_bytes(self, scratch: Mapping[int, int]) -> int:
        """Bytes in use at the fullest moment: no placement can be smaller. scratch: bytes, by operator."""
        moments = {buffer.first for buffer in self.buffers} | set(scratch)
        return max((self.alive(moment) + scratch.get(moment, 0) for moment in moments), default=0)


def describe_arena(network: Network, kernels: Mapping[int, KernelPlan]) -> Arena:
    """One buffer for each tensor that is not constant, and which outputs may lie over an input that ends there."""
    lifetimes = _lifetimes(network)
    variable = [index for index, tensor in enumerate(network.tensors) if tensor.data is None]
    places = {tensor: place for place, tensor in enumerate(variable)}
    overlaps = {}
    for step, operator in enumerate(network.operators):
        for source in set(operator.inputs):
            if source not in places or lifetimes[source][1] != step or lifetimes[operator.output][0] != step:
                continue
            overlap = allowed_overlap(network, step, source, kernels)
            if overlap is not None:
                overlaps[places[source], places[operator.output]] = overlap
    buffers = [Buffer(tensor, network.tensors[tensor].elements, *lifetimes[tensor]) for tensor in variable]
    return Arena(buffers, overlaps)


def _lifetimes(network: Network) -> list[tuple[int, int]]:
    """First and last operator that uses each tensor; inputs live from -1, outputs to the end."""
    first = [len(network.operators)] * len(network.tensors)
    last = [-1] * len(network.tensors)
    for index in network.inputs:
        first[index] = -1
    for step, operator in enumerate(network.operators):
        first[operator.output] = min(first[operator.output], step)
        for tensor in (operator.output, *operator.inputs):
            last[tensor] = max(last[tensor], step)
    for index in network.outputs:
        last[index] = len(network.operators)
    return list(zip(first, last, strict=True))
