"""Requantisation numbers that take fewer bits and give the same outputs for every accumulator that can occur.

An output depends on the accumulator only through the least accumulator that gives each output value, its thresholds
(requantisation is monotonic where the shift is not positive). The multipliers with the same thresholds, as far as
accumulators reach, are an interval; the one in it that ends in the most zero bits is taken. It is also the cheapest to
multiply with. A channel whose accumulators all give one output gets weights of zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smidgen.network import Network, NetworkOperator, WeightedOperator
from smidgen.requantization import INT32_MAX, INT32_MIN, Integers, requantize

LEAST_MULTIPLIER = 2**30  # of those considered: all that real factors become, but for 0
_DOUBLING = 1  # the shift with which LEAST_MULTIPLIER stands for 1
_LEAST_SHIFT = -23  # with less, threshold products leave 64 bits


def shorten_multipliers(network: Network) -> Network:
    """The network with the shortest multipliers, and without weights where they make no difference."""
    return replace(network, operators=[_shorten(network, operator) for operator in network.operators])


def accumulator_bounds(network: Network, operator: WeightedOperator) -> tuple[Integers, Integers]:
    """The least and the largest accumulator of each output channel that any input gives; all of int32 if they wrap."""
    tensor = network.tensors[operator.input]
    writers = [writer for writer in network.operators if writer.output == operator.input]
    low = min((writer.activation_min for writer in writers), default=-128)
    high = max((writer.activation_max for writer in writers), default=127)
    # Taps outside the input count as the zero point.
    inputs = np.array([min(low, tensor.zero_point), max(high, tensor.zero_point)], np.int64) - tensor.zero_point
    products = operator.weights.astype(np.int64)[..., None] * inputs
    bias = np.int64(0) if operator.bias is None else operator.bias.astype(np.int64)
    least, largest = bias + products.min(axis=2).sum(axis=1), bias + products.max(axis=2).sum(axis=1)
    wraps = (least < INT32_MIN) | (largest > INT32_MAX)
    return np.where(wraps, INT32_MIN, least), np.where(wraps, INT32_MAX, largest)


def equivalent_multipliers(
    multiplier: int, shift: int, outputs: tuple[int, int], accumulators: tuple[int, int]
) -> tuple[int, int]:
    """The first and the last multiplier from 2^30 on that give the same outputs.

    multiplier is at least 2^30, shift -23 .. 0. outputs: least and largest value after the clamp, without the zero
    point. accumulators: the least and the largest that occur.
    """
    low, high = outputs
    products = _threshold_products(-shift, np.arange(low + 1, high + 1, dtype=np.int64))
    thresholds = -(-products // multiplier)
    # The least accumulator that gives a value stays if at_most * m < product <= at_least * m. Where it is out of reach,
    # it only has to stay there.
    reached = thresholds <= accumulators[1]
    at_least, above = np.maximum(thresholds, accumulators[0])[reached], products[reached]
    missed = thresholds > accumulators[0]
    at_most, below = np.minimum(thresholds - 1, accumulators[1])[missed], products[missed]
    first = [-(-above[at_least > 0] // at_least[at_least > 0]), below[at_most < 0] // at_most[at_most < 0] + 1]
    last = [above[at_least < 0] // at_least[at_least < 0], -(-below[at_most > 0] // at_most[at_most > 0]) - 1]
    return (
        int(np.concatenate(first).max(initial=LEAST_MULTIPLIER)),
        int(np.concatenate(last).min(initial=INT32_MAX)),
    )


def _threshold_products(right: int, values: Integers) -> Integers:
    """What accumulator * multiplier must reach at least for the result to reach each value.

    Both roundings of section 3: the second one takes halves away from zero, the first one upwards.
    """
    rounded = values << right
    if right > 0:
        rounded -= (1 << (right - 1)) - (values <= 0)
    return (rounded << 31) - (1 << 30)


def _shorten(network: Network, operator: NetworkOperator) -> NetworkOperator:
    if not isinstance(operator, WeightedOperator):
        return operator
    zero_point = network.tensors[operator.output].zero_point
    outputs = operator.activation_min - zero_point, operator.activation_max - zero_point
    operator = _without_idle_weights(operator, outputs, *accumulator_bounds(network, operator))
    accumulators = zip(*(bounds.tolist() for bounds in accumulator_bounds(network, operator)), strict=True)
    intervals = [
        _interval(int(multiplier), int(shift), outputs, reach)
        for multiplier, shift, reach in zip(
            np.broadcast_to(operator.multiplier, operator.channels),
            np.broadcast_to(operator.shift, operator.channels),
            accumulators,
            strict=True,
        )
    ]
    if _has_one_multiplier(operator):
        intervals = [(max(first for first, _ in intervals), min(last for _, last in intervals))]
    shortest = [_roundest(first, last) for first, last in intervals]
    if len(shortest) < len(operator.multiplier):
        shortest *= len(operator.multiplier)
    return replace(operator, multiplier=np.array(shortest, operator.multiplier.dtype))


def _without_idle_weights(
    operator: WeightedOperator, outputs: tuple[int, int], least: Integers, largest: Integers
) -> WeightedOperator:
    """Where all accumulators give the same output: weights of zero, and numbers like those of the other channels."""
    first, last = (requantize(edge, operator.multiplier, operator.shift).clip(*outputs) for edge in (least, largest))
    idle = (first == last) & ((operator.shift <= 0) | (operator.multiplier == 0))
    if not idle.any():
        return operator
    weights = np.where(idle[:, None], np.int8(0), operator.weights)
    bias = np.zeros_like(least) if operator.bias is None else operator.bias
    if _has_one_multiplier(operator):
        return replace(operator, weights=weights, bias=np.where(idle, least, bias).astype(np.int32))
    others = operator.shift[~idle & (operator.shift <= _DOUBLING)]
    shift = max(int(others.max()), _LEAST_SHIFT + 1) if others.size else _DOUBLING
    return replace(
        operator,
        weights=weights,
        bias=np.where(idle, first << (_DOUBLING - shift), bias).astype(np.int32),  # LEAST_MULTIPLIER halves it
        multiplier=np.where(idle, LEAST_MULTIPLIER, operator.multiplier).astype(np.int32),
        shift=np.where(idle, shift, operator.shift).astype(np.int32),
    )


def _has_one_multiplier(operator: WeightedOperator) -> bool:
    """Whether all channels share the multiplier, with one shift or with their own; it then stays one."""
    return bool(np.all(operator.multiplier == operator.multiplier[0]))


def _interval(multiplier: int, shift: int, outputs: tuple[int, int], accumulators: tuple[int, int]) -> tuple[int, int]:
    if not _LEAST_SHIFT <= shift <= 0 or multiplier < LEAST_MULTIPLIER:
        return multiplier, multiplier
    return equivalent_multipliers(multiplier, shift, outputs, accumulators)


def _roundest(first: int, last: int) -> int:
    """The number in first .. last that ends in the most zero bits."""
    for bits in range(30, 0, -1):
        candidate = -(-first >> bits) << bits
        if candidate <= last:
            return candidate
    return first
