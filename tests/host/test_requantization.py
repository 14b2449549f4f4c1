"""The fixed-point arithmetic against its definition in whole numbers of any size."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smidgen.requantization import (
    doubling_high_multiply,
    quantize_multiplier,
    requantize,
    round_half_away,
    rounding_shift_right,
)

_INT32 = st.integers(-(2**31), 2**31 - 1)


def _round_away(value: Fraction) -> int:
    magnitude = int(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


@given(a=_INT32, b=_INT32)
@example(a=-(2**31), b=-(2**31))
@example(a=1, b=2**30)
@example(a=-1, b=2**30)
def test_doubling_high_multiply(a: int, b: int) -> None:
    """a*b / 2**31 rounded to nearest; halves upwards; saturated."""
    exact = Fraction(a * b, 2**31)
    expected = min(int((exact + Fraction(1, 2)) // 1), 2**31 - 1)
    assert int(doubling_high_multiply(a, b)) == expected


@given(x=_INT32, n=st.integers(0, 31))
def test_rounding_shift_right(x: int, n: int) -> None:
    """x / 2**n rounded to nearest, halves away from zero."""
    assert int(rounding_shift_right(x, n)) == _round_away(Fraction(x, 2**n))


@given(factor=st.floats(1e-9, 1e9))
def test_multiplier_is_within_half_a_unit(factor: float) -> None:
    multiplier, shift = quantize_multiplier(factor)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(factor)) <= Fraction(2) ** (shift - 32)


@given(x=st.integers(-(2**20), 2**20), factor=st.floats(1e-6, 100.0))
def test_requantize_is_the_product_rounded(x: int, factor: float) -> None:
    """Two roundings and a 31-bit factor: at most one off the exact product, relative to its size."""
    multiplier, shift = quantize_multiplier(factor)
    result = int(requantize(x, multiplier, shift))
    assert abs(result - x * factor) <= 1 + abs(x * factor) * 2**-30 + 2.0 ** max(shift, 0) / 2


@given(x=_INT32, multiplier=st.integers(2**30, 2**31 - 1), shift=st.integers(-31, 30))
@example(x=2**30, multiplier=2**30, shift=2)
@example(x=3 * 2**29, multiplier=2**30, shift=1)
def test_requantize_shifts_left_as_32_bit_arithmetic_does(x: int, multiplier: int, shift: int) -> None:
    """What the shift moves out of 32 bits is lost."""
    shifted = (x * 2 ** max(shift, 0) + 2**31) % 2**32 - 2**31
    product = (2 * shifted * multiplier + 2**31) // 2**32
    assert int(requantize(x, multiplier, shift)) == _round_away(Fraction(product, 2 ** max(-shift, 0)))


def test_factors_at_the_ends() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)
    assert quantize_multiplier(1.0) == (2**30, 1)
    assert quantize_multiplier(1.0 - 2.0**-40) == (2**30, 1)  # rounds up to the next power of two
    for bad in (-1.0, float("nan"), float("inf"), 2.0**31):
        with pytest.raises(ValueError, match="factor"):
            quantize_multiplier(bad)


def test_round_half_away() -> None:
    assert round_half_away(np.array([0.5, -0.5, 1.5, -1.5, 0.49, -0.49])).tolist() == [1, -1, 2, -2, 0, 0]
