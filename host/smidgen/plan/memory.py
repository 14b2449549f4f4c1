"""Places every activation tensor in the arena so that tensors that live at the same time never overlap."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from smidgen.network import BinaryOperator, CopyOperator, LookupOperator, Network, NetworkOperator

ALIGNMENT = 4  # so that kernels may read activations a word at a time
_TRIES = 400  # random orders tried when the simple ones do not reach the lower bound


@dataclass
class Buffer:
    """Memory that one tensor, or several that follow each other in place, use from operator first to last."""

    tensors: list[int]
    size: int
    first: int
    last: int


def plan_arena(network: Network) -> tuple[list[int | None], int]:
    """Arena offset of every tensor (None for constants) and the arena's size in bytes."""
    buffers = _buffers(network)
    bound = lower_bound(buffers)
    best: tuple[int, list[int]] | None = None
    for order in _orders(buffers):
        offsets = _place(buffers, order)
        size = max((offset + buffer.size for offset, buffer in zip(offsets, buffers, strict=True)), default=0)
        if best is None or size < best[0]:
            best = size, offsets
        if size <= bound:
            break
    assert best is not None
    by_tensor: list[int | None] = [None] * len(network.tensors)
    for offset, buffer in zip(best[1], buffers, strict=True):
        for tensor in buffer.tensors:
            by_tensor[tensor] = offset
    return by_tensor, best[0]


def lower_bound(buffers: Iterable[Buffer]) -> int:
    """Bytes alive at the fullest moment: no placement can be smaller."""
    listed = list(buffers)
    moments = {buffer.first for buffer in listed}
    return max((sum(b.size for b in listed if b.first <= moment <= b.last) for moment in moments), default=0)


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


def _buffers(network: Network) -> list[Buffer]:
    lifetimes = _lifetimes(network)
    home: dict[int, Buffer] = {}
    for index, tensor in enumerate(network.tensors):
        if tensor.data is None:
            first, last = lifetimes[index]
            home[index] = Buffer([index], tensor.elements, first, last)
    for step, operator in enumerate(network.operators):
        source = _in_place_input(network, operator, lifetimes, step)
        if source is not None and home[source] is not home[operator.output]:
            kept, joined = home[source], home[operator.output]
            kept.tensors += joined.tensors
            kept.last = max(kept.last, joined.last)
            for tensor_index in joined.tensors:
                home[tensor_index] = kept
    return list({id(buffer): buffer for buffer in home.values()}.values())


def _in_place_input(
    network: Network, operator: NetworkOperator, lifetimes: list[tuple[int, int]], step: int
) -> int | None:
    """The input whose memory the output can take over: same size, read here for the last time."""
    if not isinstance(operator, BinaryOperator | LookupOperator | CopyOperator):
        return None
    output = network.tensors[operator.output]
    if isinstance(operator, CopyOperator) and operator.chunk != output.elements:
        return None
    if lifetimes[operator.output][0] != step:
        return None
    for index in operator.inputs:
        tensor = network.tensors[index]
        if tensor.data is None and tensor.elements == output.elements and lifetimes[index][1] == step:
            return index
    return None


def _orders(buffers: list[Buffer]) -> Iterable[list[int]]:
    """Orders in which to place buffers: the ones that are usually best, then random variations of the first."""
    indices = list(range(len(buffers)))
    by_size = sorted(indices, key=lambda i: (-buffers[i].size, buffers[i].first))
    yield by_size
    yield sorted(indices, key=lambda i: (-(buffers[i].last - buffers[i].first), -buffers[i].size))
    yield sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].size))
    generator = random.Random(1)
    for _ in range(_TRIES):
        yield sorted(indices, key=lambda i: -buffers[i].size * generator.uniform(0.5, 2.0))


def _place(buffers: list[Buffer], order: list[int]) -> list[int]:
    """Lowest free offset for each buffer, in the given order."""
    offsets = [0] * len(buffers)
    placed: list[int] = []
    for index in order:
        buffer = buffers[index]
        neighbours = sorted(
            (offsets[other], offsets[other] + buffers[other].size)
            for other in placed
            if buffers[other].first <= buffer.last and buffer.first <= buffers[other].last
        )
        offset = 0
        for start, end in neighbours:
            if offset + buffer.size <= start:
                break
            offset = max(offset, -(-end // ALIGNMENT) * ALIGNMENT)
        offsets[index] = offset
        placed.append(index)
    return offsets
