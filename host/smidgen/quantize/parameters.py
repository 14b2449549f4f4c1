"""Scale and zero point of every activation, from observed ranges and from what the arithmetic can express."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from smidgen.graph import Add, FullyConnected, Graph, Logistic, Mean, Mul, Operator, Quantization, Softmax, Weighted
from smidgen.quantize.ranges import Observation
from smidgen.quantize.sharing import FIXED_OUTPUT, Groups

LOGISTIC_LIMIT = 8.0  # LOGISTIC's int8 output no longer changes beyond +-ln(511) = 6.24
_SMALLEST_SCALE = 2.0**-60  # far above where float32 loses digits; smaller values count as zero
_SCALE_BITS = 12
_LARGEST_FACTOR = 2.0**16  # of requantisation; the arithmetic's limit is 2**30
_LARGEST_ADD_RATIO = 2.0**18  # 2 * largest input scale / output scale; the limit is 2**20
_SMALLEST_SOFTMAX_INPUT = 2.0**-20  # beta * input scale; the limit is 2**-27
_MAX_SWEEPS = 8


def short_scale(scale: float) -> float:
    """The next larger number of 12 significant bits.

    The product of two such scales is exact in single precision. TFLite multiplies the scales of input and weights of
    FULLY_CONNECTED in single precision, TFLM in double precision; with an exact product both find the same multiplier.
    """
    mantissa, exponent = math.frexp(scale)
    return math.ldexp(math.ceil(math.ldexp(mantissa, _SCALE_BITS)), exponent - _SCALE_BITS)


def scale_for(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point with which int8 covers low .. high, low <= 0 <= high; real zero is exact.

    A tensor that is always zero gets scale 1.
    """
    if high <= low:
        return 1.0, 0
    scale = float(np.float32(max((high - low) / 255, _SMALLEST_SCALE)))
    return scale, int(min(max(round(-128 - low / scale), -128), 127))


def choose_parameters(
    graph: Graph, groups: Groups, observations: Mapping[str, Observation], method: str
) -> dict[str, Quantization]:
    """Quantization of every activation of a float graph, with ranges chosen by `method`."""
    ranges: dict[str, tuple[float, float]] = {}
    for tensor in graph.activations():
        if tensor.name not in groups.derived:
            leader = groups.leader(tensor.name)
            low, high = _range(graph, tensor.name, observations[tensor.name], method)
            known = ranges.get(leader, (0.0, 0.0))
            ranges[leader] = min(known[0], low), max(known[1], high)
    chosen = {leader: scale_for(low, high) for leader, (low, high) in ranges.items()}
    for leader in groups.fixed:
        chosen[leader] = float(FIXED_OUTPUT.scale[0]), int(FIXED_OUTPUT.zero_point[0])
    _raise_scales(graph, groups, ranges, chosen)
    _shorten_scales(graph, groups, chosen)
    return {t.name: Quantization.per_tensor(*chosen[groups.leader(t.name)]) for t in graph.activations()}


def _range(graph: Graph, name: str, observation: Observation, method: str) -> tuple[float, float]:
    low, high = observation.range(method)
    readers = graph.consumers(name)
    if readers and name not in graph.outputs and all(isinstance(reader, Logistic) for reader in readers):
        return max(low, -LOGISTIC_LIMIT), min(high, LOGISTIC_LIMIT)
    return low, high


def _raise_scales(
    graph: Graph, groups: Groups, ranges: Mapping[str, tuple[float, float]], chosen: dict[str, tuple[float, int]]
) -> None:
    """Make scales larger where a factor between input and output would not fit the arithmetic.

    A raised scale can ask for others to be raised, hence the sweeps.
    """
    for _ in range(_MAX_SWEEPS):
        changed = False
        for operator in graph.operators:
            for name, floor in _floors(graph, groups, operator, chosen):
                leader = groups.leader(name)
                if leader in groups.fixed or chosen[leader][0] >= floor:
                    continue
                low, _ = ranges[leader]
                scale = float(np.nextafter(np.float32(floor), np.float32(np.inf)))
                chosen[leader] = scale, int(min(max(round(-128 - low / scale), -128), 127))
                changed = True
        if not changed:
            return


def _shorten_scales(graph: Graph, groups: Groups, chosen: dict[str, tuple[float, int]]) -> None:
    """Give the inputs of FULLY_CONNECTED short scales; a range becomes wider by less than 0.05 %."""
    for operator in graph.operators:
        if isinstance(operator, FullyConnected):
            leader = groups.leader(operator.inputs[0])
            scale, zero_point = chosen[leader]
            chosen[leader] = short_scale(scale), zero_point


def _floors(
    graph: Graph, groups: Groups, operator: Operator, chosen: Mapping[str, tuple[float, int]]
) -> list[tuple[str, float]]:
    """Smallest scales that tensors round `operator` may have."""
    scales = [_scale(graph, groups, name, chosen) for name in operator.inputs]
    match operator:
        case Weighted():
            largest = np.abs(graph.constant(operator.weights)).max() / 127
            return [(operator.output, scales[0] * float(largest) / _LARGEST_FACTOR)]
        case Add():
            return [(operator.output, 2 * max(scales) / _LARGEST_ADD_RATIO)]
        case Mul():
            return [(operator.output, math.prod(scales) / _LARGEST_FACTOR)]
        case Mean():
            return [(operator.output, scales[0] / _LARGEST_FACTOR)]
        case Softmax():
            return [(operator.inputs[0], _SMALLEST_SOFTMAX_INPUT / operator.beta)]
        case _:
            return []


def _scale(graph: Graph, groups: Groups, name: str, chosen: Mapping[str, tuple[float, int]]) -> float:
    data = graph.tensors[name].data
    if data is None:
        return chosen[groups.leader(name)][0]
    return scale_for(min(float(data.min()), 0.0), max(float(data.max()), 0.0))[0]
