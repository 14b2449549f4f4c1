"""ADD without requantisation: integers p, q, r, n with out = clamp((x * p + y * q + r) >> n) for all x and y.

An ADD of int8 tensors has at most 65,536 different pairs of elements. Each of them bounds x * p + y * q + r from below
and from above, so that p and q are possible if the greatest lower bound of r is not above its least upper bound. They
are looked for round the real factors, in units of 2^-n, and the result is checked for every pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from smidgen.network import BinaryOperator, Kind, LinearAddOperator, Network, NetworkOperator
from smidgen.plan.value_ranges import value_range
from smidgen.reference.kernels import run_operator
from smidgen.requantization import INT32_MAX, INT32_MIN, Integers

_NARROW, _WIDE = 4, 256  # how far from the real factors p and q are looked for, one of them nearer than the other
_EXPONENTS_TRIED = 3
_LEFT_SHIFT = 20  # of both operands, docs/format.md section 4


def use_linear_adds(network: Network) -> Network:
    """The network with a LinearAddOperator instead of every ADD that has an equivalent one."""
    return replace(network, operators=[_linear(network, operator) for operator in network.operators])


def _linear(network: Network, operator: NetworkOperator) -> NetworkOperator:
    if not isinstance(operator, BinaryOperator) or operator.kind != Kind.ADD:
        return operator
    return equivalent_linear_add(network, operator) or operator


def equivalent_linear_add(network: Network, operator: BinaryOperator) -> LinearAddOperator | None:
    """The operator that gives the same output for all values that its inputs can have; None if none was found."""
    pairs = _Pairs.of(network, operator)
    slopes, constant = _real_sum(network, operator)
    largest = float(np.abs(pairs.x * slopes[0] + pairs.y * slopes[1] + constant).max())
    finest = math.floor(math.log2(INT32_MAX / max(largest, *slopes, 1.0)))  # 30 or less
    for exponent in range(finest, max(finest - _EXPONENTS_TRIED, -1), -1):
        near = round(slopes[0] * 2**exponent), round(slopes[1] * 2**exponent)
        found = _roomiest(near, pairs.sums(exponent))
        if found is None:
            continue
        factors, offset = found
        if pairs.are_right(factors, offset, exponent):
            return LinearAddOperator(
                operator.kind, operator.input, operator.output, operator.activation_min, operator.activation_max,
                input2=operator.input2, repeat=operator.repeat, factors=factors, offset=offset, exponent=exponent,
            )  # fmt: skip
    return None


def _real_sum(network: Network, operator: BinaryOperator) -> tuple[tuple[float, float], float]:
    """Factors of x and y, and the constant, of the real number whose floor is the output before the clamp."""
    scales = [math.ldexp(m, shift - 31) for m, shift in zip(operator.multipliers, operator.shifts, strict=True)]
    slope, slope2 = (math.ldexp(scale * scales[2], _LEFT_SHIFT) for scale in scales[:2])
    zero_point, zero_point2 = (network.tensors[tensor].zero_point for tensor in operator.inputs)
    half_up = network.tensors[operator.output].zero_point + 0.5
    return (slope, slope2), half_up - slope * zero_point - slope2 * zero_point2


@dataclass(frozen=True, eq=False)
class _Bounds:
    """least <= x * p + y * q + r <= most for pairs of elements, one array each."""

    x: Integers
    y: Integers
    least: Integers
    most: Integers


@dataclass(frozen=True, eq=False)
class _Pairs:
    """All pairs of elements that can occur, and the outputs that they must give."""

    x: Integers
    y: Integers
    outputs: Integers
    clamp: tuple[int, int]

    @staticmethod
    def of(network: Network, operator: BinaryOperator) -> _Pairs:
        ranges = [value_range(network, tensor) for tensor in operator.inputs]
        x, y = (grid.reshape(-1) for grid in np.meshgrid(*(np.arange(low, high + 1) for low, high in ranges)))
        tensors = [network.tensors[tensor] for tensor in (*operator.inputs, operator.output)]
        alone = replace(operator, input=0, input2=1, output=2, repeat=1)
        values = {0: x.astype(np.int8), 1: y.astype(np.int8)}
        outputs = run_operator(Network(tensors, [alone], 2, 1), alone, values, np.zeros(0, np.int8))
        return _Pairs(x, y, outputs.astype(np.int64), (operator.activation_min, operator.activation_max))

    def sums(self, exponent: int) -> _Bounds:
        """What x * p + y * q + r may be for the right outputs, without leaving an i32."""
        low, high = self.clamp
        least = np.where(self.outputs > low, self.outputs << exponent, INT32_MIN)
        most = np.where(self.outputs < high, ((self.outputs + 1) << exponent) - 1, INT32_MAX)
        return _Bounds(self.x, self.y, least, most)

    def are_right(self, factors: tuple[int, int], offset: int, exponent: int) -> bool:
        """Whether all pairs give their outputs, and every number is an i32."""
        sums = self.x * factors[0] + self.y * factors[1] + offset
        fits = all(INT32_MIN <= number <= INT32_MAX for number in (*factors, offset, int(sums.min()), int(sums.max())))
        return fits and bool(np.all(np.clip(sums >> exponent, *self.clamp) == self.outputs))


def _roomiest(near: tuple[int, int], sums: _Bounds) -> tuple[tuple[int, int], int] | None:
    """Of the p and q that are near and possible, those that leave r the widest range, and r from its middle."""
    base = sums.x * near[0] + sums.y * near[1]
    least, most = sums.least - base, sums.most - base  # of r, for p and q themselves
    reach = 2 * 128 * (_NARROW + _WIDE)  # other pairs never set the bounds: p and q move a bound by half of it
    lower, upper = least >= least.max() - reach, most <= most.min() + reach
    edges = (sums.x[lower], sums.y[lower], least[lower]), (sums.x[upper], sums.y[upper], most[upper])

    def room(wide_axis: int, narrow: int, wide: int) -> tuple[int, int, int, int]:
        dp, dq = (wide, narrow) if wide_axis == 0 else (narrow, wide)
        (x, y, low), (x2, y2, high) = edges
        first, last = int((low - x * dp - y * dq).max()), int((high - x2 * dp - y2 * dq).min())
        return last - first, near[0] + dp, near[1] + dq, (first + last) // 2

    for wide_axis in (0, 1):
        best = max(_highest(partial(room, wide_axis, narrow)) for narrow in range(-_NARROW, _NARROW + 1))
        if best[0] >= 0:
            return best[1:3], best[3]
    return None


def _highest(room: Callable[[int], tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    """The roomiest of -_WIDE .. _WIDE: the room is a concave function, since it is the least of linear ones."""
    first, last = -_WIDE, _WIDE
    while first < last:
        middle = (first + last) // 2
        if room(middle)[0] < room(middle + 1)[0]:
            first = middle + 1
        else:
            last = middle
    return room(first)
