"""Which activations must have the same scale and zero point, and which are fixed.

Operators that only move, select or average int8 values cannot change what they mean, so their input and output
form one group. SOFTMAX and LOGISTIC have the output that TFLite fixes: scale 1/256, zero point -128.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from smidgen.graph import (
    AveragePool2D,
    Concatenation,
    Graph,
    Logistic,
    MaxPool2D,
    Operator,
    Pad,
    Quantization,
    Relu,
    Relu6,
    Reshape,
    Softmax,
)

FIXED_OUTPUT = Quantization.per_tensor(1 / 256, -128)
# RELU and RELU6 that could not be fused: another scale could not bring back what the input's scale has lost,
# and TFLM's int8 RELU6 does not rescale.
_KEEPING = (AveragePool2D, MaxPool2D, Pad, Reshape, Relu, Relu6)


@dataclass
class Groups:
    """`leader` gives the name that stands for an activation's group."""

    parents: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)  # leaders of the groups with FIXED_OUTPUT
    derived: set[str] = field(default_factory=set)  # activations that hold nothing but values of their group
    converted: list[tuple[Operator, int]] = field(default_factory=list)  # CONCATENATION inputs that need a QUANTIZE

    def leader(self, name: str) -> str:
        while self.parents.get(name, name) != name:
            name = self.parents[name]
        return name

    def join(self, first: str, second: str) -> None:
        a, b = self.leader(first), self.leader(second)
        if a != b:
            self.parents[b] = a
            if b in self.fixed:
                self.fixed.add(a)

    def is_fixed(self, name: str) -> bool:
        return self.leader(name) in self.fixed


def find_groups(graph: Graph) -> Groups:
    """The groups of a float graph's activations."""
    groups = Groups()
    for operator in graph.operators:
        if isinstance(operator, Softmax | Logistic):
            groups.fixed.add(groups.leader(operator.output))
        elif isinstance(operator, _KEEPING):
            groups.join(operator.inputs[0], operator.output)
            groups.derived.add(operator.output)
        elif isinstance(operator, Concatenation):
            _join_concatenation(groups, operator)
    return groups


def _join_concatenation(groups: Groups, operator: Concatenation) -> None:
    """All inputs share the output's parameters; those that are fixed are converted, unless all of them are."""
    groups.derived.add(operator.output)
    all_fixed = all(groups.is_fixed(name) for name in operator.inputs)
    for position, name in enumerate(operator.inputs):
        if groups.is_fixed(name) and not all_fixed:
            groups.converted.append((operator, position))
        else:
            groups.join(operator.output, name)
