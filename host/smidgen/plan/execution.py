"""How operators are run, as far as their cost depends on it: what a plan decides, and what a blob says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smidgen.huffman import CodeTable
from smidgen.plan.kernels import KernelPlan
from smidgen.plan.weights import WeightPlan


@dataclass(frozen=True)
class Execution:
    """Of one operator with weights. kernel, tile: as in docs/format.md, section 6; table: None with raw weights;
    zero_runs: of the record, 0 without."""

    kernel: int
    tile: int
    workspace_bytes: int
    table: CodeTable | None
    zero_runs: int = 0


def executions(
    kernels: Mapping[int, KernelPlan], weights: Mapping[int, WeightPlan], tables: Sequence[CodeTable]
) -> dict[int, Execution]:
    """By operator index, for operators with weights."""
    result = {}
    for index, kernel in kernels.items():
        weight = weights[index]
        table = None if weight.table is None else tables[weight.table]
        result[index] = Execution(kernel.kernel, kernel.tile, 4 * kernel.workspace_words, table, weight.zero_runs)
    return result
