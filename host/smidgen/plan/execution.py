"""How operators are run, as far as their cost depends on it: what a plan decides, and what a blob says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smidgen.huffman import CodeTable
from smidgen.plan.kernels import KernelPlan
from smidgen.plan.weights import WeightPlan


@dataclass(frozen=True)
class Execution:
    """Of one operator with weights. kernel, tile: as in docs/format.md, section 6; table: None with raw weights."""

    kernel: int
    tile: int
    workspace_bytes: int
    table: CodeTable | None


def executions(
    kernels: Mapping[int, KernelPlan], weights: Mapping[int, WeightPlan], tables: Sequence[CodeTable]
) -> dict[int, Execution]:
    """By operator index, for operators with weights."""
    result = {}
    for index, kernel in kernels.items():
        number = weights[index].table
        table = None if number is None else tables[number]
        result[index] = Execution(kernel.kernel, kernel.tile, 4 * kernel.workspace_words, table)
    return result
