"""Short multipliers give the outputs of the long ones for every accumulator that occurs, by the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import INT8_MODELS, model_path
from smidgen.formats.tflite_reader import read_tflite
from smidgen.lower import lower
from smidgen.network import Kind, LookupOperator, Network, NetworkTensor, WeightedOperator
from smidgen.passes import simplify
from smidgen.plan.multipliers import accumulator_bounds, equivalent_multipliers, shorten_multipliers
from smidgen.reference import run_network
from smidgen.requantization import INT32_MAX, INT32_MIN, requantize

MULTIPLIERS = st.one_of(st.integers(2**30, 2**31 - 1), st.sampled_from([2**30, 2**30 + 1, 2**31 - 1, 3 * 2**29]))
SHIFTS = st.integers(-23, 0)
RANGES = st.one_of(
    st.tuples(st.just(0), st.integers(0, 255)),
    st.tuples(st.integers(-255, 0), st.integers(0, 255)),
    st.tuples(st.integers(-255, 255), st.integers(-255, 255)).map(lambda pair: (min(pair), max(pair))),
)
ALL = INT32_MIN, INT32_MAX
ACCUMULATORS = st.one_of(
    st.just(ALL),
    st.tuples(st.integers(-(2**12), 2**12), st.integers(0, 2**17)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    st.tuples(st.integers(INT32_MIN, INT32_MAX), st.integers(INT32_MIN, INT32_MAX)).map(
        lambda pair: (min(pair), max(pair))
    ),
)


def _thresholds(multiplier: int, shift: int, values: np.ndarray) -> np.ndarray:
    """The least int32 accumulator that gives at least each value, by bisection; INT32_MAX + 1 if none does."""
    low, high = np.full(len(values), INT32_MIN), np.full(len(values), INT32_MAX + 1)
    while np.any(low < high):
        middle = (low + high) >> 1
        reached = requantize(np.minimum(middle, INT32_MAX), multiplier, shift) >= values
        high = np.where(reached & (middle <= INT32_MAX), middle, high)
        low = np.where(reached & (middle <= INT32_MAX), low, np.minimum(middle + 1, high))
    return low


def _edges(multiplier: int, shift: int, outputs: tuple[int, int], accumulators: tuple[int, int]) -> np.ndarray:
    """Where the outputs change, as far as accumulators reach."""
    at = _thresholds(multiplier, shift, np.arange(outputs[0] + 1, outputs[1] + 1))
    return np.clip(at, accumulators[0], accumulators[1] + 1)


def _assert_same_outputs(
    first: tuple[int, int], second: tuple[int, int], outputs: tuple[int, int], accumulators: tuple[int, int]
) -> None:
    """Of two (multiplier, shift): at all thresholds of both, next to them, at the extremes and at random."""
    values = np.arange(outputs[0] - 2, outputs[1] + 3)
    at = np.concatenate([_thresholds(*factor, values) for factor in (first, second)])
    random = np.random.default_rng(first[0]).integers(accumulators[0], accumulators[1] + 1, 2000)
    tried = np.concatenate([at - 1, at, at + 1, random, [*ALL, 0, 1, -1]]).clip(*accumulators)
    results = [requantize(tried, *factor).clip(*outputs) for factor in (first, second)]
    np.testing.assert_array_equal(*results)


@settings(max_examples=500, deadline=None)
@given(MULTIPLIERS, SHIFTS, RANGES, ACCUMULATORS)
def test_the_interval_is_all_of_them(
    multiplier: int, shift: int, outputs: tuple[int, int], accumulators: tuple[int, int]
) -> None:
    first, last = equivalent_multipliers(multiplier, shift, outputs, accumulators)
    assert 2**30 <= first <= multiplier <= last < 2**31
    wanted = _edges(multiplier, shift, outputs, accumulators)
    for candidate, same in ((first, True), (last, True), (first - 1, False), (last + 1, False)):
        if 2**30 <= candidate < 2**31:
            assert np.array_equal(_edges(candidate, shift, outputs, accumulators), wanted) == same


def test_fewer_accumulators_leave_more_multipliers() -> None:
    multiplier = 2**30 + 12345
    assert equivalent_multipliers(multiplier, -10, (-128, 127), ALL) == (multiplier - 8, multiplier + 64)
    assert equivalent_multipliers(multiplier, -10, (-128, 127), (0, 100)) == (2**30, INT32_MAX)


def _network(operator: WeightedOperator, zero_points: tuple[int, int] = (0, 0)) -> Network:
    tensors = [
        NetworkTensor((1, operator.weights.shape[1]), 1.0, zero_points[0]),
        NetworkTensor((1, operator.channels), 1.0, zero_points[1]),
    ]
    return Network(tensors, [operator], 1, 1)


def _operator(
    weights: list[list[int]], multiplier: list[int], shift: list[int], bias: list[int] | None = None
) -> WeightedOperator:
    return WeightedOperator(
        Kind.FULLY_CONNECTED, 0, 1,
        weights=np.array(weights, np.int8), bias=None if bias is None else np.array(bias, np.int32),
        multiplier=np.array(multiplier, np.int32), shift=np.array(shift, np.int32),
    )  # fmt: skip


def _shortened(operator: WeightedOperator, zero_points: tuple[int, int] = (0, 0)) -> WeightedOperator:
    (result,) = shorten_multipliers(_network(operator, zero_points)).operators
    assert isinstance(result, WeightedOperator)
    return result


def test_bounds_of_accumulators() -> None:
    operator = _operator([[1, -2, 3], [0, 0, 0], [-128, 127, 5]], [2**30], [0], [10, -7, 2**31 - 1])
    least, largest = accumulator_bounds(_network(operator, (-128, 0)), operator)
    assert least.tolist() == [10 - 2 * 255, -7, INT32_MIN]  # the last wraps
    assert largest.tolist() == [10 + 4 * 255, -7, INT32_MAX]
    least, largest = accumulator_bounds(_network(operator, (100, 0)), operator)
    assert (least[0], largest[0]) == (10 - 4 * 228 - 2 * 27, 10 + 4 * 27 + 2 * 228)


def test_bounds_know_the_clamp_of_the_input_and_the_padding() -> None:
    first = replace(_operator([[1]], [2**30], [0]), activation_min=-3, activation_max=5)
    second = replace(_operator([[2]], [2**30], [0]), input=1, output=2)
    tensors = [NetworkTensor((1, 1), 1.0, zero_point) for zero_point in (0, 10, 0)]
    least, largest = accumulator_bounds(Network(tensors, [first, second], 1, 1), second)
    assert (least.tolist(), largest.tolist()) == ([2 * -13], [0])


def test_a_multiplier_for_all_channels_stays_one() -> None:
    """It is in the interval of every channel."""
    operator = _operator([[100, 100], [1, 0], [50, -50]], [2**30 + 98765], [-7], [5, 0, -1000])
    result = _shortened(operator)
    (multiplier,) = result.multiplier.tolist()
    assert multiplier % 2**8 == 0
    for bounds in zip(*accumulator_bounds(_network(operator), operator), strict=True):
        _assert_same_outputs((2**30 + 98765, -7), (multiplier, -7), (-128, 127), bounds)


def test_equal_multipliers_with_different_shifts_stay_equal() -> None:
    """So that a blob stores one for all channels."""
    operator = _operator([[100, 100], [1, 0], [0, 0]], [2**30 + 98765] * 3, [-7, -5, -6], [5, 0, 300])
    result = _shortened(operator)
    assert len(set(result.multiplier.tolist())) == 1 and result.shift.tolist() == [-7, -5, -6]
    assert result.multiplier[0] % 2**8 == 0
    _assert_network_unchanged(operator, result, (0, 0))


@pytest.mark.parametrize(
    ("multiplier", "shift"), [(2**29 + 1, -3), (2**30 + 1, 1), (2**30 + 1, -24), (2**30 + 1, 30), (5, 2)]
)
def test_other_multipliers_stay(multiplier: int, shift: int) -> None:
    operator = _operator([[127] * 1000], [multiplier], [shift], [-1000])
    assert _shortened(operator).multiplier.tolist() == [multiplier]


@pytest.mark.parametrize(("multiplier", "shift"), [(0, 0), (0, -9), (2**30 + 1, -31), (2**31 - 1, -20)])
@pytest.mark.parametrize("zero_points", [(0, 0), (-128, -128), (100, 50)])
def test_a_channel_with_one_output_has_no_weights(multiplier: int, shift: int, zero_points: tuple[int, int]) -> None:
    """Its numbers cost no bits: they are like those of the others."""
    others = [2**30 + 2**20, 2**30 + 2**21]
    operator = _operator([[3, 4], [100, -100], [5, 6]], [others[0], multiplier, others[1]], [-4, shift, -5], [7, 8, 9])
    result = _shortened(operator, zero_points)
    assert result.weights.tolist() == [[3, 4], [0, 0], [5, 6]]
    assert result.shift.tolist() == [-4, -4, -5]
    assert result.multiplier[1] == 2**30
    _assert_network_unchanged(operator, result, zero_points)


def test_a_channel_that_always_saturates_has_no_weights() -> None:
    operator = _operator([[1, 1], [100, 100]], [2**30, 2**30 + 5], [-2, -1], [10**6, 0])
    result = _shortened(operator)
    assert result.weights.tolist() == [[0, 0], [100, 100]]
    assert result.bias is not None and result.bias.tolist() == [127 << 2, 0]
    _assert_network_unchanged(operator, result, (0, 0))


@pytest.mark.parametrize("shift", [[-31, -31], [0, -3], [-23, -31]])
def test_channels_that_all_have_one_output(shift: list[int]) -> None:
    operator = _operator([[1, 2], [3, 4]], [2**30 + 1, 2**30 + 7], shift, [10**6, -(10**6)])
    result = _shortened(operator, (3, 4))
    assert not result.weights.any() and result.shift.tolist() == [1, 1] and result.multiplier.tolist() == [2**30] * 2
    _assert_network_unchanged(operator, result, (3, 4))


def test_one_output_with_a_multiplier_for_all_channels() -> None:
    operator = _operator([[1, 2], [3, 4]], [2**30 + 77], [-6], [10**6, 50])
    result = _shortened(operator, (3, 4))
    assert result.weights.tolist() == [[0, 0], [3, 4]]
    _assert_network_unchanged(operator, result, (3, 4))


def _assert_network_unchanged(before: WeightedOperator, after: WeightedOperator, zero_points: tuple[int, int]) -> None:
    """For every pair of inputs."""
    values = np.arange(-128, 128, 5, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    for pair in [*pairs, np.array([127, 127], np.int8)]:
        inputs = [pair.reshape(1, 2)]
        results = [run_network(_network(operator, zero_points), inputs)[0] for operator in (before, after)]
        np.testing.assert_array_equal(*results)


def test_other_operators_stay() -> None:
    tensors = [NetworkTensor((1, 1), 1.0, 0)] * 2
    network = Network(tensors, [LookupOperator(Kind.LOOKUP, 0, 1)], 1, 1)
    assert shorten_multipliers(network).operators[0] is network.operators[0]


@pytest.mark.parametrize("name", INT8_MODELS)
def test_models(name: str) -> None:
    """Outputs stay, and most channels get a multiplier whose lowest 3 bits are zero: the one cheap to multiply with."""
    network = lower(simplify(read_tflite(model_path(name))))
    shorter = shorten_multipliers(network)
    channels = fast = 0
    for before, after in zip(network.operators, shorter.operators, strict=True):
        if not isinstance(before, WeightedOperator):
            assert before is after
            continue
        assert isinstance(after, WeightedOperator)
        zero_point = network.tensors[before.output].zero_point
        outputs = before.activation_min - zero_point, before.activation_max - zero_point
        bounds = list(zip(*accumulator_bounds(network, before), strict=True))
        for channel in range(0, before.channels, 7):
            index = channel if len(before.multiplier) > 1 else 0
            old = int(before.multiplier[index]), int(before.shift[index])
            new = int(after.multiplier[index]), int(after.shift[index])
            if after.weights[channel].any():
                assert old[1] == new[1]
                _assert_same_outputs(old, new, outputs, bounds[channel])
            elif before.weights[channel].any():
                assert after.bias is not None
                value = requantize(after.bias[channel], *new).clip(*outputs)
                assert (requantize(np.array(bounds[channel]), *old).clip(*outputs) == value).all()
            channels, fast = channels + 1, fast + (new[0] % 8 == 0)
    assert fast >= 0.95 * channels
