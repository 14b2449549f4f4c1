"""How often each step of an operator's kernel runs on a Cortex-M0+: what its cycles are made of.

A step is a piece of a kernel that takes about the same time whenever it runs; plan/cost.py multiplies and adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from smidgen.network import (
    CopyOperator,
    Kind,
    LinearAddOperator,
    Network,
    NetworkOperator,
    PadOperator,
    PoolOperator,
    WeightedOperator,
    WindowParameters,
)
from smidgen.plan.cost_pairs import PairSteps
from smidgen.plan.execution import Execution
from smidgen.plan.kernels import GROUP_CHANNELS, PAIRS, STREAMED
from smidgen.plan.weights import LOOKUP_BITS, coded_symbol_counts
from smidgen.zero_runs import run_bits, zero_runs

_UNIT_BITS = 16

Steps = Counter[str]


def operator_steps(network: Network, index: int, execution: Execution | None) -> Steps:
    """How often each step of operator `index` runs, by the step's name. execution: of operators with weights."""
    operator = network.operators[index]
    steps: Steps = Counter({"operator": 1})
    if isinstance(operator, WeightedOperator):
        assert execution is not None
        passes = _weighted(network, operator, execution, steps)
        _decoding(operator, execution, passes, steps)
    else:
        _OTHERS[operator.kind](network, operator, steps)
    return +steps  # without those that never run


def _weighted(network: Network, operator: WeightedOperator, execution: Execution, steps: Steps) -> float:
    """Counts the steps without those of decoding; returns how often the weights are decoded."""
    if operator.kind == Kind.FULLY_CONNECTED:
        _dense(network, operator, execution, steps)
        return 1.0
    if execution.kernel == PAIRS:
        pairs = PairSteps(network, operator, execution.zero_runs > 0)
        steps += pairs.count(execution)
        return pairs.passes(execution)
    _plain_convolution(network, operator, steps)
    return 1.0


