"""Softmax on int8 values in fixed-point arithmetic, as TFLite's int8 reference computes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.reference.fixed_point import exp_on_negative, reciprocal_of_one_plus
from smidgen.requantization import Integers, doubling_high_multiply, rounding_shift_right, wrap_int32

_SCALED_BITS = 5  # integer bits of the scaled difference to the row's largest value
_ACCUMULATOR_BITS = 12  # integer bits of the sum of exponentials
_OUTPUT_BITS = 8


def softmax_rows(x: NDArray[np.int8], multiplier: int, shift: int, minimum: int) -> NDArray[np.int8]:
    """Softmax over the last axis of x; the output has scale 1/256 and zero point -128."""
    rows = x.reshape(-1, x.shape[-1]).astype(np.int64)
    difference = rows - rows.max(axis=1, keepdims=True)
    counted = difference >= minimum
    scaled = doubling_high_multiply(wrap_int32(difference << shift), multiplier)
    exponentials = exp_on_negative(np.where(counted, scaled, 0), _SCALED_BITS)
    terms = np.where(counted, rounding_shift_right(exponentials, _ACCUMULATOR_BITS), 0)
    total = wrap_int32(terms.sum(axis=1, keepdims=True)) & 0xFFFFFFFF
    leading_zeros = 32 - _bit_length(total)
    factor = reciprocal_of_one_plus(wrap_int32((total << leading_zeros) - 2**31))
    exponent = _ACCUMULATOR_BITS - leading_zeros + 31 - _OUTPUT_BITS
    value = rounding_shift_right(doubling_high_multiply(factor, exponentials), np.minimum(exponent, 32))
    return np.where(counted, np.clip(value - 128, -128, 127), -128).astype(np.int8).reshape(x.shape)


def _bit_length(values: Integers) -> Integers:
    lengths: Integers = np.vectorize(lambda value: int(value).bit_length(), otypes=[np.int64])(values)
    return lengths
