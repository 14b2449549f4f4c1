"""Memory plans: nothing that is needed is overwritten, and nothing is wasted where the best is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import INT8_MODELS, model_path
from random_graphs import graphs
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.formats.tflite_reader import read_tflite
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import (
    BinaryOperator,
    Kind,
    LookupOperator,
    Network,
    NetworkTensor,
    WeightedOperator,
    WindowParameters,
)
from smidgen.passes import simplify
from smidgen.plan import Plan, make_plan
from smidgen.plan.kernels import PLAIN, STREAMED
from smidgen.plan.memory import Arena, Buffer, describe_arena
from smidgen.plan.overlap import Overlap
from smidgen.plan.placement import Placement, place_tensors
from smidgen.plan.planner import default_arena_limit
from smidgen.plan.weights import CODINGS, decoder_scratch_bytes

SCRATCH = -1


def _tensor(elements: int, rows: int = 1) -> NetworkTensor:
    return NetworkTensor((rows, elements), 1.0, 0)


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


def _bytes_of_tensors(network: Network) -> int:
    """What tensors take that lie as close as they can, without any scratch."""
    plan = make_plan(network, arena_limit=0)
    return place_tensors(describe_arena(plan.network, plan.kernels), {}, 0).size


def test_chain_needs_its_two_largest_neighbours() -> None:
    assert _bytes_of_tensors(_chain(640, 128, 128, 8, 128, 640)) == 768


def test_random_orders_find_what_the_simple_ones_miss() -> None:
    """By size, by lifetime and by first use each leave a gap that nothing fits (84 bytes at best)."""
    assert _bytes_of_tensors(_chain(28, 24, 32, 36)) == 32 + 36


def test_tensors_start_at_whole_words() -> None:
    plan = make_plan(_chain(7, 5, 9, 6))
    assert [offset % 4 for offset in plan.arena_offsets if offset is not None] == [0] * 4
    assert len(set(plan.arena_offsets)) > 1
    assert [offset % 4 for offset in plan.scratch_offsets.values()] == [0] * 3


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
    plan = make_plan(Network([_tensor(40, 2), _tensor(64, 2)], [operator], 1, 1), tile_bytes=100)
    assert plan.kernels[0].tile == 2
    assert plan.scratch_bytes == decoder_scratch_bytes(2) + 80


def _convolution(
    kind: Kind, shape: tuple[int, int, int], channels: int, kernel: int = 1, stride: int = 1, **window: tuple[int, int]
) -> Network:
    """One convolution with "same" padding of (height, width, channels). Its weights are noise: they stay raw."""
    height, width, depth = shape
    taps = kernel * kernel * (depth if kind == Kind.CONV_2D else 1)
    weights = np.random.default_rng(0).integers(-128, 128, (channels, taps)).astype(np.int8)
    operator = WeightedOperator(
        kind, 0, 1, weights=weights, multiplier=np.array([2**30], np.int32),
        shift=np.array([-4], np.int32),
        window=WindowParameters((kernel, kernel), (stride, stride), padding=(kernel // 2, kernel // 2), **window),
    )  # fmt: skip
    output = 1, -(-height // stride), -(-width // stride), channels
    tensors = [NetworkTensor((1, *shape), 1.0, 0), NetworkTensor(output, 1.0, 0)]
    return Network(tensors, [operator], 1, 1)


POINTWISE = _convolution(Kind.CONV_2D, (20, 10, 8), 16)
SPATIAL = _convolution(Kind.CONV_2D, (20, 10, 8), 8, 3)
DEPTHWISE = _convolution(Kind.DEPTHWISE_CONV_2D, (20, 10, 8), 8, 3)


def test_pairs_in_a_single_block_when_they_fit() -> None:
    for network, pairs in ((POINTWISE, 100), (SPATIAL, 10), (DEPTHWISE, 10)):
        kernel = make_plan(network, arena_limit=2**16).kernels[0]
        assert (kernel.kernel, kernel.tile) == (1, pairs)
        assert kernel.scratch_bytes <= 2**16


def test_compiled_weights_stay_before_blocks_grow() -> None:
    single = make_plan(POINTWISE, arena_limit=2**16).kernels[0]
    larger = _convolution(Kind.CONV_2D, (20, 40, 8), 16)
    tensors = _bytes_of_tensors(larger)
    kernel = make_plan(larger, arena_limit=tensors + single.scratch_bytes + 4000).kernels[0]
    assert "stay" in kernel.reason
    assert 4 <= kernel.tile < 400


def test_blocks_grow_with_the_limit() -> None:
    tiles = [make_plan(SPATIAL, arena_limit=limit).kernels[0].tile for limit in range(0, 30000, 1000)]
    assert tiles[0] == 1
    assert max(tiles) == 10


@pytest.mark.parametrize("network", [POINTWISE, SPATIAL, DEPTHWISE])
@pytest.mark.parametrize("limit", [0, 100, 1500, 3000, 10000])
def test_the_limit_is_kept_unless_an_operator_cannot_do_with_less(network: Network, limit: int) -> None:
    least = make_plan(network, arena_limit=0)
    plan = make_plan(network, arena_limit=limit)
    assert plan.scratch_bytes == plan.kernels[0].scratch_bytes >= least.scratch_bytes
    assert least.arena_bytes <= plan.arena_bytes <= max(limit, least.arena_bytes)
    read_blob(write_blob(plan))  # which checks the workspace


def test_the_least_scratch_is_one_pair() -> None:
    assert make_plan(POINTWISE, arena_limit=0).scratch_bytes == 4 * 8
    assert make_plan(SPATIAL, arena_limit=0).scratch_bytes == 4 * 12 * 8 * 3
    assert make_plan(DEPTHWISE, arena_limit=0).scratch_bytes == 4 * 12 * 3


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (_convolution(Kind.CONV_2D, (20, 10, 8), 4, 3, dilation=(1, 2)), "dilated along the width"),
        (_convolution(Kind.CONV_2D, (20, 400, 64), 4, 3), "too large"),
        (
            replace(POINTWISE, tensors=[NetworkTensor((1, 20, 10, 8), 1.0, 0), NetworkTensor((1, 20, 9, 16), 1.0, 0)]),
            "leaves pixels out",
        ),
    ],
)
def test_operators_that_need_the_plain_kernel(network: Network, reason: str) -> None:
    kernel = make_plan(network, arena_limit=2**20).kernels[0]
    assert (kernel.kernel, kernel.workspace_words) == (0, 0)
    assert reason in kernel.reason


def test_kernel_of_dense_layers() -> None:
    """One row of coded weights is multiplied as it is decoded; raw weights and several rows take the plain kernel."""
    raw, coded = _weights_plan(np.array([[-100, 100] * 4])), _weights_plan(np.zeros((40, 40)))
    assert (raw.kernels[0].kernel, raw.kernels[0].tile, raw.scratch_bytes) == (PLAIN, 1, 0)
    assert (coded.kernels[0].kernel, coded.kernels[0].tile) == (STREAMED, 1)
    assert coded.scratch_bytes == coded.weights[0].decoder_bytes == 512
    rows = replace(coded.network, tensors=[_tensor(40, 2), _tensor(40, 2)])
    assert make_plan(rows).kernels[0].kernel == PLAIN


@pytest.mark.parametrize(
    ("network", "arena_bytes"),
    [
        (_convolution(Kind.CONV_2D, (20, 10, 8), 8, 3), 1600),
        (_convolution(Kind.DEPTHWISE_CONV_2D, (20, 10, 8), 8, 3), 1600),
        (_convolution(Kind.DEPTHWISE_CONV_2D, (20, 10, 8), 8, 3, 2), 1600),
        (_convolution(Kind.DEPTHWISE_CONV_2D, (20, 10, 8), 16, 3), 1600 + 3200),  # two outputs for an input
        (_convolution(Kind.CONV_2D, (20, 10, 8), 4), 1600),
        # The last pair reads the last 16 bytes of the input when 198 pixels of 16 channels are stored.
        (_convolution(Kind.CONV_2D, (20, 10, 8), 16), 3200),
        (_convolution(Kind.CONV_2D, (20, 10, 16), 15), 3200),
        (_convolution(Kind.CONV_2D, (20, 10, 8), 4, 3, dilation=(1, 2)), 1600 + 800),  # the plain kernel
    ],
)
def test_convolutions_over_their_input(network: Network, arena_bytes: int) -> None:
    assert _bytes_of_tensors(network) == arena_bytes


def test_an_input_that_is_read_again_is_not_overwritten_by_a_convolution() -> None:
    network = replace(SPATIAL, tensors=[*SPATIAL.tensors, SPATIAL.tensors[0]])
    addition = BinaryOperator(Kind.ADD, 0, 1, input2=2, multipliers=(1, 1, 1), shifts=(0, 0, 0))
    network.operators = [replace(SPATIAL.operators[0], output=2), addition]
    assert _bytes_of_tensors(network) == 3200


def test_shares_of_a_placement_are_exact() -> None:
    """An output of 3000 bytes over an input of 1000 from distance 2500 on; at the same offset; within one another."""
    assert Overlap(2500, 3000).saving(1000, 3000) == 500
    assert Overlap(0, 0).saving(1000, 3000) == 1000
    assert Overlap(-10, 3000).saving(1000, 3000) == 1000
    assert Overlap(0, 0).saving(3000, 1000) == 1000
    assert Overlap(3500, 3500).saving(1000, 3000) == 0


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
    """8 bytes raw; coded 2 bytes, and a table of 8 bytes. Many more of the same weights pay for it."""
    extremes = np.array([[-100, 100] * 4])
    plan = _weights_plan(extremes)
    assert plan.weights[0].table is None
    assert plan.code_tables == []
    assert plan.scratch_bytes == 0
    assert _weights_plan(np.tile(extremes, 40)).weights[0].table == 0


def test_coding_of_weights_can_be_chosen() -> None:
    network = _weights_plan(np.array([[-100, 100] * 4]), np.ones((40, 40))).network
    tables = {coding: [plan.table for plan in make_plan(network, coding=coding).weights.values()] for coding in CODINGS}
    assert tables == {"smallest": [None, 0], "huffman": [0, 0], "raw": [None, None]}
    assert make_plan(network, coding="raw").scratch_bytes == 0
    with pytest.raises(ValueError, match="one of smallest, huffman, raw, not 'zip'"):
        make_plan(network, coding="zip")  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), limit=st.sampled_from([0, 1000, 2**16, None]))
def test_what_is_needed_is_never_overwritten(graph: Graph, limit: int | None) -> None:
    """Play the network through: operators find their inputs as they were written; scratch and output lie apart."""
    plan = make_plan(lower(simplify(graph)), arena_limit=limit)
    network = plan.network
    owner: dict[int, int] = {}  # arena byte -> tensor that was written there last, or SCRATCH

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
    for step, operator in enumerate(network.operators):
        if step in plan.kernels:
            start, size = plan.scratch_offsets[step], plan.kernels[step].scratch_bytes
            assert start + size <= plan.arena_bytes
            owner.update(dict.fromkeys(range(start, start + size), SCRATCH))
        assert all(intact(index) for index in operator.inputs)
        write(operator.output)
        if step in plan.kernels:
            assert all(owner[byte] == SCRATCH for byte in range(start, start + size))
    assert all(intact(index) for index in network.outputs)


# Two large tensors at the ends of a chain, and two small ones between which an operator wants scratch.
HOURGLASS = Arena([Buffer(0, 1000, -1, 0), Buffer(2, 200, 0, 1), Buffer(3, 200, 1, 2), Buffer(1, 1000, 2, 3)], {})


def test_scratch_lies_where_tensors_are_dead() -> None:
    assert HOURGLASS.least_bytes({1: 800}) == 1200
    placement = place_tensors(HOURGLASS, {1: 800}, 1200)
    assert placement.size <= 1200 and placement.room(1, 1200) == 800
    start = placement.scratch_offset(1, 800)
    assert start + 800 <= 1200
    for index in (1, 2):
        offset = placement.offsets[index]
        assert start + 800 <= offset or offset + 200 <= start


def test_gaps_start_at_whole_words() -> None:
    placement = Placement(Arena([Buffer(0, 5, 0, 0), Buffer(1, 3, 0, 0), Buffer(2, 50, 1, 1)], {}), [0, 12, 4])
    assert placement.gaps(0, 100) == [(8, 4), (16, 84)]
    assert placement.room(0, 18) == 4 and placement.room(0, 10) == 4 and placement.room(1, 20) == 4
    assert [placement.scratch_offset(0, size) for size in (1, 4, 5)] == [8, 8, 16]
    assert placement.scratch_offset(1, 5) == 56


def test_an_arena_grows_for_scratch_that_has_no_room() -> None:
    placement = place_tensors(HOURGLASS, {1: 5000}, 1200)
    assert max(placement.size, placement.scratch_offset(1, 5000) + 5000) == 200 + 200 + 5000


@pytest.mark.parametrize("name", INT8_MODELS)
def test_models_keep_the_limit(name: str) -> None:
    network = lower(simplify(read_tflite(model_path(name))))
    least = make_plan(network, arena_limit=0)
    bound = describe_arena(least.network, least.kernels).least_bytes(
        {index: kernel.scratch_bytes for index, kernel in least.kernels.items()}
    )
    assert bound <= least.arena_bytes <= 1.05 * bound
    assert make_plan(network).arena_bytes <= default_arena_limit(bound)
