"""Memory plans: nothing that is needed is overwritten, and nothing is wasted where the best is known."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings

from random_graphs import graphs
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import BinaryOperator, Kind, LookupOperator, Network, NetworkTensor, WeightedOperator
from smidgen.passes import simplify
from smidgen.plan import make_plan
from smidgen.plan.weights import decoder_scratch_bytes


def _tensor(elements: int) -> NetworkTensor:
    return NetworkTensor((1, elements), 1.0, 0)


def _fully_connected(source: int, target: int, shape: tuple[int, int]) -> WeightedOperator:
    return WeightedOperator(Kind.FULLY_CONNECTED, source, target, weights=np.ones(shape, np.int8),
                            multiplier=np.array([2**30], np.int32), shift=np.array([0], np.int32))  # fmt: skip


def _chain(*sizes: int) -> Network:
    """FULLY_CONNECTED layers: tensor 0 is the input, tensor 1 the output, then the others in order."""
    order = [0, *range(2, len(sizes)), 1]
    tensors = [_tensor(0)] * len(sizes)
    for size, index in zip(sizes, order, strict=True):
        tensors[index] = _tensor(size)
    operators = [_fully_connected(order[i], order[i + 1], (sizes[i + 1], sizes[i])) for i in range(len(sizes) - 1)]
    return Network(tensors, list(operators), 1, 1)


def test_chain_needs_its_two_largest_neighbours() -> None:
    assert make_plan(_chain(640, 128, 128, 8, 128, 640)).arena_bytes == 768


def test_elementwise_operators_work_in_place() -> None:
    tensors = [_tensor(1000), _tensor(1000), _tensor(1000)]
    table = LookupOperator(Kind.LOOKUP, 0, 2)
    addition = BinaryOperator(Kind.ADD, 2, 1, input2=2, multipliers=(1, 1, 1), shifts=(0, 0, 0))
    plan = make_plan(Network(tensors, [table, addition], 1, 1))
    assert plan.arena_bytes == 1000
    assert len(set(plan.arena_offsets)) == 1


def test_a_tensor_that_is_read_again_is_not_overwritten_in_place() -> None:
    tensors = [_tensor(1000), _tensor(1000), _tensor(1000)]
    table = LookupOperator(Kind.LOOKUP, 0, 2)
    addition = BinaryOperator(Kind.ADD, 0, 1, input2=2, multipliers=(1, 1, 1), shifts=(0, 0, 0))
    assert make_plan(Network(tensors, [table, addition], 1, 1)).arena_bytes == 2000


def test_tiles_hold_whole_channels_within_the_budget() -> None:
    skewed = np.zeros((64, 40), np.int8)
    skewed[0, 0] = 3
    operator = WeightedOperator(Kind.FULLY_CONNECTED, 0, 1, weights=skewed, multiplier=np.array([2**30], np.int32),
                                shift=np.array([0], np.int32))  # fmt: skip
    plan = make_plan(Network([_tensor(40), _tensor(64)], [operator], 1, 1), tile_bytes=100)
    assert plan.weights[0].tile_channels == 2
    assert plan.scratch_bytes == decoder_scratch_bytes(2) + 80


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_live_tensors_never_overlap(graph: Graph) -> None:
    """Play the network through: every operator finds its inputs as their writers left them."""
    plan = make_plan(lower(simplify(graph)))
    network = plan.network
    owner: dict[int, int] = {}  # arena byte -> tensor that was written there last

    def write(index: int) -> None:
        offset = plan.arena_offsets[index]
        assert offset is not None
        assert offset + network.tensors[index].elements <= plan.arena_bytes
        for byte in range(offset, offset + network.tensors[index].elements):
            owner[byte] = index

    def intact(index: int) -> bool:
        offset = plan.arena_offsets[index]
        if offset is None:
            return network.tensors[index].data is not None
        return all(owner[byte] == index for byte in range(offset, offset + network.tensors[index].elements))

    for index in network.inputs:
        write(index)
    for operator in network.operators:
        assert all(intact(index) for index in operator.inputs)
        write(operator.output)
    assert all(intact(index) for index in network.outputs)
