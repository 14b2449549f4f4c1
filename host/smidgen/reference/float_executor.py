"""Runs a float32 graph with NumPy on many samples at once, keeping every activation.

Calibration, and the comparison of a quantised network with the model it came from, need the real values of
every tensor. An activation of declared shape S is held as an array [samples, *S]. Results equal those of
TFLite's float kernels up to the rounding of float32 sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen import graph as g
from smidgen.errors import InputError, ModelError

Floats = NDArray[np.float32]


def run_float(graph: g.Graph, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """Every activation of a float graph by name, each [samples, *shape].

    inputs: for each network input, by name, an array [samples, *shape] with the same number of samples.
    Raises InputError where an input is missing or has another shape, ModelError for an int8 graph.
    """
    values = starting_values(graph, inputs)
    for _ in run_float_steps(graph, values):
        pass
    return {tensor.name: values[tensor.name] for tensor in graph.activations()}


def starting_values(graph: g.Graph, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """The inputs as [samples, *shape] float32, after checking them against the graph."""
    values: dict[str, Floats] = {}
    for name in graph.inputs:
        if name not in inputs:
            raise InputError(f"no data for input {name!r}; there is data for: {', '.join(map(repr, inputs)) or 'none'}")
        array, shape = np.asarray(inputs[name]), graph.tensors[name].shape
        if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            wanted = ", ".join(map(str, shape))
            raise InputError(f"input {name!r} must have shape [samples, {wanted}], it has {list(array.shape)}")
        values[name] = np.ascontiguousarray(array, np.float32)
    counts = {name: len(array) for name, array in values.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"the inputs have different numbers of samples: {counts}")
    return values


def run_float_steps(graph: g.Graph, values: dict[str, Floats]) -> Iterator[tuple[g.Operator, Floats]]:
    """Run operator by operator, adding each result to `values` and yielding it after that.

    The caller may replace or remove entries of `values` between steps.
    """
    for operator in graph.operators:
        values[operator.output] = run_float_operator(graph, operator, values)
        yield operator, values[operator.output]


def run_float_operator(graph: g.Graph, operator: g.Operator, values: Mapping[str, Floats]) -> Floats:
    """Result of one operator, [samples, *shape of its output]."""
    kernel = _KERNELS.get(type(operator))
    if kernel is None or graph.tensors[operator.output].dtype != np.float32:
        where = operator.source or f"the operator that writes {operator.output!r}"
        raise ModelError(f"{where} {operator.kind}: not part of a float32 graph")
    arguments = [_operand(graph, name, values) for name in operator.inputs]
    result = kernel(graph, operator, *arguments)
    return result.reshape(len(arguments[0]), *graph.tensors[operator.output].shape)


def weighted_sums(graph: g.Graph, operator: g.Weighted, x: Floats) -> Floats:
    """Output of CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED before its activation; x: [samples, *shape]."""
    sums = _SUMS[type(operator)](graph, operator, x)
    return sums if operator.bias is None else sums + graph.constant(operator.bias).reshape(-1)


def _operand(graph: g.Graph, name: str, values: Mapping[str, Floats]) -> Floats:
    """An activation, or a constant as a single sample, which broadcasts over all samples."""
    tensor = graph.tensors[name]
    return values[name] if tensor.data is None else tensor.data.astype(np.float32)[None]


def _activate(values: Floats, activation: g.Activation) -> Floats:
    low, high = activation.bounds
    return values if activation == g.Activation.NONE else np.clip(values, low, high)


# Windows


def _windows(graph: g.Graph, operator: g.Window, x: Floats, kernel: tuple[int, int], filler: float) -> NDArray[Any]:
    """View of the elements under the window: [samples, out height, out width, channels, kernel height, kernel width].

    Elements outside the input read `filler`. The output's declared size says how far the window goes.
    """
    x = x.reshape(len(x), *x.shape[-3:])
    dilation = getattr(operator, "dilation", (1, 1))
    out = graph.tensors[operator.output].shape[-3:-1]
    before, pads = (operator.padding.top, operator.padding.left), []
    for axis in range(2):
        reach = (out[axis] - 1) * operator.stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        pads.append((before[axis], max(reach - before[axis] - x.shape[1 + axis], 0)))
    if any(pad != (0, 0) for pad in pads):
        x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=filler)
    spans = tuple((kernel[axis] - 1) * dilation[axis] + 1 for axis in range(2))
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))  # type: ignore[call-overload,unused-ignore]
    strided = view[:, :: operator.stride[0], :: operator.stride[1], :, :: dilation[0], :: dilation[1]]
    return np.asarray(strided[:, : out[0], : out[1]])


def _unfold(graph: g.Graph, operator: g.Conv2D, x: Floats) -> Floats:
    """im2col: the taps of every output position, [samples * positions, kernel height * kernel width * channels]."""
    weights = graph.tensors[operator.weights].shape
    taps = _windows(graph, operator, x, (weights[1], weights[2]), 0.0)
    return np.ascontiguousarray(taps.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, weights[1] * weights[2] * weights[3])


def _conv_2d_sums(graph: g.Graph, operator: g.Conv2D, x: Floats) -> Floats:
    weights = graph.constant(operator.weights)
    sums = _unfold(graph, operator, x) @ weights.reshape(weights.shape[0], -1).T
    shaped: Floats = sums.reshape(len(x), *graph.tensors[operator.output].shape)
    return shaped


def _depthwise_conv_2d_sums(graph: g.Graph, operator: g.DepthwiseConv2D, x: Floats) -> Floats:
    """Tap by tap: each is one multiplication of whole images."""
    weights = graph.constant(operator.weights)[0]
    taps = _windows(graph, operator, x, weights.shape[:2], 0.0)
    multiplier = weights.shape[2] // taps.shape[3]
    sums = np.zeros((*taps.shape[:3], weights.shape[2]), np.float32)
    for row in range(weights.shape[0]):
        for column in range(weights.shape[1]):
            tap = taps[..., row, column]
            sums += (np.repeat(tap, multiplier, axis=3) if multiplier > 1 else tap) * weights[row, column]
    return sums.reshape(len(x), *graph.tensors[operator.output].shape)


def _fully_connected_sums(graph: g.Graph, operator: g.FullyConnected, x: Floats) -> Floats:
    weights = graph.constant(operator.weights)
    sums = x.reshape(-1, weights.shape[1]) @ weights.T
    return np.asarray(sums.reshape(len(x), *graph.tensors[operator.output].shape))


_SUMS: dict[type[g.Operator], Callable[..., Floats]] = {
    g.Conv2D: _conv_2d_sums,
    g.DepthwiseConv2D: _depthwise_conv_2d_sums,
    g.FullyConnected: _fully_connected_sums,
}


def _weighted(graph: g.Graph, operator: g.Conv2D | g.DepthwiseConv2D | g.FullyConnected, x: Floats) -> Floats:
    return _activate(weighted_sums(graph, operator, x), operator.activation)


def _max_pool_2d(graph: g.Graph, operator: g.MaxPool2D, x: Floats) -> Floats:
    return _activate(_windows(graph, operator, x, operator.kernel, -np.inf).max(axis=(4, 5)), operator.activation)


def _average_pool_2d(graph: g.Graph, operator: g.AveragePool2D, x: Floats) -> Floats:
    """Mean of the elements inside the input; padding does not count."""
    sums = _windows(graph, operator, x, operator.kernel, 0.0).sum(axis=(4, 5))
    ones = np.ones((1, *x.shape[-3:-1], 1), np.float32)
    counts = _windows(graph, operator, ones, operator.kernel, 0.0).sum(axis=(4, 5))
    return _activate(sums / counts, operator.activation)


# Element by element, and over axes


def _binary(function: Callable[[Floats, Floats], Floats]) -> Callable[..., Floats]:
    def run(graph: g.Graph, operator: g.Add | g.Mul, x: Floats, y: Floats) -> Floats:
        return _activate(function(*_aligned(graph.tensors[operator.output], x, y)), operator.activation)

    return run


def _aligned(output: g.Tensor, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Operands whose shapes broadcast with the sample axis in front."""
    if x[0].size == y[0].size == output.elements:
        return x.reshape(len(x), *output.shape), y.reshape(len(y), *output.shape)
    rank = max(x.ndim, y.ndim)
    wide = [array.reshape(len(array), *(1,) * (rank - array.ndim), *array.shape[1:]) for array in (x, y)]
    return wide[0], wide[1]


