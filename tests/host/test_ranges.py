"""Bounds hold for every input, and are reached where nothing depends on anything else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from dead_channels import NetworkBuilder, dead_network
from hypothesis import HealthCheck, given, settings

from random_graphs import graphs
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import BinaryOperator, Kind, Network, NetworkTensor, WeightedOperator, WindowParameters
from smidgen.passes import simplify
from smidgen.plan.ranges import NetworkBounds, find_bounds
from smidgen.reference import run_steps
from smidgen.requantization import INT32_MAX

FINE = {"multiplier": np.array([2**30], np.int32), "shift": np.array([-6], np.int32)}


def corners(network: Network) -> Iterator[list[np.ndarray]]:
    """Every way to set each element of the inputs to -128 or 127."""
    sizes = [network.tensors[index].elements for index in network.inputs]
    for values in product((-128, 127), repeat=sum(sizes)):
        array = np.array(values, np.int8)
        yield [
            part.reshape(network.tensors[index].shape)
            for index, part in enumerate(np.split(array, np.cumsum(sizes)[:-1]))
        ]


def reached(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest values of tensor 1 over all corners."""
    outputs = []
    for inputs in corners(network):
        *_, (_, _, values) = run_steps(network, inputs)
        outputs.append(values[1 if network.input_count == 1 else 2].astype(int))
    return np.min(outputs, axis=0), np.max(outputs, axis=0)


def assert_tight(network: Network) -> NetworkBounds:
    bounds = find_bounds(network)
    output = bounds.tensors[network.outputs[0]]
    low, high = reached(network)
    np.testing.assert_array_equal(output.low, low)
    np.testing.assert_array_equal(output.high, high)
    return bounds


def assert_sound(network: Network) -> None:
    bounds = find_bounds(network)
    shape, random = network.tensors[0].shape, np.random.default_rng(3)
    extremes = np.array([-128, 127], np.int8)
    for sample in (
        random.integers(-128, 128, shape).astype(np.int8),
        np.full(shape, -128, np.int8),
        np.full(shape, 127, np.int8),
        random.choice(extremes, shape),
    ):
        *_, (_, _, values) = run_steps(network, [sample])
        for index, value in values.items():
            tensor = bounds.tensors[index]
            assert np.all(tensor.low <= value) and np.all(value <= tensor.high), index


@pytest.mark.parametrize("seed", range(100))
def test_bounds_hold_in_networks_of_all_kinds(seed: int) -> None:
    assert_sound(dead_network(seed))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_bounds_hold_in_random_graphs(graph: Graph) -> None:
    assert_sound(lower(simplify(graph)))


@pytest.mark.parametrize("kind", [Kind.CONV_2D, Kind.DEPTHWISE_CONV_2D])
@pytest.mark.parametrize("padding", [0, 1])
def test_convolutions(kind: Kind, padding: int) -> None:
    """Four output channels, at the border and inside."""
    b = NetworkBuilder(1, 3, 3, 1, zero_point=-100, seed=4)
    window = WindowParameters((3, 3), padding=(padding, padding))
    network = b.finish(b.convolution(0, kind, 4, window=window, bias=np.array([3, -900, 0, 40]), **FINE))
    bounds = assert_tight(network)
    (operator,) = network.operators
    assert isinstance(operator, WeightedOperator) and operator.bias is not None
    rising = np.maximum(operator.weights, 0).astype(int)
    if padding == 0:
        falling = np.minimum(operator.weights, 0).astype(int)
        low = (-28 * rising + 227 * falling).sum(axis=1) + operator.bias
        high = (227 * rising + -28 * falling).sum(axis=1) + operator.bias
        np.testing.assert_array_equal(bounds.accumulators[0].low, low)
        np.testing.assert_array_equal(bounds.accumulators[0].high, high)
    else:
        assert np.all(bounds.accumulators[0].high <= 227 * rising.sum(axis=1) + operator.bias + 28 * 127 * 9)


def test_fully_connected() -> None:
    b = NetworkBuilder(1, 8, zero_point=13, seed=5)
    assert_tight(b.finish(b.fully_connected(0, 5, **FINE)))


