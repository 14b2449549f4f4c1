"""What a network costs before it runs: cycles of a Cortex-M0+, and instructions of other architectures.

The cost of an operator is a sum over the steps of its kernel (cost_steps.py): how often each runs, which follows from
the plan, times what it costs, which `python -m benchmarks.cost --update` fits to measurements. docs/performance.md
tells how good that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from smidgen.network import Network
from smidgen.plan.cost_pairs import COMPILED
from smidgen.plan.cost_steps import Steps, operator_steps
from smidgen.plan.execution import Execution

DATA = Path(__file__).with_name("cost_data.json")
CYCLES = "armv6m"  # the architecture whose figures are cycles; those of the others are instructions

# What MicroPython adds on an RP2040, in cycles (docs/performance.md, "Bare and firmware agree").
CALL_CYCLES, OPERATOR_CYCLES = 11_400, 5_400


@dataclass(frozen=True)
class CostModel:
    """costs: of each step, in cycles (armv6m) or instructions.

    Bytes: the heap that `import smidgen` takes, the heap that the objects of a loaded model take besides blob and
    arena, and the size of smidgen.mpy.
    """

    architecture: str
    costs: Mapping[str, float]
    module_heap_bytes: int
    model_heap_bytes: int
    module_file_bytes: int

    def operator(self, network: Network, index: int, execution: Execution | None) -> float:
        """The cost of one operator, without MicroPython on armv6m and with it elsewhere.

        execution: of operators with weights, else None.
        """
        return self._sum(steps_on(self.architecture, network, index, execution))

    def operators(self, network: Network, executions: Mapping[int, Execution]) -> list[float]:
        """Of every operator."""
        return [self.operator(network, index, executions.get(index)) for index in range(len(network.operators))]

    def inference(self, network: Network, executions: Mapping[int, Execution]) -> float:
        """Of one inference, with what MicroPython adds."""
        total = sum(self.operators(network, executions))
        if self.architecture == CYCLES:
            return total + CALL_CYCLES + OPERATOR_CYCLES * len(network.operators)
        return total + self.costs["call"]

    def _sum(self, steps: Steps) -> float:
        """Steps that were never fitted cost nothing, so that an outdated model still plans; tests find them."""
        return sum(count * self.costs.get(step, 0.0) for step, count in steps.items())


def steps_on(architecture: str, network: Network, index: int, execution: Execution | None) -> Steps:
    """How often each step of operator `index` runs; only engines for armv6m compile weights."""
    if architecture != CYCLES and execution is not None:
        execution = replace(execution, workspace_bytes=0)
    return operator_steps(network, index, execution)


def architectures() -> tuple[str, ...]:
    """Those that were measured."""
    return tuple(_data())


@cache
def cost_model(architecture: str = CYCLES) -> CostModel:
    """The fitted model. KeyError for an architecture that was not measured."""
    fitted = _data()[architecture]
    costs = fitted["costs"] | ({COMPILED: 1.0} if architecture == CYCLES else {})
    sizes = (fitted[f"{what}_bytes"] for what in ("module_heap", "model_heap", "module_file"))
    return CostModel(architecture, costs, *sizes)


@cache
def _data() -> dict[str, Any]:
    fitted: dict[str, Any] = json.loads(DATA.read_text("utf-8"))["architectures"]
    return fitted