def _mean(graph: g.Graph, operator: g.Mean, x: Floats) -> Floats:
    return np.asarray(x.mean(axis=tuple(axis + 1 for axis in operator.axes), dtype=np.float32))


def _pad(graph: g.Graph, operator: g.Pad, x: Floats) -> Floats:
    return np.pad(x, ((0, 0), *operator.paddings))


def _concatenation(graph: g.Graph, operator: g.Concatenation, *arrays: Floats) -> Floats:
    rank = len(graph.tensors[operator.output].shape)
    return _activate(np.concatenate(arrays, axis=1 + operator.axis % rank), operator.activation)


def _softmax(graph: g.Graph, operator: g.Softmax, x: Floats) -> Floats:
    exponentials = np.exp(operator.beta * (x - x.max(axis=-1, keepdims=True)))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


def _logistic(graph: g.Graph, operator: g.Logistic, x: Floats) -> Floats:
    """1 / (1 + exp(-x)), written with tanh because that cannot overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)


_KERNELS: dict[type[g.Operator], Callable[..., Floats]] = {
    g.Conv2D: _weighted,
    g.DepthwiseConv2D: _weighted,
    g.FullyConnected: _weighted,
    g.Add: _binary(np.add),
    g.Mul: _binary(np.multiply),
    g.AveragePool2D: _average_pool_2d,
    g.MaxPool2D: _max_pool_2d,
    g.Mean: _mean,
    g.Pad: _pad,
    g.Concatenation: _concatenation,
    g.Reshape: lambda graph, operator, x: x,
    g.Softmax: _softmax,
    g.Logistic: _logistic,
    g.Relu: lambda graph, operator, x: np.maximum(x, 0),
    g.Relu6: lambda graph, operator, x: np.clip(x, 0, 6),
}
