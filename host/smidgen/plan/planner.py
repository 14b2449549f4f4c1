"""Puts the decisions together."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.huffman import CodeTable
from smidgen.network import Network
from smidgen.plan.memory import plan_arena
from smidgen.plan.weights import TILE_BYTES, WeightPlan, plan_weights


@dataclass
class Plan:
    """A network with all that the blob says about memory. Sizes in bytes, exact."""

    network: Network
    arena_offsets: list[int | None]  # by tensor; None for constants
    arena_bytes: int
    scratch_bytes: int
    weights: dict[int, WeightPlan]  # by operator index
    code_tables: list[CodeTable]


def make_plan(network: Network, tile_bytes: int = TILE_BYTES) -> Plan:
    """Plan `network`; tile_bytes bounds the decoded weights held at a time (at least one channel is)."""
    offsets, arena_bytes = plan_arena(network)
    weights, tables = plan_weights(network, tile_bytes)
    scratch_bytes = max((plan.scratch_bytes for plan in weights.values()), default=0)
    return Plan(network, offsets, arena_bytes, scratch_bytes, weights, tables)