def _dense(network: Network, operator: WeightedOperator, execution: Execution, steps: Steps) -> None:
    """Output channels are computed in groups of four; fewer in the last group take plain loops."""
    name = f"FULLY_CONNECTED kernel {execution.kernel}"
    channels, per_channel = operator.weights.shape
    rows = network.tensors[operator.output].elements // channels
    rest = channels % GROUP_CHANNELS
    if execution.kernel == STREAMED and execution.zero_runs:
        steps[f"{name}: product of a weight behind zeros"] += int(np.count_nonzero(operator.weights))
        steps[f"{name}: output"] += rows * channels
        return
    steps[f"{name}: product"] += rows * (channels - rest) * per_channel
    steps[f"{name}: product of the last channels"] += rows * rest * per_channel
    steps[f"{name}: group of channels"] += rows * (channels // GROUP_CHANNELS)
    steps[f"{name}: output"] += rows * channels


def _decoding(operator: WeightedOperator, execution: Execution, passes: float, steps: Steps) -> None:
    if execution.table is None:
        return
    counts, lengths = coded_symbol_counts(operator.weights, execution.zero_runs), execution.table.lengths
    steps["code table opened"] += 1
    steps["symbol of a code table opened"] += execution.table.used_symbols
    bits = float(np.sum(counts * lengths))
    if execution.zero_runs:
        runs = zero_runs(operator.weights)
        low_bits = execution.zero_runs - 1
        bits += run_bits(runs, low_bits)
        steps["run decoded"] += round(passes * len(runs))
        steps["unit of a run decoded"] += round(passes * np.sum(runs >> low_bits))
        steps["channel with zero runs decoded"] += round(passes * operator.channels)
        if operator.kind != Kind.FULLY_CONNECTED or execution.kernel != STREAMED:
            steps["weight cleared"] += round(passes * operator.weights.size)
    else:
        steps["weight decoded"] += round(passes * counts.sum())
    steps["16 bits decoded"] += round(passes * bits / _UNIT_BITS)
    steps["long code decoded"] += round(passes * counts[lengths > LOOKUP_BITS].sum())


def _taps_inside(size: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Taps inside the input along one dimension, over all output positions."""
    taps = np.arange(count)[:, None] * stride - padding + np.arange(kernel) * dilation
    return int(np.count_nonzero((taps >= 0) & (taps < size)))


def _window_taps(network: Network, operator: NetworkOperator, window: WindowParameters) -> tuple[int, int]:
    """Rows of taps inside the input, and taps, over all output positions of one channel."""
    source, result = network.tensors[operator.input].dimensions, network.tensors[operator.output].dimensions
    rows, columns = (
        _taps_inside(
            source[1 + axis],
            result[1 + axis],
            window.kernel[axis],
            window.stride[axis],
            window.padding[axis],
            window.dilation[axis],
        )
        for axis in (0, 1)
    )
    return rows * result[2], rows * columns


def _plain_convolution(network: Network, operator: WeightedOperator, steps: Steps) -> None:
    """Every tap of the window takes its time, those outside the input a little less."""
    assert operator.window is not None
    _, inside = _window_taps(network, operator, operator.window)
    name = f"{operator.kind.name} kernel 0"
    outputs = network.tensors[operator.output].elements
    rows, columns = operator.window.kernel
    steps[f"{name}: output"] += outputs
    steps[f"{name}: row of taps"] += outputs * rows
    steps[f"{name}: tap"] += outputs * rows * columns
    steps[f"{name}: tap inside the input"] += operator.channels * inside
    if operator.kind == Kind.CONV_2D:
        steps[f"{name}: product"] += network.macs(operator)


def _add(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    if not isinstance(operator, LinearAddOperator):
        _elementwise(network, operator, steps)
        return
    elements = network.tensors[operator.output].elements
    run = network.tensors[operator.input2].elements if operator.repeat == 1 else operator.repeat
    steps["ADD kernel 1: element"] += elements
    steps["ADD kernel 1: run of elements"] += elements // run


def _elementwise(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    steps[f"{operator.kind.name}: element"] += network.tensors[operator.output].elements


def _pool(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    assert isinstance(operator, PoolOperator)
    result = network.tensors[operator.output]
    rows, taps = _window_taps(network, operator, operator.window)
    name = operator.kind.name
    steps[f"{name}: output"] += result.elements
    steps[f"{name}: row of taps"] += result.dimensions[3] * rows
    steps[f"{name}: tap"] += result.dimensions[3] * taps


def _mean(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    steps["MEAN: element"] += network.tensors[operator.input].elements
    steps["MEAN: output"] += network.tensors[operator.output].elements


def _pad(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    assert isinstance(operator, PadOperator)
    _, height, width, _ = network.tensors[operator.input].dimensions
    steps["PAD: element"] += network.tensors[operator.output].elements
    steps["PAD: pixel"] += height * width


def _copy(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    assert isinstance(operator, CopyOperator)
    elements = network.tensors[operator.input].elements
    steps["COPY: element"] += elements
    steps["COPY: row"] += elements // operator.chunk


def _softmax(network: Network, operator: NetworkOperator, steps: Steps) -> None:
    tensor = network.tensors[operator.output]
    steps["SOFTMAX: element"] += tensor.elements
    steps["SOFTMAX: row"] += tensor.elements // tensor.dimensions[3]


_OTHERS: dict[Kind, Callable[[Network, NetworkOperator, Steps], None]] = {
    Kind.ADD: _add,
    Kind.MUL: _elementwise,
    Kind.AVERAGE_POOL_2D: _pool,
    Kind.MAX_POOL_2D: _pool,
    Kind.MEAN: _mean,
    Kind.PAD: _pad,
    Kind.COPY: _copy,
    Kind.LOOKUP: _elementwise,
    Kind.SOFTMAX: _softmax,
}
