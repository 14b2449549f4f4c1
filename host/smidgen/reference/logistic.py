"""The logistic function as a table of 256 entries, with the values of TFLite's int8 reference kernel."""

from __future__ import annotations

import math

import numpy as np

from smidgen.reference.fixed_point import logistic
from smidgen.requantization import Integers, quantize_multiplier, requantize, rounding_shift_right

_INPUT_INTEGER_BITS = 4
_OUTPUT_FRACTION_BITS = 8


def logistic_table(scale: float, zero_point: int) -> Integers:
    """Output (scale 1/256, zero point -128) for the int8 inputs -128 .. 127 of the given scale and zero point."""
    multiplier, shift = quantize_multiplier(scale * (1 << (31 - _INPUT_INTEGER_BITS)))
    radius = ((1 << _INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - _INPUT_INTEGER_BITS) / 2.0**shift
    inputs = np.arange(-128, 128, dtype=np.int64) - zero_point
    limit = math.floor(radius)
    inside = np.abs(inputs) < limit
    scaled = requantize(np.where(inside, inputs, 0), multiplier, shift)
    values = rounding_shift_right(logistic(scaled, _INPUT_INTEGER_BITS), 31 - _OUTPUT_FRACTION_BITS) - 128
    return np.where(inside, np.clip(values, -128, 127), np.where(inputs < 0, -128, 127))