@pytest.mark.parametrize("kind", [Kind.AVERAGE_POOL_2D, Kind.MAX_POOL_2D])
def test_pools(kind: Kind) -> None:
    b = NetworkBuilder(1, 3, 3, 1, zero_point=9)
    assert_tight(b.finish(b.pool(0, kind)))


def test_mean_and_pad() -> None:
    b = NetworkBuilder(1, 2, 2, 2, zero_point=-7)
    assert_tight(b.finish(b.mean(0)))
    b = NetworkBuilder(1, 2, 2, 1, zero_point=-7)
    bounds = assert_tight(b.finish(b.pad(0, (1, 0), (0, 0), (0, 1))))
    np.testing.assert_array_equal(bounds.tensors[1].low[0, 0], np.full((2, 2), -7))


def test_copies() -> None:
    b = NetworkBuilder(1, 2, 1, 3)
    assert_tight(b.finish(b.join(0, 0)))


def test_lookup_looks_between_the_ends() -> None:
    """A table whose extremes are in the middle, and a part of it that cannot be read."""
    table = np.zeros(256, int)
    table[100], table[10] = 77, -99
    b = NetworkBuilder(1, 1)
    network = b.finish(b.lookup(0, table))
    assert [find_bounds(network).tensors[1].low.item(), find_bounds(network).tensors[1].high.item()] == [-99, 77]
    b = NetworkBuilder(1, 1)
    identity = np.clip(np.arange(-128, 128), -100, 127)
    network = b.finish(b.lookup(b.lookup(0, identity), table))
    assert [find_bounds(network).tensors[1].low.item(), find_bounds(network).tensors[1].high.item()] == [0, 77]


@pytest.mark.parametrize("zero_points", [(0, 0, 0), (-128, 127, 3), (100, -100, -128)])
@pytest.mark.parametrize(
    ("kind", "multipliers", "shifts"),
    [
        (Kind.ADD, (2**30, 3 * 2**29, 2**30), (0, -1, -17)),
        (Kind.MUL, (2**30,), (-7,)),
        (Kind.MUL, (2**30,), (3,)),
    ],
)
def test_two_operands(
    zero_points: tuple[int, ...], kind: Kind, multipliers: tuple[int, ...], shifts: tuple[int, ...]
) -> None:
    tensors = [NetworkTensor((1, 2), 1.0, zero_point) for zero_point in zero_points]
    operator = BinaryOperator(kind, 0, 2, -120, 110, input2=1, multipliers=multipliers, shifts=shifts)
    assert_tight(Network(tensors, [operator], 2, 1))


def test_nothing_but_the_clamp_is_certain_where_accumulators_wrap() -> None:
    """One accumulator can reach 2^31, one is shifted out of 32 bits, and one stays just inside."""
    tensors = [NetworkTensor((1, 1), 1.0, 0), NetworkTensor((1, 3), 1.0, 0)]
    operator = WeightedOperator(
        Kind.FULLY_CONNECTED, 0, 1, -90, 80,
        weights=np.array([[1], [1], [1]], np.int8),
        bias=np.array([INT32_MAX - 126, 2**20, INT32_MAX - 127], np.int32),
        multiplier=np.full(3, 2**30, np.int32), shift=np.array([0, 12, 0], np.int32),
    )  # fmt: skip
    bounds = find_bounds(Network(tensors, [operator], 1, 1))
    assert bounds.tensors[1].low.tolist() == [[-90, -90, 80]]
    assert bounds.tensors[1].high.tolist() == [[80, 80, 80]]
    assert bounds.accumulators[0].high.tolist() == [INT32_MAX + 1, 2**20 + 127, INT32_MAX]


def test_channels_join_all_positions() -> None:
    b = NetworkBuilder(1, 2, 2, 1, zero_point=-128)
    bounds = find_bounds(b.finish(b.pad(0, (0, 0), (0, 0), (1, 0)))).tensors[1].channels
    assert bounds.low.tolist() == [-128, -128] and bounds.high.tolist() == [-128, 127]
    assert bounds.constant.tolist() == [True, False]
