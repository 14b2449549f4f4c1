"""Multipliers that end in zero bits and give the same outputs: cheaper to multiply with, exact for every accumulator.

An output depends on the accumulator only through the least accumulator that gives each output value, its thresholds
(requantisation is monotonic where the shift is not positive). The multipliers with the same thresholds are an interval;
the one in it that ends in the most zero bits is taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, NetworkOperator, WeightedOperator
from smidgen.plan.thumb_code import FAST_SHIFTS, is_fast
from smidgen.requantization import INT32_MAX

_LEAST = 2**30
_CONVOLUTIONS = (Kind.CONV_2D, Kind.DEPTHWISE_CONV_2D)


def shorten_multipliers(network: Network) -> Network:
    """The network with short multipliers in its convolutions wherever there are any."""
    return replace(network, operators=[_shorten(network, operator) for operator in network.operators])


def _shorten(network: Network, operator: NetworkOperator) -> NetworkOperator:
    if not isinstance(operator, WeightedOperator) or operator.kind not in _CONVOLUTIONS:
        return operator
    zero_point = network.tensors[operator.output].zero_point
    low, high = operator.activation_min - zero_point, operator.activation_max - zero_point
    numbers = zip(operator.multiplier.tolist(), operator.shift.tolist(), strict=True)
    shorter = [short_multiplier(multiplier, shift, low, high) for multiplier, shift in numbers]
    return replace(operator, multiplier=np.array(shorter, operator.multiplier.dtype))


def short_multiplier(multiplier: int, shift: int, low: int, high: int) -> int:
    """A multiplier with the same results for every accumulator, clamped to low .. high, that compiled code can use.

    The multiplier itself if there is none.
    """
    if shift not in FAST_SHIFTS or multiplier < _LEAST:
        return multiplier
    first, last = equivalent_multipliers(multiplier, shift, low, high)
    shorter = _roundest(first, last)
    return shorter if is_fast(shorter, shift) else multiplier


def equivalent_multipliers(multiplier: int, shift: int, low: int, high: int) -> tuple[int, int]:
    """The first and the last multiplier from 2^30 on that give the same results, clamped to low .. high.

    multiplier is at least 2^30, shift -10 .. 0.
    """
    products = _threshold_products(-shift, np.arange(low + 1, high + 1, dtype=np.int64))
    thresholds = -(-products // multiplier)
    # What keeps ceil(product / m) the same: (threshold - 1) * m < product <= threshold * m.
    first = [_LEAST]
    last = [INT32_MAX]
    positive = thresholds > 0
    above, least = products[positive], thresholds[positive]
    first += (-(-above // least)).tolist()
    last += (-(-above[least > 1] // (least[least > 1] - 1)) - 1).tolist()
    below, least = products[~positive], thresholds[~positive]
    first += (below // (least - 1) + 1).tolist()
    last += (below[least < 0] // least[least < 0]).tolist()
    return max(first), min(last)


def _threshold_products(right: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """What accumulator * multiplier must reach at least for the result to reach each value.

    Both roundings of section 3: the second one takes halves away from zero, the first one upwards.
    """
    rounded = values << right
    if right > 0:
        rounded -= (1 << (right - 1)) - (values <= 0)
    return (rounded << 31) - (1 << 30)


def _roundest(first: int, last: int) -> int:
    """The number in first .. last that ends in the most zero bits."""
    for bits in range(30, 0, -1):
        candidate = -(-first >> bits) << bits
        if candidate <= last:
            return candidate
    return first
