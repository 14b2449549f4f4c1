"""Derivatives of an integer network, as if every rounding were absent: what an output loses by an error inside.

All derivatives are in units of int8 steps. A clamp passes the derivative only where the value is inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.compress.batch import Array, Int8Array, Values, padded, window_slices
from smidgen.network import (
    BinaryOperator,
    CopyOperator,
    Kind,
    LookupOperator,
    MeanOperator,
    Network,
    NetworkOperator,
    PadOperator,
    PoolOperator,
    SoftmaxOperator,
    WeightedOperator,
)

Floats = NDArray[np.float32]
_ADD_LEFT_SHIFT = 20
_SOFTMAX_FRACTION_BITS = 26
_EDGE = 8  # steps of input over which the slope of a table is taken


def backward(
    network: Network, values: Values, cotangents: Mapping[int, Floats]
) -> Iterator[tuple[int, WeightedOperator, Floats]]:
    """For each operator with weights, last to first: its index, the operator, and the derivative of a scalar.

    The derivative is that by the operator's outputs, [samples, positions, output channels], in int8 steps, whether or
    not they are at the limits of the clamp; what is before the operator gets only what passes the clamp. values: all
    tensors, of `run_batch`. cotangents: the derivative of the scalar by some tensors, float32 in the shapes of values.
    """
    gradients: dict[int, Floats] = {index: array.astype(np.float32) for index, array in cotangents.items()}
    for index in reversed(range(len(network.operators))):
        operator = network.operators[index]
        if operator.output not in gradients:
            continue
        gradient = gradients[operator.output]
        if isinstance(operator, WeightedOperator):
            yield index, operator, gradient.reshape(len(gradient), -1, operator.channels)
            gradient = gradient * inside_clamp(operator, values[operator.output])
        for source, part in _input_gradients(network, operator, values, gradient):
            if network.tensors[source].data is None:
                whole = part.reshape(-1, *network.tensors[source].shape)
                gradients[source] = gradients[source] + whole if source in gradients else whole


def inside_clamp(operator: NetworkOperator, output: Int8Array) -> NDArray[np.bool_]:
    """Where an output is not at the limits of its clamp."""
    inside: NDArray[np.bool_] = (output > operator.activation_min) & (output < operator.activation_max)
    return inside


def real_factors(multiplier: Any, shift: Any) -> NDArray[np.float64]:
    """multiplier * 2^(shift - 31) as real numbers."""
    return np.asarray(multiplier, np.float64) * np.exp2(np.asarray(shift, np.float64) - 31)


def _input_gradients(
    network: Network, operator: NetworkOperator, values: Values, gradient: Floats
) -> Iterator[tuple[int, Floats]]:
    match operator:
        case WeightedOperator():
            yield operator.input, _weighted(network, operator, gradient)
        case BinaryOperator():
            yield from _binary(network, operator, values, gradient)
        case PoolOperator():
            yield operator.input, _pool(network, operator, values, gradient)
        case MeanOperator():
            yield operator.input, _mean(network, operator, gradient)
        case PadOperator():
            yield operator.input, _pad(network, operator, gradient)
        case CopyOperator():
            rows = gradient.reshape(len(gradient), -1, operator.stride)
            yield operator.input, rows[:, :, operator.start : operator.start + operator.chunk]
        case LookupOperator():
            yield operator.input, gradient * _slopes(operator)[values[operator.input].astype(np.int64) + 128]
        case SoftmaxOperator():
            yield operator.input, _softmax(network, operator, values, gradient)


def _weighted(network: Network, operator: WeightedOperator, gradient: Floats) -> Floats:
    factors = real_factors(operator.multiplier, operator.shift)
    weights = (operator.weights * factors.reshape(-1, 1)).astype(np.float32)
    if operator.window is None:
        return gradient.reshape(-1, operator.channels) @ weights
    _, height, width, channels = network.tensors[operator.input].dimensions
    _, out_height, out_width, out_channels = network.tensors[operator.output].dimensions
    outputs = gradient.reshape(-1, out_height, out_width, out_channels)
    size = out_height, out_width
    image = padded(np.zeros((len(gradient), height, width, channels), np.float32), operator.window, size)
    taps = operator.window.kernel[0] * operator.window.kernel[1]
    for tap, view in enumerate(window_slices(image, operator.window, size)):
        if operator.kind == Kind.CONV_2D:
            view += outputs @ weights.reshape(out_channels, taps, channels)[:, tap]
        else:
            view += (outputs * weights[:, tap]).reshape(*outputs.shape[:3], channels, -1).sum(axis=4)
    top, left = operator.window.padding
    return image[:, top : top + height, left : left + width]


def _binary(
    network: Network, operator: BinaryOperator, values: Values, gradient: Floats
) -> Iterator[tuple[int, Floats]]:
    flat = (gradient * inside_clamp(operator, values[operator.output])).reshape(len(gradient), -1)
    factors = real_factors(operator.multipliers, operator.shifts)
    size = network.tensors[operator.input2].elements
    used = (np.arange(flat.shape[1]) // operator.repeat) % size
    if operator.kind == Kind.ADD:
        scale = factors[2] * (1 << _ADD_LEFT_SHIFT)
        first, second = flat * np.float32(factors[0] * scale), flat * np.float32(factors[1] * scale)
    else:
        x, y = (
            values[index].reshape(len(values[index]), -1).astype(np.float32) - network.tensors[index].zero_point
            for index in operator.inputs
        )
        first, second = flat * y[:, used] * np.float32(factors[0]), flat * x * np.float32(factors[0])
    yield operator.input, first
    summed = np.zeros((len(flat), size), np.float32)
    np.add.at(summed.T, used, second.T)
    yield operator.input2, summed


def _pool(network: Network, operator: PoolOperator, values: Values, gradient: Floats) -> Floats:
    _, height, width, channels = network.tensors[operator.input].dimensions
    _, out_height, out_width, _ = network.tensors[operator.output].dimensions
    size = out_height, out_width
    outputs = gradient.reshape(-1, *size, channels)
    image = padded(np.zeros((len(gradient), height, width, channels), np.float32), operator.window, size)
    shares = _pool_shares(operator, values, (height, width, channels), size)
    for view, share in zip(window_slices(image, operator.window, size), shares, strict=True):
        view += outputs * share
    top, left = operator.window.padding
    return image[:, top : top + height, left : left + width]


def _pool_shares(
    operator: PoolOperator, values: Values, shape: tuple[int, int, int], size: tuple[int, int]
) -> list[Array]:
    """For every tap, its part of each output."""
    if operator.kind == Kind.MAX_POOL_2D:
        levels = values[operator.input].reshape(-1, *shape).astype(np.int16) + 256  # above the padding's 0
        taps = list(window_slices(padded(levels, operator.window, size), operator.window, size))
        largest = np.max(taps, axis=0)
        ties = np.sum([tap == largest for tap in taps], axis=0, dtype=np.float32)
        return [(tap == largest) / ties for tap in taps]
    taps = list(window_slices(padded(np.ones((1, *shape), np.float32), operator.window, size), operator.window, size))
    count = np.sum(taps, axis=0)
    return [tap / count for tap in taps]


def _mean(network: Network, operator: MeanOperator, gradient: Floats) -> Floats:
    outputs = network.tensors[operator.output].elements
    count = network.tensors[operator.input].elements // outputs
    factor = np.float32(real_factors(operator.multiplier, operator.shift))
    parts = gradient.reshape(len(gradient), outputs // operator.inner, 1, operator.inner) * factor
    return np.repeat(parts, count, axis=2)


def _pad(network: Network, operator: PadOperator, gradient: Floats) -> Floats:
    _, *sizes = network.tensors[operator.input].dimensions
    outputs = gradient.reshape(-1, *network.tensors[operator.output].dimensions[1:])
    kept = [slice(before, before + size) for (before, _), size in zip(operator.paddings, sizes, strict=True)]
    return outputs[:, kept[0], kept[1], kept[2]]


def _slopes(operator: LookupOperator) -> Floats:
    """The slope of the table at every input, over a few steps: single steps are all rounding."""
    levels = np.arange(256)
    low, high = np.maximum(levels - _EDGE, 0), np.minimum(levels + _EDGE, 255)
    table = operator.table.astype(np.float32)
    return np.asarray((table[high] - table[low]) / (high - low), np.float32)


def _softmax(network: Network, operator: SoftmaxOperator, values: Values, gradient: Floats) -> Floats:
    """Through the probabilities that the output tensor holds, in steps of 1/256 from -128."""
    row = network.tensors[operator.output].shape[-1]
    chances = (values[operator.output].reshape(-1, row).astype(np.float32) + 128) / 256
    above = gradient.reshape(-1, row)
    centred = above - np.sum(above * chances, axis=1, keepdims=True)
    return np.asarray(chances * centred * np.float32(256 * logit_scale(operator)), np.float32)


def logit_scale(operator: SoftmaxOperator) -> float:
    """What one step of the input adds to a logit: beta times the input's scale."""
    return float(real_factors(operator.multiplier, operator.shift)) * 2.0**-_SOFTMAX_FRACTION_BITS
