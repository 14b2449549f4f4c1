"""Short multipliers give the outputs of the long ones for every accumulator, by the definition of requantisation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import INT8_MODELS, model_path
from smidgen.formats.tflite_reader import read_tflite
from smidgen.lower import lower
from smidgen.network import Kind, WeightedOperator
from smidgen.passes import simplify
from smidgen.plan.multipliers import equivalent_multipliers, short_multiplier, shorten_multipliers
from smidgen.plan.thumb_code import is_fast
from smidgen.requantization import INT32_MAX, INT32_MIN, requantize

MULTIPLIERS = st.one_of(st.integers(2**30, 2**31 - 1), st.sampled_from([2**30, 2**30 + 1, 2**31 - 1, 3 * 2**29]))
SHIFTS = st.integers(-10, 0)
RANGES = st.one_of(
    st.tuples(st.just(0), st.integers(0, 255)),
    st.tuples(st.integers(-255, 0), st.integers(0, 255)).map(sorted),
    st.tuples(st.integers(-255, 255), st.integers(-255, 255)).map(sorted),
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


def _assert_same_outputs(first: int, second: int, shift: int, low: int, high: int) -> None:
    """At all thresholds of both, next to them, at the extremes and at random."""
    values = np.arange(low - 2, high + 3)
    at = np.concatenate([_thresholds(multiplier, shift, values) for multiplier in (first, second)])
    random = np.random.default_rng(first).integers(-(2**20), 2**20, 2000)
    accumulators = np.concatenate([at - 1, at, at + 1, random, [INT32_MIN, INT32_MAX, 0, 1, -1]])
    accumulators = accumulators.clip(INT32_MIN, INT32_MAX)
    outputs = [requantize(accumulators, multiplier, shift).clip(low, high) for multiplier in (first, second)]
    np.testing.assert_array_equal(*outputs)


@settings(max_examples=300, deadline=None)
@given(MULTIPLIERS, SHIFTS, RANGES)
def test_short_multipliers_give_the_same_outputs(multiplier: int, shift: int, bounds: tuple[int, int]) -> None:
    shorter = short_multiplier(multiplier, shift, *bounds)
    assert shorter == multiplier or is_fast(shorter, shift)
    _assert_same_outputs(multiplier, shorter, shift, *bounds)


@settings(max_examples=300, deadline=None)
@given(MULTIPLIERS, SHIFTS, RANGES)
def test_the_interval_is_all_of_them(multiplier: int, shift: int, bounds: tuple[int, int]) -> None:
    first, last = equivalent_multipliers(multiplier, shift, *bounds)
    assert 2**30 <= first <= multiplier <= last < 2**31
    values = np.arange(bounds[0] + 1, bounds[1] + 1)
    wanted = _thresholds(multiplier, shift, values)
    for candidate, same in ((first, True), (last, True), (first - 1, False), (last + 1, False)):
        if 2**30 <= candidate < 2**31:
            assert np.array_equal(_thresholds(candidate, shift, values), wanted) == same


@pytest.mark.parametrize(("multiplier", "shift"), [(0, 0), (2**30 - 1, -3), (2**30 + 1, 1), (2**30 + 1, -11)])
def test_numbers_that_compiled_code_cannot_use_stay(multiplier: int, shift: int) -> None:
    assert short_multiplier(multiplier, shift, 0, 255) == multiplier


def test_a_multiplier_without_an_equivalent_stays() -> None:
    multiplier = 2**30 + 12345
    assert equivalent_multipliers(multiplier, -10, -128, 127) == (multiplier - 8, multiplier + 64)
    assert short_multiplier(multiplier, -10, -128, 127) == multiplier


@pytest.mark.parametrize("name", INT8_MODELS)
def test_models(name: str) -> None:
    """Only the multipliers of convolutions change, and most channels that do anything get a short one."""
    network = lower(simplify(read_tflite(model_path(name))))
    shorter = shorten_multipliers(network)
    channels = fast = 0
    for before, after in zip(network.operators, shorter.operators, strict=True):
        if not isinstance(before, WeightedOperator) or before.kind == Kind.FULLY_CONNECTED:
            assert before is after
            continue
        assert isinstance(after, WeightedOperator)
        zero_point = network.tensors[before.output].zero_point
        bounds = before.activation_min - zero_point, before.activation_max - zero_point
        numbers = zip(before.multiplier.tolist(), after.multiplier.tolist(), before.shift.tolist(), strict=True)
        for old, new, shift in set(numbers):
            if old != new:
                _assert_same_outputs(old, new, shift, *bounds)
            if -10 <= shift <= 0 and old:
                channels, fast = channels + 1, fast + is_fast(new, shift)
    assert fast >= 0.9 * channels or name == "micro_speech_quantized"
