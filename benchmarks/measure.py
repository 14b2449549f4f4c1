"""Measures networks on the bare engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from benchmarks.bare import BareEngine, OperatorCycles, WrongResult
from benchmarks.models import BenchmarkModel


@dataclass(frozen=True)
class ModelCycles:
    """One network run once. Cycles are sums over the operators; loading, which checks the whole blob, is apart."""

    name: str
    operators: list[OperatorCycles]
    load_cycles: int
    stack_bytes: int
    in_flash: bool  # the blob, because it does not fit in SRAM beside the rest

    @property
    def cycles(self) -> int:
        return sum(operator.cycles for operator in self.operators)

    @property
    def linkage(self) -> int:
        """Cycles that rp2040py, and so sim:pico, does not count."""
        return sum(operator.linkage for operator in self.operators)

    @property
    def macs(self) -> int:
        return sum(operator.macs for operator in self.operators)

    @property
    def cycles_per_mac(self) -> float | None:
        return self.cycles / self.macs if self.macs else None

    @property
    def decoding_cycles(self) -> int:
        """Of Huffman decoding."""
        return sum(operator.decoding for operator in self.operators)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without cycles by address."""
        document = asdict(self)
        for operator in document["operators"]:
            del operator["cycles_at"]
        return {
            **document,
            "cycles": self.cycles,
            "macs": self.macs,
            "cycles_per_mac": self.cycles_per_mac,
            "decoding_cycles": self.decoding_cycles,
        }


def measure(engine: BareEngine, model: BenchmarkModel, operator: int | None = None) -> ModelCycles:
    """Run a network, or only one operator of it. Raises WrongResult, MachineError or IndexError."""
    bare = engine.load(model.data)
    if operator is not None:
        operators = [bare.run_one(operator, model.inputs)]
    else:
        operators = list(bare.run(model.inputs))
        for number, (actual, expected) in enumerate(zip(bare.outputs(), model.expected, strict=True)):
            if not np.array_equal(actual, expected.reshape(-1)):
                raise WrongResult(f"{model.name}: output {number} differs from that of {model.origin}")
    return ModelCycles(model.name, operators, bare.load_cycles, bare.machine.stack_bytes, bare.in_flash)
