"""Folds what is constant into biases: tensors keep their values, and weights that do not matter become zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, NetworkOperator, WeightedOperator
from smidgen.plan.ranges import Bounds, NetworkBounds
from smidgen.reference.kernels import window_taps
from smidgen.requantization import Integers, wrap_int32


def fold_constants(network: Network, bounds: NetworkBounds) -> Network:
    """The same network with zero for the weights of outputs that never change and of inputs that never change.

    Exact: a constant input contributes (value - zero point) * weight to every accumulator, which its bias takes over.
    Returns `network` itself if nothing is constant.
    """
    operators = [_folded(network, bounds, index, operator) for index, operator in enumerate(network.operators)]
    same = all(old is new for old, new in zip(network.operators, operators, strict=True))
    return network if same else replace(network, operators=operators)


def _folded(network: Network, bounds: NetworkBounds, index: int, operator: NetworkOperator) -> NetworkOperator:
    if not isinstance(operator, WeightedOperator):
        return operator
    weights = operator.weights.astype(np.int64)
    bias = np.zeros(operator.channels, np.int64) if operator.bias is None else operator.bias.astype(np.int64)
    constant, offset = _constant_inputs(network, operator, weights, bounds.tensors[operator.input])
    bias += np.where(constant, weights * offset, 0).sum(axis=1)
    weights[constant] = 0
    _still(weights, bias, bounds.tensors[operator.output].channels.constant, bounds.accumulators[index])
    if np.array_equal(weights, operator.weights):
        return operator
    wrapped = wrap_int32(bias).astype(np.int32)
    return replace(operator, weights=weights.astype(np.int8), bias=wrapped if np.any(wrapped) else None)


def _constant_inputs(
    network: Network, operator: WeightedOperator, weights: Integers, x: Bounds
) -> tuple[NDArray[np.bool_], Integers]:
    """Which weights [output channels, weights per channel] read a constant, and its value without the zero point.

    Outside the input of a convolution is the zero point. So a channel that is constant but not zero there is folded
    only into outputs whose weights for it are zero wherever the window can stick out. A depthwise convolution's output
    is constant itself, or changes at the border: nothing is folded into it.
    """
    zero_point = network.tensors[operator.input].zero_point
    if operator.kind == Kind.DEPTHWISE_CONV_2D:
        return np.zeros(weights.shape, np.bool_), np.zeros(weights.shape[1], np.int64)
    if operator.window is None:
        columns = Bounds(x.low.reshape(-1, weights.shape[1]), x.high.reshape(-1, weights.shape[1])).channels
        return np.broadcast_to(columns.constant, weights.shape), columns.low - zero_point
    channels = x.channels
    taps = weights.shape[1] // len(channels.low)
    offset = channels.low - zero_point
    by_tap = weights.reshape(len(weights), taps, -1)
    reads_border = by_tap[:, _sticks_out(network, operator)].any(axis=1)
    foldable = channels.constant & ((offset == 0) | ~reads_border)
    return np.tile(foldable, taps), np.tile(offset, taps)


def _sticks_out(network: Network, operator: WeightedOperator) -> NDArray[np.bool_]:
    """For each tap of the window, whether it lies outside the input at some output position."""
    assert operator.window is not None
    _, height, width, _ = network.tensors[operator.input].dimensions
    _, output_height, output_width, _ = network.tensors[operator.output].dimensions
    inside = window_taps(np.ones((height, width, 1)), operator.window, (output_height, output_width), 0.0)
    missing: NDArray[np.bool_] = (inside == 0).any(axis=(0, 1)).reshape(-1)
    return missing


def _still(weights: Integers, bias: Integers, constant: NDArray[np.bool_], accumulators: Bounds) -> None:
    """Give outputs that never change no weights, and as bias the accumulator next to 0 that occurs.

    Every accumulator within the bounds has the same output.
    """
    weights[constant] = 0
    bias[constant] = np.clip(0, accumulators.low, accumulators.high)[constant]
