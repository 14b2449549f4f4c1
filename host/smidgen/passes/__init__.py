"""Passes over a typed graph. Each edits the graph in place, does one thing, and keeps its results equal.

`PASSES` are in the order in which they help each other; `simplify` runs them all and drops what is unused.
"""

from __future__ import annotations

from smidgen.graph import Graph
from smidgen.passes.boundary import remove_boundary_quantization
from smidgen.passes.fold_activation import fold_activation
from smidgen.passes.fold_batch_norm import fold_batch_norm
from smidgen.passes.fold_pad import fold_pad
from smidgen.passes.reshape import remove_reshapes

PASSES = (remove_boundary_quantization, fold_pad, fold_batch_norm, fold_activation, remove_reshapes)

__all__ = ["PASSES", "simplify"]


def simplify(graph: Graph) -> Graph:
    """Run every pass on `graph` and return it."""
    for transform in PASSES:
        transform(graph)
        graph.prune()
    return graph
