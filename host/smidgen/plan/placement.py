"""Places tensors in the arena so that those that live at the same time never overlap, and scratch in what they leave.

Tensors are placed greedily in several orders, each at the lowest or at the highest free offset. The placement that
leaves each operator a piece as large as the scratch it wants is taken, or the one that comes nearest.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from smidgen.plan.memory import Arena, Buffer

ALIGNMENT = 4  # so that kernels may read activations a word at a time
_TRIES = 200  # random orders tried when the simple ones leave too little


@dataclass(frozen=True)
class Placement:
    """Arena offsets of the tensors, in the order of the arena's buffers."""

    arena: Arena
    offsets: Sequence[int]

    @property
    def size(self) -> int:
        """Bytes up to the end of the last tensor."""
        return max((offset + buffer.size for offset, buffer in self._placed()), default=0)

    def gaps(self, moment: int, ceiling: int) -> list[tuple[int, int]]:
        """(offset, bytes) between the tensors alive at an operator, and behind them up to `ceiling`."""
        alive = sorted(
            (self.offsets[index], self.offsets[index] + self.arena.buffers[index].size)
            for index in self.arena.at_operator.get(moment, ())
        )
        gaps, position = [], 0
        for start, end in [*alive, (ceiling, ceiling)]:
            if start > position:
                gaps.append((position, start - position))
            position = max(position, _aligned(end))
        return gaps

    def room(self, moment: int, ceiling: int) -> int:
        """Bytes of the largest gap."""
        return max((size for _, size in self.gaps(moment, ceiling)), default=0)

    def scratch_offset(self, moment: int, size: int) -> int:
        """The lowest offset that so many bytes can have beside the tensors alive at an operator."""
        unlimited = self.size + ALIGNMENT + size
        return next(offset for offset, gap in self.gaps(moment, unlimited) if gap >= size)

    def _placed(self) -> Iterable[tuple[int, Buffer]]:
        return zip(self.offsets, self.arena.buffers, strict=True)


def place_tensors(arena: Arena, scratch: Mapping[int, int], limit: int) -> Placement:
    """Offsets with which the arena and the scratch stay within `limit` bytes, if they are found, or come nearest to it.

    scratch: bytes that operators want, by operator.
    """
    least = arena.least_bytes(scratch)
    best: tuple[tuple[int, int], Placement] | None = None
    for ceiling in sorted({_aligned(least), max(_aligned(least), limit)}):
        for order, high in _candidates(arena):
            placement = Placement(arena, _place(arena, order, high, ceiling))
            missing = [max(size - placement.room(moment, ceiling), 0) for moment, size in scratch.items()]
            cost = max(placement.size - ceiling, 0), sum(missing)
            if best is None or cost < best[0]:
                best = cost, placement
            if cost == (0, 0):
                return placement
    assert best is not None
    return best[1]


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _candidates(arena: Arena) -> Iterator[tuple[list[int], list[bool]]]:
    """Orders in which to place the buffers, and which of them go to the high end.

    First the ones that are usually best, then random variations of the first.
    """
    buffers = arena.buffers
    indices = list(range(len(buffers)))
    by_size = sorted(indices, key=lambda i: (-buffers[i].size, buffers[i].first))
    by_lifetime = sorted(indices, key=lambda i: (-(buffers[i].last - buffers[i].first), -buffers[i].size))
    by_start = sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].size))
    for high in (_alternating(arena), [False] * len(buffers)):
        for order in (by_size, by_lifetime, by_start):
            yield order, high
    generator = random.Random(1)
    for _ in range(_TRIES):
        order = sorted(indices, key=lambda i: -buffers[i].size * generator.uniform(0.5, 2.0))
        yield order, [generator.random() < 0.5 for _ in indices]


def _alternating(arena: Arena) -> list[bool]:
    """Each buffer at the other end than the one before it, unless it may lie over that: one gap stays between them."""
    sources = {result: source for source, result in arena.overlaps}
    order = sorted(range(len(arena.buffers)), key=lambda i: arena.buffers[i].first)
    ends: dict[int, bool] = {}
    last = True
    for index in order:
        last = ends[sources[index]] if index in sources else not last
        ends[index] = last
    return [ends[index] for index in range(len(arena.buffers))]


def _place(arena: Arena, order: Iterable[int], high: Sequence[bool], ceiling: int) -> list[int]:
    """The lowest free offset for each buffer in the given order, or the highest below `ceiling` if there is one."""
    buffers = arena.buffers
    offsets = [0] * len(buffers)
    placed = [False] * len(buffers)
    for index in order:
        buffer = buffers[index]
        forbidden = sorted(
            interval
            for other in arena.together[index]
            if placed[other]
            for interval in _forbidden(arena, index, other, offsets[other])
        )
        lowest = _lowest(forbidden)
        highest = _highest(forbidden, ceiling - buffer.size) if high[index] else -1
        offsets[index] = max(lowest, highest)
        placed[index] = True
    return offsets


def _lowest(forbidden: Iterable[tuple[int, int]]) -> int:
    """The lowest offset outside the open intervals, which are sorted."""
    offset = 0
    for start, end in forbidden:
        if offset <= start:
            break
        if offset < end:
            offset = _aligned(end)
    return offset


def _highest(forbidden: Sequence[tuple[int, int]], most: int) -> int:
    """The highest offset up to `most` outside the open intervals; negative if there is none."""
    offset = most - most % ALIGNMENT
    for start, end in sorted(forbidden, key=lambda interval: -interval[1]):
        if offset >= end:
            break
        if offset > start:
            offset = start - start % ALIGNMENT
    return offset


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
