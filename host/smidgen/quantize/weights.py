"""int8 weights, int32 biases, and int8 constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.graph import Array
from smidgen.quantize.parameters import scale_for, short_scale

Int8Array = NDArray[np.int8]
Floats = NDArray[np.float32]

LARGEST_WEIGHT = 127  # symmetric: -128 is not used
LARGEST_BIAS = 2**30  # half of int32, so that the sum of products still fits beside it
LARGEST_DEAD_FACTOR = 2.0**-10  # factor of a channel without weights: its bias keeps ten bits below the output's
_SMALLEST_BIAS_SCALE = 2.0**-100  # input scale * weight scale, far above where float32 loses digits


def weight_scales(
    weights: Array, bias: Array | None, axis: int | None, input_scale: float, output_scale: float
) -> Floats:
    """Scale of the weights for each index along `axis`, or [1] for all (axis None).

    The largest weight becomes 127; the scale is larger where input scale * weight scale would be too small for the
    bias to fit in LARGEST_BIAS.
    """
    rows = _rows(weights, axis).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    scales = largest / LARGEST_WEIGHT
    scales = np.where(largest > 0, scales, LARGEST_DEAD_FACTOR * output_scale / input_scale)
    if bias is not None:
        biases = np.abs(bias.astype(np.float64).reshape(-1))
        needed = (biases if axis is not None else biases.max(keepdims=True)) / (input_scale * LARGEST_BIAS)
        scales = np.maximum(scales, needed * (1 + 1e-6))
    scales = np.maximum(scales, _SMALLEST_BIAS_SCALE / input_scale)
    if scales.size == 1:
        scales = np.array([short_scale(float(scales[0]))])
    return np.asarray(scales, np.float32)


def quantize_weights(weights: Array, scales: Floats, axis: int | None) -> Int8Array:
    """round(weights / scale) within -127 .. 127."""
    values = np.rint(weights.astype(np.float64) / along_axis(scales, weights.ndim, axis))
    return np.clip(values, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8)


def quantize_bias(bias: Array, input_scale: float, scales: Floats) -> NDArray[np.int32]:
    """round(bias / (input scale * weight scale)), saturated at LARGEST_BIAS."""
    values = np.rint(bias.astype(np.float64).reshape(-1) / (input_scale * scales.astype(np.float64)))
    return np.clip(values, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)


def quantize_constant(data: Array) -> tuple[Int8Array, float, int]:
    """An operand of ADD or MUL: its int8 values, scale and zero point."""
    scale, zero_point = scale_for(min(float(data.min()), 0.0), max(float(data.max()), 0.0))
    values = np.rint(data.astype(np.float64) / scale) + zero_point
    return np.clip(values, -128, 127).astype(np.int8), scale, zero_point


def along_axis(scales: Floats, rank: int, axis: int | None) -> Floats:
    """Scales in a shape that broadcasts over a tensor of `rank` dimensions."""
    return scales.reshape([-1 if index == axis else 1 for index in range(rank)])


def _rows(weights: Array, axis: int | None) -> Array:
    return weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
