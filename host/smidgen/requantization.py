"""Fixed-point factors: how a real factor becomes a multiplier and a shift, and what multiplying by them gives.

These are the definitions of gemmlowp and of TFLite's reference kernels (rounding twice); docs/format.md,
section 3, states them in words. Everything is exact integer arithmetic on int64 arrays that hold int32 values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)
MIN_SHIFT = -31
MAX_SHIFT = 30

Integers = NDArray[np.int64]


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """The (multiplier, shift) nearest to a real factor >= 0: factor = multiplier * 2**(shift - 31).

    multiplier is 0 or in [2**30, 2**31). Factors below 2**-32 become 0 (TFLite's QuantizeMultiplier).
    Raises ValueError for a factor that is negative, not finite, or too large for a shift of 30.
    """
    if not (math.isfinite(factor) and factor >= 0):
        raise ValueError(f"a requantisation factor must be finite and at least 0, it is {factor}")
    mantissa, shift = math.frexp(factor)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if multiplier == 0 or shift < MIN_SHIFT:
        return 0, 0
    if shift > MAX_SHIFT:
        raise ValueError(f"a requantisation factor of {factor:g} is too large (limit 2**30)")
    return multiplier, shift


def wrap_int32(values: Integers) -> Integers:
    """The int32 that 32-bit two's complement arithmetic would hold."""
    return ((values + 2**31) & 0xFFFFFFFF) - 2**31


def doubling_high_multiply(a: ArrayLike, b: ArrayLike) -> Integers:
    """Rounded high half of 2*a*b, saturating (gemmlowp's SaturatingRoundingDoublingHighMul)."""
    wide_a, wide_b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    product = wide_a * wide_b
    nudged = product + np.where(product >= 0, 2**30, 1 - 2**30)
    quotient = np.sign(nudged) * (np.abs(nudged) >> 31)  # division that truncates
    overflow = (wide_a == INT32_MIN) & (wide_b == INT32_MIN)
    return np.where(overflow, INT32_MAX, quotient)


def rounding_shift_right(values: ArrayLike, exponent: ArrayLike) -> Integers:
    """values / 2**exponent, rounded to nearest, ties away from zero (gemmlowp's RoundingDivideByPOT)."""
    wide, shift = np.asarray(values, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << shift) - 1
    threshold = (mask >> 1) + (wide < 0)
    rounded: Integers = (wide >> shift) + ((wide & mask) > threshold)
    return rounded


def requantize(values: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """values * multiplier * 2**(shift - 31), rounded twice (TFLite's MultiplyByQuantizedMultiplier)."""
    shifts = np.asarray(shift, np.int64)
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    scaled = wrap_int32(np.asarray(values, np.int64) << left)
    return rounding_shift_right(doubling_high_multiply(scaled, multiplier), right)


def round_half_away(values: Any) -> Any:
    """Round to nearest, ties away from zero, as C's round()."""
    whole = np.trunc(values)
    # Not floor(x + 0.5): that sum rounds, and 0.49999997 would become 1.
    return whole + np.sign(values) * (np.abs(values - whole) >= 0.5)
