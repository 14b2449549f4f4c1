"""Runs an integer network on many samples at once: the reference's integers, fast enough to judge many candidates.

Sums of products are matrix products in floating point, of a width in which every partial sum is exact. Operators
without weights are left to the reference kernels, sample by sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, NetworkOperator, WeightedOperator, WindowParameters
from smidgen.reference.kernels import run_operator
from smidgen.requantization import Integers, requantize, wrap_int32

Array = NDArray[Any]
Int8Array = NDArray[np.int8]
Values = dict[int, Int8Array]  # by tensor index, [samples, *shape]

PORTION = 32  # samples
_EXACT_IN_SINGLE = 2**24
_LARGEST_INPUT = 255  # of an int8 minus a zero point


def run_batch(network: Network, inputs: Sequence[Int8Array]) -> Values:
    """All tensors of the network for `inputs`, one array [samples, *shape] for each input tensor."""
    values = starting_values(network, inputs)
    for operator in network.operators:
        values[operator.output] = run_batch_operator(network, operator, values)
    return values


def starting_values(network: Network, inputs: Sequence[Int8Array]) -> Values:
    """Inputs and constants; constants have one sample."""
    values: Values = dict(enumerate(inputs))
    for index, tensor in enumerate(network.tensors):
        if tensor.data is not None:
            values[index] = tensor.data.reshape(1, *tensor.shape)
    return values


def run_batch_operator(network: Network, operator: NetworkOperator, values: Mapping[int, Int8Array]) -> Int8Array:
    """The output of one operator for all samples."""
    shape = network.tensors[operator.output].shape
    if isinstance(operator, WeightedOperator):
        parts = [
            requantized(network, operator, products(operator, input_rows(network, operator, part)))
            for part in portions(values[operator.input])
        ]
        return np.concatenate(parts).reshape(-1, *shape)
    samples = max(len(values[index]) for index in operator.inputs)
    before = values.get(operator.output)
    result = np.empty((samples, *shape), np.int8)
    for sample in range(samples):
        single = {index: values[index][sample % len(values[index])] for index in operator.inputs}
        old = np.zeros(shape, np.int8) if before is None else before[sample]
        result[sample] = run_operator(network, operator, single, old).reshape(shape)
    return result


def portions(x: Int8Array) -> Iterator[Int8Array]:
    """Some samples at a time: more are slower, because they leave the cache."""
    for start in range(0, len(x), PORTION):
        yield x[start : start + PORTION]


def input_rows(network: Network, operator: WeightedOperator, x: Int8Array) -> NDArray[np.float32]:
    """What the weights are multiplied with, zero point subtracted, for every sample and output position.

    CONV_2D and FULLY_CONNECTED: [rows, weights per channel]; DEPTHWISE_CONV_2D: [rows, output channels, weights per
    channel].
    """
    offset = x.astype(np.float32) - np.float32(network.tensors[operator.input].zero_point)
    if operator.window is None:
        return np.asarray(offset.reshape(-1, operator.weights.shape[1]))
    _, height, width, channels = network.tensors[operator.input].dimensions
    _, out_height, out_width, out_channels = network.tensors[operator.output].dimensions
    spatial = offset.reshape(-1, height, width, channels)
    size = out_height, out_width
    taps = list(window_slices(padded(spatial, operator.window, size), operator.window, size))
    if operator.kind == Kind.CONV_2D:
        return np.stack(taps, axis=3).reshape(-1, operator.weights.shape[1])
    by_channel = np.stack(taps, axis=4)
    if out_channels != channels:
        by_channel = np.repeat(by_channel, out_channels // channels, axis=3)
    return by_channel.reshape(-1, out_channels, operator.weights.shape[1])


def padded(spatial: Array, window: WindowParameters, size: tuple[int, int]) -> Array:
    """[samples, height, width, channels] with zeros round it: every tap of `size` output positions is inside."""
    (top, left), borders = window.padding, []
    for axis in range(2):
        reach = (size[axis] - 1) * window.stride[axis] + (window.kernel[axis] - 1) * window.dilation[axis] + 1
        borders.append(max(0, reach - window.padding[axis] - spatial.shape[1 + axis]))
    return np.pad(spatial, ((0, 0), (top, borders[0]), (left, borders[1]), (0, 0)))


def window_slices(image: Array, window: WindowParameters, size: tuple[int, int]) -> Iterator[Array]:
    """For every tap of the window, row by row, a view of what it sees at all output positions."""
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            top, left = row * window.dilation[0], column * window.dilation[1]
            yield image[
                :,
                top : top + (size[0] - 1) * window.stride[0] + 1 : window.stride[0],
                left : left + (size[1] - 1) * window.stride[1] + 1 : window.stride[1],
            ]


def products(operator: WeightedOperator, rows: NDArray[np.float32]) -> Array:
    """Sums of products without bias, exact: [rows, output channels]."""
    bound = int(np.abs(operator.weights.astype(np.int64)).sum(axis=1).max()) * _LARGEST_INPUT
    kind = np.float32 if bound < _EXACT_IN_SINGLE else np.float64
    weights = operator.weights.astype(kind)
    if rows.ndim == 2:
        return np.asarray(rows.astype(kind, copy=False) @ weights.T)
    return np.asarray(np.einsum("rck,ck->rc", rows.astype(kind, copy=False), weights))


def requantized(network: Network, operator: WeightedOperator, sums: Array) -> Int8Array:
    """The outputs for sums of products [rows, output channels]."""
    accumulators = sums.astype(np.int64)
    if operator.bias is not None:
        accumulators += operator.bias
    zero_point = network.tensors[operator.output].zero_point
    scaled = _requantize(wrap_int32(accumulators), operator) + zero_point
    return np.clip(scaled, operator.activation_min, operator.activation_max).astype(np.int8)


def _requantize(accumulators: Integers, operator: WeightedOperator) -> Integers:
    """`requantize` with fewer passes over the data; the same where no shift is positive."""
    shift = operator.shift.astype(np.int64)
    if np.any(shift > 0):
        return requantize(accumulators, operator.multiplier, shift)
    high = (accumulators * operator.multiplier.astype(np.int64) + 2**30) >> 31
    half = np.where(shift < 0, np.int64(1) << np.maximum(-shift - 1, 0), 0)
    high += half
    high -= (high < half) & (shift < 0)
    return high >> -shift
