"""Where an operator's output may lie over an input that nobody reads later (docs/format.md, "in place")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smidgen.network import (
    BinaryOperator,
    CopyOperator,
    Kind,
    LinearAddOperator,
    LookupOperator,
    Network,
    NetworkOperator,
    WeightedOperator,
)
from smidgen.plan.band import Band
from smidgen.plan.kernels import PAIRS, KernelPlan


@dataclass(frozen=True)
class Overlap:
    """The distances (input offset - output offset) that are allowed besides no overlap: least .. most, in bytes."""

    least: int
    most: int

    def saving(self, input_bytes: int, output_bytes: int) -> int:
        """Bytes that the best of these distances saves over no overlap."""
        inside = min(0, output_bytes - input_bytes), max(0, output_bytes - input_bytes)  # one within the other
        distance = min(max(inside[0], self.least), self.most)
        span = max(output_bytes, distance + input_bytes) - min(0, distance)
        return max(input_bytes + output_bytes - span, 0)


_SAME_OFFSET = Overlap(0, 0)


def allowed_overlap(network: Network, index: int, source: int, kernels: Mapping[int, KernelPlan]) -> Overlap | None:
    """How operator `index` may write over its input `source`, apart from whether that is needed later."""
    operator = network.operators[index]
    if isinstance(operator, WeightedOperator):
        plan = kernels[index]
        return _of_pairs(network, operator, plan.tile) if operator.window is not None and plan.kernel == PAIRS else None
    elementwise = isinstance(operator, BinaryOperator | LinearAddOperator | LookupOperator)
    whole = elementwise or _copies_whole(network, operator)
    same_size = network.tensors[source].elements == network.tensors[operator.output].elements
    return _SAME_OFFSET if whole and same_size else None


def _copies_whole(network: Network, operator: NetworkOperator) -> bool:
    return isinstance(operator, CopyOperator) and operator.chunk == network.tensors[operator.output].elements


def _of_pairs(network: Network, operator: WeightedOperator, tile: int) -> Overlap | None:
    least = Band.of(network, operator).least_distance(tile)
    if operator.kind == Kind.CONV_2D:
        return Overlap(least, max(least, network.tensors[operator.output].elements))
    source, result = network.tensors[operator.input], network.tensors[operator.output]
    # Channel by channel: only with equal addresses does a channel leave the others alone.
    alike = source.dimensions[3] == result.dimensions[3] and result.elements <= source.elements
    return _SAME_OFFSET if alike and least <= 0 else None
