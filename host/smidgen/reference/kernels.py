"""What each operator computes, in NumPy: clear, exact, and slow where that is clearer.

The formulas are those of docs/format.md section 4. Sums of products are taken in float64, where they are
exact (every partial sum is an integer far below 2**53), because NumPy multiplies float matrices much faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.network import (
    BinaryOperator,
    CopyOperator,
    Kind,
    LinearAddOperator,
    LookupOperator,
    MeanOperator,
    Network,
    NetworkOperator,
    PadOperator,
    PoolOperator,
    SoftmaxOperator,
    WeightedOperator,
    WindowParameters,
)
from smidgen.reference.softmax import softmax_rows
from smidgen.requantization import Integers, requantize, wrap_int32

Int8Array = NDArray[np.int8]
_ADD_LEFT_SHIFT = 20


def run_operator(
    network: Network, operator: NetworkOperator, values: Mapping[int, Int8Array], before: Int8Array
) -> Int8Array:
    """Result of one operator. `before` is what the output tensor holds already (COPY fills it in parts)."""
    x = values[operator.input]
    match operator:
        case WeightedOperator(kind=Kind.CONV_2D):
            return _conv_2d(network, operator, x)
        case WeightedOperator(kind=Kind.DEPTHWISE_CONV_2D):
            return _depthwise_conv_2d(network, operator, x)
        case WeightedOperator(kind=Kind.FULLY_CONNECTED):
            return _fully_connected(network, operator, x)
        case BinaryOperator():
            return _binary(network, operator, x, values[operator.input2])
        case LinearAddOperator():
            return _linear_add(operator, x, values[operator.input2])
        case PoolOperator():
            return _pool_2d(network, operator, x)
        case MeanOperator():
            return _mean(network, operator, x)
        case PadOperator():
            height, width, channels = operator.paddings
            filler = network.tensors[operator.output].zero_point
            spatial = x.reshape(network.tensors[operator.input].dimensions)
            return np.pad(spatial, ((0, 0), height, width, channels), constant_values=filler)
        case CopyOperator():
            return _copy(operator, x, before)
        case LookupOperator():
            return operator.table[x.astype(np.int64) + 128]
        case SoftmaxOperator():
            return softmax_rows(x, operator.multiplier, operator.shift, operator.minimum)
        case _:
            raise ValueError(f"no reference for operator kind {operator.kind!r}")


def _clamp(values: Integers, operator: NetworkOperator) -> Int8Array:
    return np.clip(values, operator.activation_min, operator.activation_max).astype(np.int8)


def window_taps(x: NDArray[Any], window: WindowParameters, size: tuple[int, int], filler: float) -> NDArray[Any]:
    """The input elements under the window at every output position.

    x: [height, width, channels]; size: output (height, width). Returns [out height, out width, kernel height,
    kernel width, channels]; taps outside the input read `filler`.
    """
    (top, left), padded_size = window.padding, []
    for axis in range(2):
        reach = (size[axis] - 1) * window.stride[axis] + (window.kernel[axis] - 1) * window.dilation[axis] + 1
        padded_size.append(max(reach, window.padding[axis] + x.shape[axis]))
    padded = np.full((padded_size[0], padded_size[1], x.shape[2]), filler, x.dtype)
    padded[top : top + x.shape[0], left : left + x.shape[1]] = x
    rows = np.arange(size[0])[:, None] * window.stride[0] + np.arange(window.kernel[0]) * window.dilation[0]
    columns = np.arange(size[1])[:, None] * window.stride[1] + np.arange(window.kernel[1]) * window.dilation[1]
    taps: NDArray[Any] = padded[rows[:, None, :, None], columns[None, :, None, :]]
    return taps


def _offset_taps(network: Network, operator: WeightedOperator, x: Int8Array) -> NDArray[np.float64]:
    """`window_taps` of (x - zero point), where taps outside the input contribute 0."""
    assert operator.window is not None
    spatial = x.reshape(network.tensors[operator.input].dimensions)[0].astype(np.float64)
    _, height, width, _ = network.tensors[operator.output].dimensions
    offset = spatial - network.tensors[operator.input].zero_point
    return window_taps(offset, operator.window, (height, width), 0.0)


def _finish(network: Network, operator: WeightedOperator, sums: NDArray[np.float64]) -> Int8Array:
    """Bias, requantisation, zero point and clamp of sums [..., channels]."""
    accumulators = sums.astype(np.int64)
    if operator.bias is not None:
        accumulators = accumulators + operator.bias.astype(np.int64)
    scaled = requantize(wrap_int32(accumulators), operator.multiplier, operator.shift)
    return _clamp(wrap_int32(scaled + network.tensors[operator.output].zero_point), operator)


def _conv_2d(network: Network, operator: WeightedOperator, x: Int8Array) -> Int8Array:
    taps = _offset_taps(network, operator, x)
    columns = taps.reshape(taps.shape[0] * taps.shape[1], -1)
    return _finish(network, operator, columns @ operator.weights.astype(np.float64).T)


def _depthwise_conv_2d(network: Network, operator: WeightedOperator, x: Int8Array) -> Int8Array:
    taps = _offset_taps(network, operator, x)
    height, width, kernel_height, kernel_width, channels = taps.shape
    repeated = np.repeat(taps, operator.channels // channels, axis=4)
    flat = repeated.reshape(height * width, kernel_height * kernel_width, operator.channels)
    return _finish(network, operator, np.einsum("ptc,ct->pc", flat, operator.weights.astype(np.float64)))


def _fully_connected(network: Network, operator: WeightedOperator, x: Int8Array) -> Int8Array:
    rows = x.reshape(-1, operator.weights.shape[1]).astype(np.float64)
    offset = rows - network.tensors[operator.input].zero_point
    return _finish(network, operator, offset @ operator.weights.astype(np.float64).T)


def _linear_add(operator: LinearAddOperator, x: Int8Array, y: Int8Array) -> Int8Array:
    first, second = x.reshape(-1).astype(np.int64), y.reshape(-1).astype(np.int64)
    second = second[(np.arange(first.size) // operator.repeat) % second.size]
    sums = wrap_int32(first * operator.factors[0] + second * operator.factors[1] + operator.offset)
    return _clamp(sums >> operator.exponent, operator)


def _binary(network: Network, operator: BinaryOperator, x: Int8Array, y: Int8Array) -> Int8Array:
    first = x.reshape(-1).astype(np.int64) - network.tensors[operator.input].zero_point
    second = y.reshape(-1).astype(np.int64) - network.tensors[operator.input2].zero_point
    second = second[(np.arange(first.size) // operator.repeat) % second.size]
    zero_point = network.tensors[operator.output].zero_point
    if operator.kind == Kind.MUL:
        scaled = requantize(first * second, operator.multipliers[0], operator.shifts[0])
    else:
        scaled_first = requantize(first << _ADD_LEFT_SHIFT, operator.multipliers[0], operator.shifts[0])
        scaled_second = requantize(second << _ADD_LEFT_SHIFT, operator.multipliers[1], operator.shifts[1])
        scaled = requantize(wrap_int32(scaled_first + scaled_second), operator.multipliers[2], operator.shifts[2])
    return _clamp(wrap_int32(scaled + zero_point), operator)


def _pool_2d(network: Network, operator: PoolOperator, x: Int8Array) -> Int8Array:
    spatial = x.reshape(network.tensors[operator.input].dimensions)[0].astype(np.int64)
    _, height, width, _ = network.tensors[operator.output].dimensions
    if operator.kind == Kind.MAX_POOL_2D:
        taps = window_taps(spatial, operator.window, (height, width), -129)
        return _clamp(taps.max(axis=(2, 3)), operator)
    sums = window_taps(spatial, operator.window, (height, width), 0).sum(axis=(2, 3))
    counts = window_taps(np.ones_like(spatial), operator.window, (height, width), 0).sum(axis=(2, 3))
    rounded = np.where(sums > 0, sums + counts // 2, sums - counts // 2)
    return _clamp(_truncating_divide(rounded, counts), operator)


def _truncating_divide(numerator: Integers, denominator: Integers) -> Integers:
    quotient: Integers = np.sign(numerator) * (np.abs(numerator) // denominator)
    return quotient


def _mean(network: Network, operator: MeanOperator, x: Int8Array) -> Int8Array:
    outputs = network.tensors[operator.output].elements
    count = x.size // outputs
    sums = x.reshape(outputs // operator.inner, count, operator.inner).astype(np.int64).sum(axis=1)
    offset = wrap_int32(sums - count * network.tensors[operator.input].zero_point)
    scaled = requantize(offset, operator.multiplier, operator.shift)
    return _clamp(wrap_int32(scaled + network.tensors[operator.output].zero_point), operator)


def _copy(operator: CopyOperator, x: Int8Array, before: Int8Array) -> Int8Array:
    rows: Int8Array = before.reshape(-1, operator.stride).copy()
    rows[:, operator.start : operator.start + operator.chunk] = x.reshape(-1, operator.chunk)
    return rows
