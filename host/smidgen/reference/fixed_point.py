"""gemmlowp's fixed-point exponential, reciprocal and logistic function, on int64 arrays that hold int32.

Qm is an int32 with m integer bits: value = raw * 2**(m - 31). docs/format.md section 4 states the algorithms.
"""

from __future__ import annotations

import numpy as np

from smidgen.requantization import INT32_MAX, INT32_MIN, Integers, doubling_high_multiply, rounding_shift_right

# exp(-2**k) in Q0 for k = -2 .. 4
_EXP_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH = 1895147668  # exp(-1/8) in Q0
_ONE_THIRD = 715827883
_48_OVER_17 = 1515870810  # Q2
_MINUS_32_OVER_17 = -1010580540  # Q2
_ONE_Q2 = 1 << 29
_HALF_Q0 = 1 << 30


def exp_on_negative(a: Integers, integer_bits: int) -> Integers:
    """exp(a) for a <= 0 with `integer_bits` integer bits (at most 5); the result in Q0."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(remainder << integer_bits)
    rest = remainder - a
    for power, factor in enumerate(_EXP_MINUS_POWERS[: integer_bits + 2], start=-2):
        result = np.where(rest & (1 << (fraction_bits + power)), doubling_high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_between_minus_quarter_and_zero(a: Integers) -> Integers:
    """Taylor series of the fourth degree round -1/8; argument and result in Q0."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3 = doubling_high_multiply(x2, x)
    x4 = doubling_high_multiply(x2, x2)
    cubic = doubling_high_multiply(rounding_shift_right(x4, 2) + x3, _ONE_THIRD) + x2
    series = rounding_shift_right(cubic, 1)
    return np.clip(_EXP_MINUS_EIGHTH + doubling_high_multiply(_EXP_MINUS_EIGHTH, x + series), INT32_MIN, INT32_MAX)


def reciprocal_of_one_plus(a: Integers) -> Integers:
    """1 / (1 + a) for a in [0, 1), Q0: three Newton-Raphson steps."""
    total = a + INT32_MAX
    half = np.sign(total) * ((np.abs(total) + 1) // 2)
    x = _48_OVER_17 + doubling_high_multiply(half, _MINUS_32_OVER_17)
    for _ in range(3):
        error = _ONE_Q2 - doubling_high_multiply(half, x)
        x = x + _saturating_left_shift(doubling_high_multiply(x, error), 2)
    return _saturating_left_shift(x, 1)


def logistic(a: Integers, integer_bits: int) -> Integers:
    """1 / (1 + exp(-a)) for a with `integer_bits` integer bits; the result in Q0."""
    positive = reciprocal_of_one_plus(exp_on_negative(-np.abs(a), integer_bits))
    return np.where(a > 0, positive, np.where(a < 0, INT32_MAX - positive, _HALF_Q0))


def _saturating_left_shift(values: Integers, exponent: int) -> Integers:
    shifted: Integers = np.clip(values << exponent, INT32_MIN, INT32_MAX)
    return shifted
