"""Rounding of weights: it trades error for bits, and compensates errors by later columns."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.compress.rounding import Compensation, code_bits, round_rows
from smidgen.compress.steps import finest_steps, ideal_steps, real_steps, shared_multiplier

random = np.random.default_rng(5)


class Rows:
    def __init__(self, weights: np.ndarray, moments: np.ndarray) -> None:
        self.weights, self.moments, self.compensation = weights, moments, Compensation.of(moments)

    def rounded(self, prices: np.ndarray) -> np.ndarray:
        return round_rows(self.weights, self.compensation, prices)


def correlated_rows(rows: int = 20, columns: int = 30) -> Rows:
    inputs = random.normal(size=(200, columns)) @ random.normal(size=(columns, columns)) / np.sqrt(columns)
    inputs = np.concatenate((inputs + 1, np.ones((200, 1))), axis=1)
    weights = random.normal(size=(rows, columns + 1)) * 4
    return Rows(weights, np.repeat((inputs.T @ inputs)[None] / 200, rows, axis=0))


def error_of(rows: Rows, values: np.ndarray) -> float:
    errors = values - rows.weights
    return float(np.einsum("rj,rjk,rk->", errors, rows.moments, errors)) / 2


def bits_of(values: np.ndarray) -> float:
    weights = values[:, :-1]
    largest = int(np.abs(weights).max())
    return float(code_bits(weights, largest)[weights + largest].sum())


def test_without_a_price_errors_are_compensated() -> None:
    rows = correlated_rows()
    values = rows.rounded(np.zeros(20))
    assert error_of(rows, values) < 0.5 * error_of(rows, np.rint(rows.weights))


def test_a_higher_price_gives_fewer_bits_and_more_error() -> None:
    rows = correlated_rows()
    results = [rows.rounded(np.full(20, price)) for price in (0.0, 0.05, 0.5)]
    bits, errors = [bits_of(values) for values in results], [error_of(rows, values) for values in results]
    assert bits == sorted(bits, reverse=True) and bits[-1] < 0.7 * bits[0]
    assert errors == sorted(errors)


def test_each_row_has_its_price() -> None:
    rows = correlated_rows()
    prices = np.where(np.arange(20) < 10, 0.0, 3.0)
    values = rows.rounded(prices)[:, :-1]
    assert np.count_nonzero(values[10:]) < 0.8 * np.count_nonzero(values[:10])


def test_moments_of_all_rows_together() -> None:
    rows = correlated_rows()
    shared = Rows(rows.weights, rows.moments[:1])
    np.testing.assert_array_equal(shared.rounded(np.full(20, 0.1)), rows.rounded(np.full(20, 0.1)))


def test_weights_stay_in_range() -> None:
    rows = Rows(np.full((2, 5), 126.7), np.repeat(np.eye(5)[None], 2, axis=0))
    assert rows.rounded(np.zeros(2))[:, :-1].max() == 127


def test_channels_that_do_not_matter_get_no_weights() -> None:
    rows = Rows(random.normal(size=(3, 8)), np.zeros((3, 8, 8)))
    assert not rows.rounded(np.full(3, 1e-6))[:, :-1].any()


def test_curvature_without_correlation_is_that_of_the_weights() -> None:
    curvature = Compensation.of(np.array([np.eye(6) * 4, np.eye(6) * 9])).curvature()
    np.testing.assert_allclose(curvature, [4, 9], rtol=0.02)


def test_steps_follow_curvature_and_price() -> None:
    weights = np.ones((3, 4))
    steps = ideal_steps(np.array([1.0, 4.0, 1e9]), weights, 1e-4)
    assert steps[0] == pytest.approx(2 * steps[1])
    assert steps[2] == finest_steps(weights)[2] == 1 / 127
    assert ideal_steps(np.array([1.0]), weights[:1], 4e-4)[0] == pytest.approx(2 * steps[0])


def test_a_channel_without_weights_does_not_hold_back_the_others() -> None:
    weights = np.ones((3, 4)) * [[1.0], [1.0], [0.0]]
    ideal = ideal_steps(np.array([1.0, 1.0, 1e-3]), weights, 1e-4)
    multiplier, shifts = shared_multiplier(ideal, finest_steps(weights))
    np.testing.assert_allclose(np.log2(real_steps(multiplier, shifts)[:2] / ideal[:2]), 0, atol=1)
    assert np.ptp(shifts) <= 2


def test_a_layer_has_one_multiplier_and_steps_near_the_ideal() -> None:
    ideal = 2.0 ** random.uniform(-6, -4, 50)
    multiplier, shifts = shared_multiplier(ideal, np.full(50, 2.0**-10))
    octaves = np.log2(real_steps(multiplier, shifts) / ideal)
    assert np.abs(octaves).max() < 0.75
    assert multiplier % 2**23 == 0 and 2**30 <= multiplier < 2**31
    assert shifts.max() - shifts.min() <= 2


def test_no_step_is_finer_than_weights_allow() -> None:
    ideal, finest = 2.0 ** random.uniform(-9, -3, 50), 2.0 ** random.uniform(-9, -3, 50)
    multiplier, shifts = shared_multiplier(np.maximum(ideal, finest), finest)
    assert np.all(real_steps(multiplier, shifts) >= finest)
