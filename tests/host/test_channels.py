"""Channels that no output depends on are removed, no others are, and the outputs stay what they were."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from dead_channels import NetworkBuilder, dead_network
from hypothesis import HealthCheck, given, settings

from models import INT8_MODELS, model_path
from random_graphs import graphs
from smidgen.formats.tflite_reader import read_tflite
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import (
    CopyOperator,
    Kind,
    MeanOperator,
    Network,
    PadOperator,
    SoftmaxOperator,
    WeightedOperator,
    WindowParameters,
)
from smidgen.passes import simplify
from smidgen.plan.channels import remove_constant_channels
from smidgen.plan.constants import fold_constants
from smidgen.plan.ranges import find_bounds
from smidgen.plan.unread_channels import kept_channels, remove_unread_channels
from smidgen.reference import run_network, run_steps

SEEDS = range(250)


def samples(network: Network) -> list[np.ndarray]:
    shape, random = network.tensors[0].shape, np.random.default_rng(7)
    return [
        random.integers(-128, 128, shape).astype(np.int8),
        np.full(shape, -128, np.int8),
        np.full(shape, 127, np.int8),
        random.choice(np.array([-128, 127], np.int8), shape),
    ]


def assert_same_outputs(network: Network, changed: Network) -> None:
    for sample in samples(network):
        for before, after in zip(run_network(network, [sample]), run_network(changed, [sample]), strict=True):
            np.testing.assert_array_equal(before, after)


def shapes(network: Network) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in network.tensors]


def last_dimensions(network: Network) -> list[int]:
    return [shape[-1] for shape in shapes(network)]


@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_of_networks_with_dead_channels(seed: int) -> None:
    network = dead_network(seed)
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert remove_constant_channels(removed) is removed
    assert min(last_dimensions(removed)) >= 1


def test_those_networks_lose_channels_in_operators_of_all_kinds() -> None:
    smaller: Counter[Kind] = Counter()
    for seed in SEEDS:
        network = dead_network(seed)
        removed = remove_constant_channels(network)
        for operator in network.operators:
            tensors = [operator.output, *operator.inputs]
            smaller[operator.kind] += all(shapes(network)[i] != shapes(removed)[i] for i in tensors)
    assert {kind for kind, count in smaller.items() if count >= 5} >= set(Kind) - {Kind.SOFTMAX, Kind.FULLY_CONNECTED}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_outputs_of_random_graphs(graph: Graph) -> None:
    network = lower(simplify(graph))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert remove_constant_channels(removed) is removed


@pytest.mark.parametrize("seed", SEEDS[:60])
def test_folding_changes_no_tensor(seed: int) -> None:
    network = dead_network(seed)
    folded = fold_constants(network, find_bounds(network))
    for sample in samples(network):
        for (_, operator, before), (_, _, after) in zip(
            run_steps(network, [sample]), run_steps(folded, [sample]), strict=True
        ):
            np.testing.assert_array_equal(before[operator.output], after[operator.output])


@pytest.mark.parametrize("seed", SEEDS)
def test_channels_that_stay_hold_what_they_held(seed: int) -> None:
    network = dead_network(seed)
    kept, removed = kept_channels(network), remove_unread_channels(network)
    for sample in samples(network)[::3]:
        for (_, operator, before), (_, _, after) in zip(
            run_steps(network, [sample]), run_steps(removed, [sample]), strict=True
        ):
            values = before[operator.output][..., kept[operator.output]]
            np.testing.assert_array_equal(values, after[operator.output])


@pytest.mark.parametrize("name", INT8_MODELS)
def test_models_stay_as_they_are_or_shrink(name: str) -> None:
    network = lower(simplify(read_tflite(model_path(name))))
    removed = remove_constant_channels(network)
    channels = [
        sum(operator.channels for operator in n.operators if isinstance(operator, WeightedOperator))
        for n in (network, removed)
    ]
    wanted = {"vww_96_int8": 1724, "hello_world_int8": 4, "person_detect": 3}
    assert channels[0] - channels[1] == wanted.get(name, 0)
    assert (removed is network) == (name not in wanted)


# One case each. ALIVE channels change with every input; STILL ones have weights of zero, and bias 0 unless it is given.

PAIR = np.array([[7, -3, 5], [0, 0, 0]], np.int8)
FACTORS = {"bias": None, "multiplier": np.array([2**30], np.int32), "shift": np.array([-2], np.int32)}


def still_second_channel(value: int = 0, zero_point: int = -128) -> tuple[NetworkBuilder, int]:
    """A pointwise convolution of the input to two channels; the second is always zero_point + value."""
    b = NetworkBuilder(1, 6, 5, 3)
    bias = np.array([0, 8 * value], np.int32)
    window = WindowParameters((1, 1))
    return b, b.convolution(
        0, Kind.CONV_2D, 2, window=window, zero_point=zero_point, weights=PAIR, **{**FACTORS, "bias": bias}
    )


def alive(outputs: int, taps: int) -> dict[str, np.ndarray]:
    """Weights of which none is zero."""
    weights = 1 + np.arange(outputs * taps).reshape(outputs, taps) % 5
    return {**FACTORS, "weights": weights.astype(np.int8)}


@pytest.mark.parametrize(("value", "padding", "channels"), [(0, 1, 1), (0, 0, 1), (30, 0, 1), (30, 1, 2)])
def test_a_constant_goes_unless_the_border_shows_it(value: int, padding: int, channels: int) -> None:
    b, still = still_second_channel(value)
    window = WindowParameters((3, 3), (2, 2), padding=(padding, padding))
    last = b.convolution(still, Kind.CONV_2D, 3, window=window, **alive(3, 18))
    network = b.finish(last)
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert removed.tensors[network.operators[0].output].shape[-1] == channels


def test_a_constant_goes_where_the_border_is_multiplied_by_zero() -> None:
    b, still = still_second_channel(30)
    weights = alive(3, 18)["weights"].reshape(3, 3, 3, 2)
    weights[:, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2], 1] = 0
    fields = {**FACTORS, "weights": weights.reshape(3, 18)}
    network = b.finish(b.convolution(still, Kind.CONV_2D, 3, window=b.same(), **fields))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert removed.tensors[network.operators[0].output].shape[-1] == 1


@pytest.mark.parametrize(("value", "padding", "channels"), [(0, 1, 1), (30, 0, 1), (30, 1, 2)])
def test_depthwise_convolutions_lose_input_and_outputs_together(value: int, padding: int, channels: int) -> None:
    b, still = still_second_channel(value)
    window = WindowParameters((3, 3), padding=(padding, padding))
    depthwise = b.convolution(still, Kind.DEPTHWISE_CONV_2D, 2, window=window, zero_point=3, **alive(4, 9))
    network = b.finish(b.convolution(depthwise, Kind.CONV_2D, 3, window=WindowParameters((1, 1)), **alive(3, 4)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert [removed.tensors[o.output].shape[-1] for o in network.operators[:2]] == [channels, 2 * channels]


def test_a_depthwise_convolution_of_one_channel_loses_single_outputs() -> None:
    b = NetworkBuilder(1, 6, 5, 1)
    weights = alive(4, 9)["weights"]
    weights[[0, 2]] = 0
    wide = b.convolution(0, Kind.DEPTHWISE_CONV_2D, 4, window=b.same(), **{**FACTORS, "weights": weights})
    network = b.finish(b.fully_connected(wide, 2, **alive(2, 120)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert last_dimensions(removed) == [1, 2, 2]


def test_channels_that_nobody_reads_go_and_so_do_those_that_only_they_read() -> None:
    b = NetworkBuilder(1, 6, 5, 3)
    point = WindowParameters((1, 1))
    first = b.convolution(0, Kind.CONV_2D, 4, window=point, **alive(4, 3))
    second_weights = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.int8)
    second = b.convolution(first, Kind.CONV_2D, 3, window=point, **{**FACTORS, "weights": second_weights})
    third_weights = np.array([[1, 0, 2], [3, 0, 1]], np.int8)
    network = b.finish(b.convolution(second, Kind.CONV_2D, 2, window=point, **{**FACTORS, "weights": third_weights}))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert [removed.tensors[operator.output].shape[-1] for operator in network.operators] == [3, 2, 2]


@pytest.mark.parametrize("both", [True, False])
def test_add_keeps_a_channel_that_one_operand_needs(both: bool) -> None:
    b, still = still_second_channel()
    weights = PAIR if both else alive(2, 3)["weights"]
    window = WindowParameters((1, 1))
    other = b.convolution(0, Kind.CONV_2D, 2, window=window, **{**FACTORS, "weights": weights})
    network = b.finish(b.fully_connected(b.add(still, other), 2, **alive(2, 60)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    kept = 1 if both else 2
    assert last_dimensions(removed) == [3, 2, kept, kept, kept]


@pytest.mark.parametrize(
    ("shape", "repeat", "kept"), [((2,), 1, (1,)), ((1, 1, 1, 1), 1, (1, 1, 1, 1)), ((1, 6, 5, 1), 2, (1, 6, 5, 1))]
)
def test_broadcast_constants_lose_their_channels(shape: tuple[int, ...], repeat: int, kept: tuple[int, ...]) -> None:
    b, still = still_second_channel()
    data = np.arange(1, 1 + np.prod(shape)).reshape(shape)
    product = b.multiply(still, data, repeat)
    network = b.finish(b.fully_connected(product, 2, **alive(2, 60)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    (constant,) = (tensor for tensor in removed.tensors if tensor.data is not None)
    assert constant.shape == kept and constant.data is not None and constant.data.shape == kept
    assert removed.operators[1].repeat == 1


def test_joined_tensors_lose_the_channels_of_their_parts() -> None:
    b, still = still_second_channel()
    other = b.convolution(0, Kind.CONV_2D, 3, window=WindowParameters((1, 1)), zero_point=-128, **alive(3, 3))
    joined = b.join(still, still, other)
    network = b.finish(b.fully_connected(joined, 2, **alive(2, 210)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    copies = [operator for operator in removed.operators if operator.kind == Kind.COPY]
    assert [(copy.chunk, copy.stride, copy.start) for copy in copies] == [(1, 5, 0), (1, 5, 1), (3, 5, 2)]


def test_padded_channels_go() -> None:
    b, still = still_second_channel()
    network = b.finish(b.mean(b.pad(still, (1, 1), (0, 2), (2, 3))))
    fixed = remove_constant_channels(network)  # the mean is the network's output
    assert isinstance(fixed.operators[1], PadOperator) and fixed.operators[1].paddings[2] == (2, 3)

    b, still = still_second_channel()
    mean = b.mean(b.pad(still, (1, 1), (0, 2), (2, 3)))
    network = b.finish(b.fully_connected(mean, 2, **alive(2, 7)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    pad, mean_operator = removed.operators[1:3]
    assert isinstance(pad, PadOperator) and pad.paddings == ((1, 1), (0, 2), (0, 0))
    assert isinstance(mean_operator, MeanOperator) and mean_operator.inner == 1


@pytest.mark.parametrize(("elements", "repeat"), [(3, 1), (4, 3), (5, 4)])
def test_broadcasting_over_parts_of_positions_keeps_all_channels(elements: int, repeat: int) -> None:
    """60 elements in positions of two: 3 elements over and over; 4 of which each is used three times; 5, four times."""
    b, still = still_second_channel()
    product = b.multiply(still, np.arange(1, 1 + elements), repeat)
    network = b.finish(b.fully_connected(product, 2, **{**alive(2, 60), "shift": np.array([-8], np.int32)}))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert (shapes(removed) == shapes(network)) == (repeat != 4)


def test_a_mean_over_channels_needs_all_of_them() -> None:
    b, still = still_second_channel(20)
    target = b.tensor(1, 30, zero_point=0)
    b.operators.append(MeanOperator(Kind.MEAN, still, target, inner=1, multiplier=2**30, shift=0))
    network = b.finish(b.fully_connected(target, 2, zero_point=0, **alive(2, 30)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert shapes(removed) == shapes(network)


def test_copies_of_parts_of_positions_keep_all_channels() -> None:
    """Rows of three elements of a tensor with two channels, and one of another. A channel of the result is not read."""
    b, still = still_second_channel()
    other = b.pool(
        b.convolution(0, Kind.CONV_2D, 1, zero_point=-128, window=b.same(), **alive(1, 27)), Kind.MAX_POOL_2D
    )
    target = b.tensor(1, 20, 4, zero_point=-128)
    copies = [(still, 3, 0), (b.reshape(b.pad(other, (1, 1), (0, 1), (0, 0)), 1, 20, 1), 1, 3)]
    for source, chunk, start in copies:
        b.operators.append(CopyOperator(Kind.COPY, source, target, chunk=chunk, stride=4, start=start))
    weights = 1 + np.arange(160).reshape(2, 20, 4) % 5
    weights[:, :, 1] = 0
    fields = {"weights": weights.reshape(2, 80).astype(np.int8), "shift": np.array([-8], np.int32)}
    network = b.finish(b.fully_connected(target, 2, **{**FACTORS, **fields}))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert shapes(removed) == shapes(network)


def test_kept_channels_keep_all_that_they_read() -> None:
    """Of the sum only channel 0 is read, but channel 1 goes into the branch, so the branch has to compute both."""
    b = NetworkBuilder(1, 6, 5, 3)
    point = WindowParameters((1, 1))
    stream = b.convolution(0, Kind.CONV_2D, 2, window=point, zero_point=-128, **alive(2, 3))
    inside = b.convolution(stream, Kind.CONV_2D, 2, window=point, zero_point=-128, **alive(2, 2))
    branch = {**FACTORS, "weights": np.array([[2, 0], [0, 3]], np.int8)}
    total = b.add(stream, b.convolution(inside, Kind.CONV_2D, 2, window=point, zero_point=-128, **branch))
    network = b.finish(
        b.convolution(total, Kind.CONV_2D, 2, window=point, **{**FACTORS, "weights": np.int8([[1, 0], [2, 0]])})
    )
    assert remove_constant_channels(network) is network


def test_a_reshape_that_mixes_channels_keeps_those_that_meet_others() -> None:
    b, still = still_second_channel()
    reshaped = b.reshape(still, 1, 60, 1, 1)
    network = b.finish(b.convolution(reshaped, Kind.CONV_2D, 2, window=WindowParameters((1, 1)), **alive(2, 1)))
    assert shapes(remove_constant_channels(network)) == shapes(network)


def test_rows_of_a_dense_layer_that_are_not_whole_positions_keep_all_channels() -> None:
    b, still = still_second_channel()
    target = b.tensor(1, 20, 2)
    b.operators.append(WeightedOperator(Kind.FULLY_CONNECTED, still, target, **alive(2, 3)))
    network = b.finish(target)
    removed = remove_constant_channels(network)
    assert shapes(removed) == shapes(network)
    assert_same_outputs(network, removed)


def test_softmax_counts_constant_channels() -> None:
    b, still = still_second_channel()
    target = b.tensor(1, 6, 5, 2, zero_point=-128)
    b.operators.append(SoftmaxOperator(Kind.SOFTMAX, still, target, multiplier=2**30, shift=22, minimum=-100))
    network = b.finish(b.fully_connected(target, 2, **alive(2, 60)))
    removed = remove_constant_channels(network)
    assert shapes(removed) == shapes(network)
    assert_same_outputs(network, removed)


def test_the_last_channel_of_a_tensor_stays() -> None:
    b = NetworkBuilder(1, 6, 5, 3)
    zeros = np.zeros((4, 27), np.int8)
    bias = np.array([8, -8, 80, 0], np.int32)
    still = b.convolution(0, Kind.CONV_2D, 4, window=b.same(), **{**FACTORS, "weights": zeros, "bias": bias})
    network = b.finish(b.fully_connected(still, 3, **alive(3, 120)))
    removed = remove_constant_channels(network)
    assert_same_outputs(network, removed)
    assert shapes(removed) == [(1, 6, 5, 3), (1, 3), (1, 6, 5, 1)]


def test_inputs_and_outputs_of_the_network_stay() -> None:
    b = NetworkBuilder(1, 6, 5, 3)
    weights = np.array([[0, 1, 0], [0, 0, 0]], np.int8)
    network = b.finish(
        b.convolution(0, Kind.CONV_2D, 2, window=WindowParameters((1, 1)), **{**FACTORS, "weights": weights})
    )
    assert remove_constant_channels(network) is network


def test_a_folded_bias_wraps_as_the_accumulator_does() -> None:
    b, still = still_second_channel(200)
    bias = np.array([2**31 - 100, 5], np.int32)
    network = b.finish(b.fully_connected(still, 2, **{**alive(2, 60), "bias": bias}))
    removed = remove_constant_channels(network)
    assert removed is not network
    assert_same_outputs(network, removed)
