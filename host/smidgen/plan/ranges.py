"""Which values can occur: bounds of every element of every tensor, and of every accumulator, for all inputs.

Interval arithmetic on the integers of docs/format.md. It is sound: no input gives a value outside its bounds. It is
not always tight, because elements that depend on each other are taken to be independent.

Why the ends of an interval are enough: pools, PAD, COPY and sums never fall when an input rises; an accumulator rises
with inputs whose weight is positive and falls with the others; ADD's operands have factors of at least 0; a product is
largest and smallest at ends of both factors; requantisation, with a multiplier of at least 0, rounds twice, and neither
rounding lets a larger number become the smaller one. The one exception is arithmetic that wraps at 32 bits: where an
end leaves int32, nothing but the clamp is certain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.network import (
    BinaryOperator,
    Kind,
    LookupOperator,
    MeanOperator,
    Network,
    NetworkOperator,
    SoftmaxOperator,
    WeightedOperator,
)
from smidgen.reference.kernels import run_operator, window_taps
from smidgen.requantization import INT32_MAX, INT32_MIN, Integers, requantize

_ADD_LEFT_SHIFT = 20


@dataclass(frozen=True, eq=False)
class Bounds:
    """The least and the greatest value of each element, both included; arrays of one shape."""

    low: Integers
    high: Integers

    @property
    def channels(self) -> Bounds:
        """Over all positions: one pair for each channel, which is the last dimension."""
        last = self.low.shape[-1]
        return Bounds(self.low.reshape(-1, last).min(axis=0), self.high.reshape(-1, last).max(axis=0))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which elements have one value only."""
        equal: NDArray[np.bool_] = self.low == self.high
        return equal


@dataclass(frozen=True)
class NetworkBounds:
    """`tensors` by tensor index, in the tensors' shapes.

    `accumulators` by index of the operator with weights, one pair for each output channel: of the exact sum, bias
    included, before it wraps to int32.
    """

    tensors: dict[int, Bounds]
    accumulators: dict[int, Bounds]


def find_bounds(network: Network) -> NetworkBounds:
    """Bounds of all tensors and accumulators of `network`, whose inputs are any int8 values."""
    tensors: dict[int, Bounds] = {}
    accumulators: dict[int, Bounds] = {}
    for index in network.inputs:
        shape = network.tensors[index].shape
        tensors[index] = Bounds(np.full(shape, -128, np.int64), np.full(shape, 127, np.int64))
    for index, tensor in enumerate(network.tensors):
        if tensor.data is not None:
            data = tensor.data.astype(np.int64).reshape(tensor.shape)
            tensors[index] = Bounds(data, data)
    for index, operator in enumerate(network.operators):
        if isinstance(operator, WeightedOperator):
            sums = _accumulators(network, operator, tensors[operator.input])
            accumulators[index] = sums.channels
            result = _requantized(network, operator, sums, operator.multiplier, operator.shift)
        else:
            result = _operator_bounds(network, operator, tensors)
        shape = network.tensors[operator.output].shape
        tensors[operator.output] = Bounds(result.low.reshape(shape), result.high.reshape(shape))
    return NetworkBounds(tensors, accumulators)


def _operator_bounds(network: Network, operator: NetworkOperator, tensors: dict[int, Bounds]) -> Bounds:
    match operator:
        case BinaryOperator(kind=Kind.ADD):
            return _add(network, operator, tensors)
        case BinaryOperator():
            sums = _products(network, operator, tensors)
            return _requantized(network, operator, sums, operator.multipliers[0], operator.shifts[0])
        case MeanOperator():
            sums = _sums(network, operator, tensors[operator.input])
            return _requantized(network, operator, sums, operator.multiplier, operator.shift)
        case LookupOperator():
            return _lookup(operator, tensors[operator.input])
        case SoftmaxOperator():
            shape = network.tensors[operator.output].shape
            return Bounds(np.full(shape, -128, np.int64), np.full(shape, 127, np.int64))
        case _:
            return _at_both_ends(network, operator, tensors)


def _at_both_ends(network: Network, operator: NetworkOperator, tensors: dict[int, Bounds]) -> Bounds:
    """Pools, PAD, COPY: the reference itself, on the least and on the greatest inputs."""
    shape = network.tensors[operator.output].shape
    before = tensors.get(operator.output, Bounds(np.zeros(shape, np.int64), np.zeros(shape, np.int64)))
    x = tensors[operator.input]
    ends = [
        run_operator(network, operator, {operator.input: values.astype(np.int8)}, filled.astype(np.int8))
        for values, filled in ((x.low, before.low), (x.high, before.high))
    ]
    return Bounds(ends[0].astype(np.int64), ends[1].astype(np.int64))


