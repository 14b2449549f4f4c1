"""Compresses a network layer after layer, each with the inputs that the compressed layers before it give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.compress.batch import PORTION, Int8Array, input_rows, products, run_batch_operator, starting_values
from smidgen.compress.gradients import real_factors
from smidgen.compress.rounding import round_rows
from smidgen.compress.sensitivity import LayerSensitivity
from smidgen.compress.steps import finest_steps, ideal_steps, real_steps, shared_multiplier
from smidgen.network import Network, NetworkOperator, WeightedOperator

Floats = NDArray[np.float64]
_FLOOR = 0.02  # of a channel's mean, added to what the errors of each row cost
_LARGEST_BIAS = 2**30  # half of int32, so that the sum of products still fits beside it


def compress_layers(
    network: Network, inputs: Sequence[Int8Array], sensitivity: Mapping[int, LayerSensitivity], price: float
) -> Network:
    """The network with weights, biases, multipliers and shifts that take fewer bytes; all tensors keep their scales.

    inputs: the samples that `sensitivity` was measured with. price: the error that a bit is worth; with more, the
    network gets smaller and worse.
    """
    values = starting_values(network, inputs)
    operators: list[NetworkOperator] = []
    for index, operator in enumerate(network.operators):
        if isinstance(operator, WeightedOperator) and index in sensitivity:
            layer = sensitivity[index]
            rows = _rows_of(network, operator, values[operator.input], layer.rows)
            operator = _correct_bias(_compressed(operator, layer, price), rows, layer)
        values[operator.output] = run_batch_operator(network, operator, values)
        operators.append(operator)
    return replace(network, operators=operators)


def curvatures(layer: LayerSensitivity) -> Floats:
    """What an error of one weight costs in each output channel."""
    return layer.importance * layer.compensation.curvature()


def real_weights(operator: WeightedOperator) -> Floats:
    """Weights and, in the last column, bias of each channel, in int8 steps of output."""
    bias = np.zeros(operator.channels) if operator.bias is None else operator.bias.astype(np.float64)
    factors = np.broadcast_to(real_factors(operator.multiplier, operator.shift), operator.channels)
    weights = np.concatenate((operator.weights.astype(np.float64), bias[:, None]), axis=1)
    return np.asarray(weights * factors[:, None])


def _rows_of(
    network: Network, operator: WeightedOperator, x: Int8Array, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Some rows of `input_rows` over all samples."""
    positions = network.tensors[operator.output].elements // operator.channels
    found = []
    for start in range(0, len(x), PORTION):
        part = x[start : start + PORTION]
        first, end = start * positions, (start + len(part)) * positions
        found.append(input_rows(network, operator, part)[rows[(rows >= first) & (rows < end)] - first])
    return np.concatenate(found)


def _compressed(operator: WeightedOperator, layer: LayerSensitivity, price: float) -> WeightedOperator:
    weights = real_weights(operator)
    ideal = ideal_steps(curvatures(layer), weights[:, :-1], price)
    multiplier, shifts = shared_multiplier(ideal, finest_steps(weights[:, :-1]))
    steps = real_steps(multiplier, shifts)
    prices = price / (layer.importance * steps**2)
    values = round_rows(weights / steps[:, None], layer.compensation, prices)
    return replace(
        operator,
        weights=values[:, :-1].astype(np.int8),
        bias=_as_bias(values[:, -1]),
        multiplier=np.full(operator.channels, multiplier, np.int32),
        shift=shifts,
    )


def _correct_bias(operator: WeightedOperator, rows: NDArray[np.float32], layer: LayerSensitivity) -> WeightedOperator:
    """Biases with which no channel has an error on average, each row counted as much as its errors cost."""
    assert operator.bias is not None
    steps = real_factors(operator.multiplier, operator.shift)
    errors = layer.targets - (products(operator, rows) + operator.bias) * steps
    weights = layer.weights.astype(np.float64) + np.finfo(np.float64).tiny ** 0.5
    weights += _FLOOR * weights.mean(axis=0)
    mean = np.sum(errors * weights, axis=0) / np.sum(weights, axis=0)
    return replace(operator, bias=_as_bias(operator.bias + np.rint(mean / steps)))


def _as_bias(values: ArrayLike) -> NDArray[np.int32]:
    limited: NDArray[np.int32] = np.clip(np.asarray(values), -_LARGEST_BIAS, _LARGEST_BIAS).astype(np.int32)
    return limited
