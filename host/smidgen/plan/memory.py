"""Places every activation tensor in the arena so that tensors that live at the same time never overlap."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smidgen.network import Network
from smidgen.plan.kernels import KernelPlan
from smidgen.plan.overlap import Overlap, allowed_overlap

ALIGNMENT = 4  # so that kernels may read activations a word at a time
_TRIES = 400  # random orders tried when the simple ones do not reach the lower bound


@dataclass(frozen=True)
class Buffer:
    """Memory that a tensor uses from operator first to last."""

    tensor: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """What has to be placed. overlaps: by (input, output), indices of buffers, that may lie over each other."""

    buffers: Sequence[Buffer]
    overlaps: Mapping[tuple[int, int], Overlap]

    def lower_bound(self) -> int:
        """Bytes alive at the fullest moment: no placement can be smaller."""
        return max((self._alive(moment) for moment in {buffer.first for buffer in self.buffers}), default=0)

    def _alive(self, moment: int) -> int:
        size = sum(buffer.size for buffer in self.buffers if buffer.first <= moment <= buffer.last)
        savings = [
            overlap.saving(self.buffers[source].size, self.buffers[result].size)
            for (source, result), overlap in self.overlaps.items()
            if self.buffers[result].first == moment
        ]
        return size - max(savings, default=0)


def plan_arena(network: Network, kernels: Mapping[int, KernelPlan]) -> tuple[list[int | None], int]:
    """Arena offset of every tensor (None for constants) and the arena's size in bytes."""
    arena = describe_arena(network, kernels)
    bound = arena.lower_bound()
    best: tuple[int, list[int]] | None = None
    for order in _orders(arena.buffers):
        offsets = _place(arena, order)
        size = max((offset + buffer.size for offset, buffer in zip(offsets, arena.buffers, strict=True)), default=0)
        if best is None or size < best[0]:
            best = size, offsets
        if size <= bound:
            break
    assert best is not None
    by_tensor: list[int | None] = [None] * len(network.tensors)
    for offset, buffer in zip(best[1], arena.buffers, strict=True):
        by_tensor[buffer.tensor] = offset
    return by_tensor, best[0]


def least_arena_bytes(network: Network, kernels: Mapping[int, KernelPlan]) -> int:
    """No arena for the network is smaller than this."""
    return describe_arena(network, kernels).lower_bound()


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


def _orders(buffers: Sequence[Buffer]) -> Iterable[list[int]]:
    """Orders in which to place buffers: the ones that are usually best, then random variations of the first."""
    indices = list(range(len(buffers)))
    by_size = sorted(indices, key=lambda i: (-buffers[i].size, buffers[i].first))
    yield by_size
    yield sorted(indices, key=lambda i: (-(buffers[i].last - buffers[i].first), -buffers[i].size))
    yield sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].size))
    generator = random.Random(1)
    for _ in range(_TRIES):
        yield sorted(indices, key=lambda i: -buffers[i].size * generator.uniform(0.5, 2.0))


def _place(arena: Arena, order: Iterable[int]) -> list[int]:
    """Lowest free offset for each buffer, in the given order."""
    buffers = arena.buffers
    offsets = [0] * len(buffers)
    placed: list[int] = []
    for index in order:
        buffer = buffers[index]
        forbidden = sorted(
            interval
            for other in placed
            if buffers[other].first <= buffer.last and buffer.first <= buffers[other].last
            for interval in _forbidden(arena, index, other, offsets[other])
        )
        offset = 0
        for start, end in forbidden:
            if offset <= start:
                break
            if offset < end:
                offset = -(-end // ALIGNMENT) * ALIGNMENT
        offsets[index] = offset
        placed.append(index)
    return offsets


def _forbidden(arena: Arena, index: int, other: int, offset: int) -> list[tuple[int, int]]:
    """Open intervals of offsets that a buffer cannot have besides another one at `offset`, alive at the same time."""
    start, end = offset - arena.buffers[index].size, offset + arena.buffers[other].size
    if (index, other) in arena.overlaps:
        overlap = arena.overlaps[index, other]
        first, last = offset + overlap.least, offset + overlap.most
    elif (other, index) in arena.overlaps:
        overlap = arena.overlaps[other, index]
        first, last = offset - overlap.most, offset - overlap.least
    else:
        return [(start, end)]
    return [(start, min(first, end)), (max(last, start), end)]