def _requantized(
    network: Network, operator: NetworkOperator, sums: Bounds, multiplier: ArrayLike, shift: ArrayLike
) -> Bounds:
    """Outputs for accumulators within `sums`; all that the clamp leaves where something wraps."""
    zero_point = network.tensors[operator.output].zero_point
    left = np.maximum(np.asarray(shift, np.int64), 0)
    wraps = (sums.low < INT32_MIN >> left) | (sums.high > INT32_MAX >> left)
    ends = [
        requantize(np.clip(end, INT32_MIN, INT32_MAX), multiplier, shift) + zero_point for end in (sums.low, sums.high)
    ]
    wraps |= (ends[0] < INT32_MIN) | (ends[1] > INT32_MAX)
    least, greatest = operator.activation_min, operator.activation_max
    low, high = (np.clip(end, least, greatest) for end in ends)
    return Bounds(np.where(wraps, least, low), np.where(wraps, greatest, high))


def _accumulators(network: Network, operator: WeightedOperator, x: Bounds) -> Bounds:
    """Exact sums with bias, shape [positions, channels]."""
    zero_point = network.tensors[operator.input].zero_point
    low, high = ((end - zero_point).astype(np.float64) for end in (x.low, x.high))
    weights = operator.weights.astype(np.float64)
    rising, falling = np.maximum(weights, 0), np.minimum(weights, 0)
    if operator.window is None:
        low, high = (end.reshape(-1, weights.shape[1]) for end in (low, high))
    else:
        low, high = (_windows(network, operator, end) for end in (low, high))
    if operator.kind == Kind.DEPTHWISE_CONV_2D:
        ends = [
            np.einsum("ptc,ct->pc", a, rising) + np.einsum("ptc,ct->pc", b, falling)
            for a, b in ((low, high), (high, low))
        ]
    else:
        ends = [a @ rising.T + b @ falling.T for a, b in ((low, high), (high, low))]
    bias = np.zeros(operator.channels, np.int64) if operator.bias is None else operator.bias.astype(np.int64)
    return Bounds(ends[0].astype(np.int64) + bias, ends[1].astype(np.int64) + bias)


def _windows(network: Network, operator: WeightedOperator, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[positions, taps * channels] for CONV_2D, [positions, taps, output channels] for DEPTHWISE_CONV_2D.

    Taps outside the input are 0, as in the sums: `values` have the zero point taken off.
    """
    assert operator.window is not None
    _, height, width, _ = network.tensors[operator.output].dimensions
    spatial = values.reshape(network.tensors[operator.input].dimensions)[0]
    taps = window_taps(spatial, operator.window, (height, width), 0.0)
    if operator.kind == Kind.CONV_2D:
        return taps.reshape(height * width, -1)
    repeated = np.repeat(taps, operator.channels // taps.shape[-1], axis=-1)
    return repeated.reshape(height * width, -1, operator.channels)


def _operands(network: Network, operator: BinaryOperator, tensors: dict[int, Bounds]) -> tuple[Bounds, Bounds]:
    """Both operands without their zero points, flat, the second one broadcast."""
    first, second = tensors[operator.input], tensors[operator.input2]
    zero, zero2 = (network.tensors[index].zero_point for index in operator.inputs)
    index = (np.arange(first.low.size) // operator.repeat) % second.low.size
    return (
        Bounds(first.low.reshape(-1) - zero, first.high.reshape(-1) - zero),
        Bounds(second.low.reshape(-1)[index] - zero2, second.high.reshape(-1)[index] - zero2),
    )


def _add(network: Network, operator: BinaryOperator, tensors: dict[int, Bounds]) -> Bounds:
    """Neither operand wraps: its magnitude is at most 255 * 2^20, and ADD's factors are at most 1."""
    x, y = _operands(network, operator, tensors)
    (multiplier, multiplier2, last), (shift, shift2, last_shift) = operator.multipliers, operator.shifts
    ends = [
        requantize(a << _ADD_LEFT_SHIFT, multiplier, shift) + requantize(b << _ADD_LEFT_SHIFT, multiplier2, shift2)
        for a, b in ((x.low, y.low), (x.high, y.high))
    ]
    return _requantized(network, operator, Bounds(ends[0], ends[1]), last, last_shift)


def _products(network: Network, operator: BinaryOperator, tensors: dict[int, Bounds]) -> Bounds:
    x, y = _operands(network, operator, tensors)
    corners = np.stack([a * b for a in (x.low, x.high) for b in (y.low, y.high)])
    return Bounds(corners.min(axis=0), corners.max(axis=0))


def _sums(network: Network, operator: MeanOperator, x: Bounds) -> Bounds:
    """What MEAN requantises: sums without their zero points."""
    zero_point = network.tensors[operator.input].zero_point
    outer = network.tensors[operator.output].elements // operator.inner
    ends = [(end - zero_point).reshape(outer, -1, operator.inner).sum(axis=1) for end in (x.low, x.high)]
    return Bounds(ends[0], ends[1])


def _lookup(operator: LookupOperator, x: Bounds) -> Bounds:
    """The extremes of the part of the table that can be read; row i of `lows` and `highs` is for tables from i on."""
    table = operator.table.astype(np.int64)
    lows, highs = np.tile(table, (256, 1)), np.tile(table, (256, 1))
    unread = np.tril(np.ones((256, 256), np.bool_), -1)
    lows[unread], highs[unread] = 127, -128
    first, last = x.low + 128, x.high + 128
    return Bounds(np.minimum.accumulate(lows, axis=1)[first, last], np.maximum.accumulate(highs, axis=1)[first, last])
