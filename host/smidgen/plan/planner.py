"""Puts the decisions together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smidgen.huffman import CodeTable
from smidgen.network import Network
from smidgen.plan.kernels import TILE_BYTES, KernelPlan, plan_kernels
from smidgen.plan.linear_add import use_linear_adds
from smidgen.plan.memory import describe_arena
from smidgen.plan.multipliers import shorten_multipliers
from smidgen.plan.placement import Placement, place_tensors
from smidgen.plan.weights import Coding, WeightPlan, plan_weights

_LEAST_OPTIONAL_SCRATCH = 4000


@dataclass
class Plan:
    """A network with all that the blob says about memory. Sizes in bytes, exact."""

    network: Network
    arena_offsets: list[int | None]  # by tensor; None for constants
    scratch_offsets: dict[int, int]  # in the arena, by operator index, for operators with weights; 0 without scratch
    arena_bytes: int  # all working memory
    scratch_bytes: int  # of that, what the hungriest operator uses besides tensors
    weights: dict[int, WeightPlan]  # by operator index
    kernels: dict[int, KernelPlan]  # by operator index, for operators with weights
    code_tables: list[CodeTable]


def make_plan(
    network: Network, *, arena_limit: int | None = None, tile_bytes: int = TILE_BYTES, coding: Coding = "smallest"
) -> Plan:
    """Plan `network`. Limits in bytes; operators that cannot do with less get more.

    arena_limit: for all working memory; without it, a third more than the least that the network can do with.
    tile_bytes: for the decoded weights that the plain kernels hold at a time (at least one channel). coding: of the
    weights; "raw" makes blobs large and networks fast.
    """
    network = prepare(network)
    weights, tables = plan_weights(network, coding)
    return plan_prepared(network, weights, tables, arena_limit, tile_bytes)


def prepare(network: Network) -> Network:
    """The network with the arithmetic that the engine is fastest at; every output stays."""
    return use_linear_adds(shorten_multipliers(network))


def plan_prepared(
    network: Network,
    weights: dict[int, WeightPlan],
    tables: list[CodeTable],
    arena_limit: int | None,
    tile_bytes: int = TILE_BYTES,
) -> Plan:
    """Plan a network that was prepared, with weights stored as `weights` says. Limits as for make_plan."""
    least = plan_kernels(network, weights, dict.fromkeys(weights, 0), tile_bytes)
    # What may overlap with the least scratch may so with more: larger blocks are gathered sooner.
    arena = describe_arena(network, least)
    if arena_limit is None:
        arena_limit = default_arena_limit(arena.least_bytes(_scratch(least)))
    rooms = {index: arena_limit - arena.alive(index) for index in weights}
    kernels = plan_kernels(network, weights, rooms, tile_bytes)
    placement = place_tensors(arena, _scratch(kernels), arena_limit)
    for index, size in _scratch(kernels).items():
        found = placement.room(index, arena_limit)
        if size > found:
            rooms[index] = found
    kernels = plan_kernels(network, weights, rooms, tile_bytes)
    scratch_offsets = {index: placement.scratch_offset(index, size) for index, size in _scratch(kernels).items()}
    return Plan(
        network,
        _by_tensor(network, placement),
        {index: scratch_offsets.get(index, 0) for index in weights},
        max([placement.size, *(scratch_offsets[index] + size for index, size in _scratch(kernels).items())]),
        max(_scratch(kernels).values(), default=0),
        weights,
        kernels,
        tables,
    )


def default_arena_limit(least_bytes: int) -> int:
    """All working memory for a network that needs at least so much: scratch saves time."""
    return least_bytes + max(_LEAST_OPTIONAL_SCRATCH, least_bytes // 3)


def _scratch(kernels: Mapping[int, KernelPlan]) -> dict[int, int]:
    """Bytes of scratch by operator, for those that need any."""
    return {index: plan.scratch_bytes for index, plan in kernels.items() if plan.scratch_bytes > 0}


def _by_tensor(network: Network, placement: Placement) -> list[int | None]:
    offsets: list[int | None] = [None] * len(network.tensors)
    for offset, buffer in zip(placement.offsets, placement.arena.buffers, strict=True):
        offsets[buffer.tensor] = offset
    return offsets
