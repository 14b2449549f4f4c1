"""Memory plans: nothing that is needed is overwritten, and nothing is wasted where the best is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings

from random_graphs import graphs
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import BinaryOperator, Kind, LookupOperator, Network, NetworkTensor, WeightedOperator
from smidgen.passes import simplify
from smidgen.plan import Plan, make_plan
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


def test_random_orders_find_what_the_simple_ones_miss() -> None:
    """By size, by lifetime and by first use each leave a gap that nothing fits (84 bytes at best)."""
    assert make_plan(_chain(28, 24, 32, 36)).arena_bytes == 32 + 36


def test_tensors_start_at_whole_words() -> None:
    plan = make_plan(_chain(7, 5, 9, 6))
    assert [offset % 4 for offset in plan.arena_offsets if offset is not None] == [0] * 4
    assert len(set(plan.arena_offsets)) > 1


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


def _weights_plan(*weights: np.ndarray) -> Plan:
    """The plan of a chain of FULLY_CONNECTED operators with these weights [units, inputs]."""
    network = _chain(weights[0].shape[1], *(array.shape[0] for array in weights))
    operators = [
        replace(operator, weights=array.astype(np.int8))
        for operator, array in zip(network.operators, weights, strict=True)
    ]
    return make_plan(replace(network, operators=operators))


def test_weights_that_are_alike_share_a_code_table() -> None:
    skewed = np.random.default_rng(0).choice([-60, -1, 0, 1, 60], (2, 40, 40), p=[0.02, 0.2, 0.56, 0.2, 0.02])
    plan = _weights_plan(*skewed)
    assert [plan.weights[index].table for index in range(2)] == [0, 0]
    assert len(plan.code_tables) == 1


def test_weights_that_differ_have_tables_of_their_own() -> None:
    few = np.random.default_rng(0).choice([0, 1, 2, 3], (40, 40))
    plan = _weights_plan(few, few * 10 + 50)
    assert sorted(plan.weights[index].table or 0 for index in range(2)) == [0, 1]
    assert len(plan.code_tables) == 2


def test_weights_stay_raw_when_the_table_eats_up_the_saving() -> None:
    """8 bytes raw; coded 2 bytes, and a table of 4 + 201 / 2 bytes. Many more of the same weights pay for it."""
    extremes = np.array([[-100, 100] * 4])
    plan = _weights_plan(extremes)
    assert plan.weights[0].table is None
    assert plan.code_tables == []
    assert plan.scratch_bytes == 0
    assert _weights_plan(np.tile(extremes, 40)).weights[0].table == 0


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
