"""Puts the decisions together."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.huffman import CodeTable
from smidgen.network import Network
from smidgen.plan.kernels import TILE_BYTES, KernelPlan, default_scratch_limit, plan_kernels
from smidgen.plan.linear_add import use_linear_adds
from smidgen.plan.memory import least_arena_bytes, plan_arena
from smidgen.plan.multipliers import shorten_multipliers
from smidgen.plan.weights import Coding, WeightPlan, plan_weights


@dataclass
class Plan:
    """A network with all that the blob says about memory. Sizes in bytes, exact."""

    network: Network
    arena_offsets: list[int | None]  # by tensor; None for constants
    arena_bytes: int
    scratch_bytes: int
    weights: dict[int, WeightPlan]  # by operator index
    kernels: dict[int, KernelPlan]  # by operator index, for operators with weights
    code_tables: list[CodeTable]


def make_plan(
    network: Network, *, scratch_limit: int | None = None, tile_bytes: int = TILE_BYTES, coding: Coding = "smallest"
) -> Plan:
    """Plan `network`. Limits in bytes; operators that cannot do with less get more.

    scratch_limit: for the working memory of an operator; without it, in proportion to the arena. tile_bytes: for the
    decoded weights that the plain kernels hold at a time (at least one channel). coding: of the weights; "raw" makes
    blobs large and networks fast.
    """
    network = prepare(network)
    weights, tables = plan_weights(network, coding)
    if scratch_limit is None:
        scratch_limit = default_scratch_limit(least_arena_bytes(network, plan_kernels(network, weights, 0, tile_bytes)))
    return plan_prepared(network, weights, tables, scratch_limit, tile_bytes)


def prepare(network: Network) -> Network:
    """The network with the arithmetic that the engine is fastest at; every output stays."""
    return use_linear_adds(shorten_multipliers(network))


def plan_prepared(
    network: Network,
    weights: dict[int, WeightPlan],
    tables: list[CodeTable],
    scratch_limit: int,
    tile_bytes: int = TILE_BYTES,
) -> Plan:
    """Plan a network that was prepared, with weights stored as `weights` says. Limits as for make_plan."""
    kernels = plan_kernels(network, weights, scratch_limit, tile_bytes)
    offsets, arena_bytes = plan_arena(network, kernels)
    scratch_bytes = max((plan.scratch_bytes for plan in kernels.values()), default=0)
    return Plan(network, offsets, arena_bytes, scratch_bytes, weights, kernels, tables)
