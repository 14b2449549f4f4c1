"""Lowers a quantised typed graph to the integer network: every scale becomes a multiplier and a shift.

The formulas are those with which TFLite's interpreters prepare their int8 reference kernels, in the same
floating-point types, because the last bit of a multiplier matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen import graph as g
from smidgen import network as n
from smidgen.errors import ModelError
from smidgen.reference.logistic import logistic_table
from smidgen.requantization import INT32_MAX, quantize_multiplier, requantize, round_half_away

_ADD_LEFT_SHIFT = 20
_SOFTMAX_INTEGER_BITS = 5
_SOFTMAX_ROW_LIMIT = 4095
_MAX_RANK = 4
_MAX_DIMENSION = 0xFFFF


def lower(graph: g.Graph) -> n.Network:
    """The integer network of an int8 graph. Raises ModelError where a number does not fit the arithmetic."""
    if not graph.is_quantized:
        raise ModelError(f"{graph.name or 'the model'} is a float model; quantise it first (give calibration data)")
    return _Lowering(graph).run()


class _Lowering:
    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.tensors: list[n.NetworkTensor] = []
        self.indices: dict[str, int] = {}
        self.operators: list[n.NetworkOperator] = []

    def run(self) -> n.Network:
        inputs = list(dict.fromkeys(self.graph.inputs))
        outputs = list(dict.fromkeys(self.graph.outputs))
        for name in outputs:
            if self.graph.producer(name) is None:
                raise ModelError(f"output {name!r} is not computed by any operator; there is nothing to run for it")
        for name in inputs + outputs:
            self.index(name)
        for operator in self.graph.operators:
            try:
                _LOWER[type(operator)](self, operator)
            except (ValueError, KeyError) as error:
                raise ModelError(f"{operator.source or operator.output} {operator.kind}: {error}") from error
        metadata = dict(self.graph.metadata)
        if uint8 := metadata.pop("uint8_tensors", None):
            metadata["uint8_tensors"] = [self.indices[name] for name in uint8]
        if own_shapes := metadata.pop("channels_first", None):
            metadata["channels_first"] = {str(self.indices[name]): shape for name, shape in own_shapes.items()}
        return n.Network(self.tensors, self.operators, len(inputs), len(outputs), metadata)

    def index(self, name: str) -> int:
        """Index of tensor `name` in the network, adding it when it is new."""
        if name not in self.indices:
            tensor = self.graph.tensors[name]
            _check_shape(tensor)
            scale, zero_point = _per_tensor(tensor)
            data = None if tensor.data is None else tensor.data.astype(np.int8)
            self.indices[name] = len(self.tensors)
            self.tensors.append(n.NetworkTensor(tensor.shape or (1,), scale, zero_point, data, name))
        return self.indices[name]

    def edges(self, operator: g.Operator) -> dict[str, Any]:
        """The tensor indices of an operator with one input."""
        return {"input": self.index(operator.inputs[0]), "output": self.index(operator.output)}

    def scale(self, name: str) -> float:
        return _per_tensor(self.graph.tensors[name])[0]

    def clamp(self, activation: g.Activation, output: str) -> dict[str, int]:
        """The fused activation as a clamp of int8 values."""
        low, high = activation_clamp(activation, *_per_tensor(self.graph.tensors[output]))
        if low > high:
            raise ValueError(f"activation {activation.value} leaves no value in the range of output {output!r}")
        return {"activation_min": low, "activation_max": high}


def activation_clamp(activation: g.Activation, scale: float, zero_point: int) -> tuple[int, int]:
    """The least and the largest int8 output (TFLite's CalculateActivationRangeQuantized)."""
    low, high = activation.bounds
    bounds = [-128, 127]
    if math.isfinite(low):
        bounds[0] = max(-128, zero_point + int(round_half_away(np.float32(low) / np.float32(scale))))
    if math.isfinite(high):
        bounds[1] = min(127, zero_point + int(round_half_away(np.float32(high) / np.float32(scale))))
    return bounds[0], bounds[1]


def _check_shape(tensor: g.Tensor) -> None:
    """What a tensor record of a blob can hold."""
    shape = tensor.shape or (1,)
    if len(shape) > _MAX_RANK or min(shape) < 1 or max(shape) > _MAX_DIMENSION:
        raise ModelError(
            f"tensor {tensor.name!r} is {list(shape)}; blobs hold {_MAX_RANK} dimensions of 1 to {_MAX_DIMENSION}"
        )


def _per_tensor(tensor: g.Tensor) -> tuple[float, int]:
    quantization = tensor.quantization
    if quantization is None:
        raise ModelError(f"tensor {tensor.name!r} has no scale")
    return float(quantization.scale[0]), int(quantization.zero_point[0])


def _factors(reals: Any) -> dict[str, Any]:
    pairs = [quantize_multiplier(float(real)) for real in np.atleast_1d(reals)]
    return {
        "multiplier": np.array([multiplier for multiplier, _ in pairs], np.int32),
        "shift": np.array([shift for _, shift in pairs], np.int32),
    }


def _weighted(lowering: _Lowering, operator: Any, weights: g.Array, reals: Any, window: Any) -> None:
    bias = None if operator.bias is None else lowering.graph.constant(operator.bias).reshape(-1).astype(np.int32)
    if bias is not None and not np.any(bias):
        bias = None
    clamp: dict[str, Any] = lowering.clamp(operator.activation, operator.output)
    lowering.operators.append(
        n.WeightedOperator(
            n.Kind[operator.kind],
            **lowering.edges(operator),
            **clamp,
            weights=np.ascontiguousarray(weights, np.int8),
            bias=bias,
            window=window,
            **_factors(reals),
        )
    )


def _weight_factors(lowering: _Lowering, operator: g.Weighted) -> Any:
    """input scale * weight scale / output scale, in double precision, for each channel or for all."""
    quantization = lowering.graph.tensors[operator.weights].quantization
    assert quantization is not None
    product = lowering.scale(operator.inputs[0]) * quantization.scale.astype(np.float64)
    return product / lowering.scale(operator.output)


def _window_of(operator: Any, kernel: tuple[int, int], dilation: tuple[int, int]) -> n.WindowParameters:
    return n.WindowParameters(kernel, operator.stride, dilation, (operator.padding.top, operator.padding.left))


def _conv_2d(lowering: _Lowering, operator: g.Conv2D) -> None:
    weights = lowering.graph.constant(operator.weights)
    window = _window_of(operator, (weights.shape[1], weights.shape[2]), operator.dilation)
    reals = _weight_factors(lowering, operator)
    _weighted(lowering, operator, weights.reshape(weights.shape[0], -1), reals, window)


def _depthwise_conv_2d(lowering: _Lowering, operator: g.DepthwiseConv2D) -> None:
    weights = lowering.graph.constant(operator.weights)
    window = _window_of(operator, (weights.shape[1], weights.shape[2]), operator.dilation)
    reals = _weight_factors(lowering, operator)
    _weighted(lowering, operator, weights[0].reshape(-1, weights.shape[3]).T, reals, window)


def _fully_connected(lowering: _Lowering, operator: g.FullyConnected) -> None:
    reals = _weight_factors(lowering, operator)
    _weighted(lowering, operator, lowering.graph.constant(operator.weights), reals, None)


def _binary(lowering: _Lowering, operator: g.Add | g.Mul) -> None:
    graph = lowering.graph
    output = graph.tensors[operator.output]
    first, second = operator.inputs
    if graph.tensors[first].is_constant or graph.tensors[first].elements != output.elements:
        first, second = second, first
    repeat = _broadcast_repeat(graph.tensors[first].shape, graph.tensors[second].shape, output)
    scales = lowering.scale(first), lowering.scale(second), lowering.scale(operator.output)
    reals = [scales[0] * scales[1] / scales[2]] if isinstance(operator, g.Mul) else add_factors(*scales)
    pairs = [quantize_multiplier(real) for real in reals]
    if isinstance(operator, g.Add) and any(shift > 0 for _, shift in pairs):
        raise ValueError(
            f"the output scale {scales[2]:g} is too small for input scales {scales[0]:g} and {scales[1]:g}"
        )
    lowering.operators.append(
        n.BinaryOperator(
            n.Kind[operator.kind],
            lowering.index(first),
            lowering.index(operator.output),
            **lowering.clamp(operator.activation, operator.output),
            input2=lowering.index(second),
            repeat=repeat,
            multipliers=tuple(multiplier for multiplier, _ in pairs),
            shifts=tuple(shift for _, shift in pairs),
        )
    )


def add_factors(first: float, second: float, output: float) -> list[float]:
    """The factors of ADD's operands, each shifted left by 20 bits, and of their sum, from three scales."""
    twice_largest = 2 * max(first, second)
    return [first / twice_largest, second / twice_largest, twice_largest / ((1 << _ADD_LEFT_SHIFT) * output)]


def _broadcast_repeat(first: tuple[int, ...], second: tuple[int, ...], output: g.Tensor) -> int:
    """How often each element of the second operand is used in a row; see BinaryOperator."""
    elements, other = math.prod(first), math.prod(second)
    if elements != output.elements:
        raise ValueError(f"broadcasting both operands ({list(first)} and {list(second)}) is not supported")
    if other == elements:
        return 1
    rank = max(len(first), len(second))
    wide, narrow = (1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second
    used = [axis for axis in range(rank) if narrow[axis] > 1]
    if any(narrow[axis] != wide[axis] for axis in used):
        raise ValueError(f"shapes {list(first)} and {list(second)} cannot be broadcast")
    if not used:
        return 1
    inside = [axis for axis in range(used[0], used[-1] + 1) if wide[axis] > 1]
    if inside != [axis for axis in used if wide[axis] > 1]:
        raise ValueError(
            f"broadcasting {list(second)} over {list(first)} is not supported: its axes are not neighbours"
        )
    return math.prod(wide[used[-1] + 1 :])


def _pool_2d(lowering: _Lowering, operator: g.AveragePool2D | g.MaxPool2D) -> None:
    lowering.operators.append(
        n.PoolOperator(
            n.Kind[operator.kind],
            **lowering.edges(operator),
            **lowering.clamp(operator.activation, operator.output),
            window=_window_of(operator, operator.kernel, (1, 1)),
        )
    )


def _mean(lowering: _Lowering, operator: g.Mean) -> None:
    shape = lowering.graph.tensors[operator.inputs[0]].shape
    real = [axis for axis in operator.axes if shape[axis] > 1]
    inner = math.prod(shape[real[-1] + 1 :]) if real else 1
    count = math.prod(shape[axis] for axis in operator.axes)
    multiplier, shift = mean_factor(lowering.scale(operator.inputs[0]), lowering.scale(operator.output), count)
    lowering.operators.append(
        n.MeanOperator(n.Kind.MEAN, **lowering.edges(operator), inner=inner, multiplier=multiplier, shift=shift)
    )


def mean_factor(scale: float, output_scale: float, count: int) -> tuple[int, int]:
    """Multiplier and shift of scale / (output_scale * count), as TFLite forms them from those without the count."""
    multiplier, shift = quantize_multiplier(scale / output_scale)
    left = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << left) // count, shift - left


def _pad(lowering: _Lowering, operator: g.Pad) -> None:
    paddings = ((0, 0),) * (4 - len(operator.paddings)) + operator.paddings
    if paddings[0] != (0, 0):
        raise ValueError("padding the batch is not supported")
    lowering.operators.append(
        n.PadOperator(n.Kind.PAD, **lowering.edges(operator), paddings=(paddings[1], paddings[2], paddings[3]))
    )


def _concatenation(lowering: _Lowering, operator: g.Concatenation) -> None:
    """One COPY for each input."""
    if operator.activation != g.Activation.NONE:
        raise ValueError(f"a fused activation ({operator.activation.value}) is not supported")
    stride = math.prod(lowering.graph.tensors[operator.output].shape[operator.axis :])
    start = 0
    for name in operator.inputs:
        chunk = math.prod(lowering.graph.tensors[name].shape[operator.axis :])
        output = lowering.index(operator.output)
        lowering.operators.append(
            n.CopyOperator(n.Kind.COPY, lowering.index(name), output, chunk=chunk, stride=stride, start=start)
        )
        start += chunk


def _reshape(lowering: _Lowering, operator: g.Reshape) -> None:
    elements = lowering.graph.tensors[operator.output].elements
    lowering.operators.append(n.CopyOperator(n.Kind.COPY, **lowering.edges(operator), chunk=elements, stride=elements))


def _softmax(lowering: _Lowering, operator: g.Softmax) -> None:
    row = lowering.graph.tensors[operator.inputs[0]].shape[-1]
    if row > _SOFTMAX_ROW_LIMIT:
        raise ValueError(f"a row of {row} elements is too long, the limit is {_SOFTMAX_ROW_LIMIT}")
    multiplier, shift, minimum = softmax_factor(operator.beta, lowering.scale(operator.inputs[0]))
    lowering.operators.append(
        n.SoftmaxOperator(
            n.Kind.SOFTMAX, **lowering.edges(operator), multiplier=multiplier, shift=shift, minimum=minimum
        )
    )


def softmax_factor(beta: float, scale: float) -> tuple[int, int, int]:
    """Multiplier and shift of SOFTMAX's inputs, and the least difference to a row's largest that counts."""
    limit = 2.0**31 - 1.0
    real = min(beta * scale * (1 << (31 - _SOFTMAX_INTEGER_BITS)), limit)
    multiplier, shift = quantize_multiplier(real) if real < 2**30 else _large_multiplier(real)
    if shift < 0:
        raise ValueError(f"the input scale {scale:g} is too small for SOFTMAX")
    radius = ((1 << _SOFTMAX_INTEGER_BITS) - 1) * float(1 << (31 - _SOFTMAX_INTEGER_BITS)) / float(1 << shift)
    return multiplier, shift, -math.floor(radius)


def _large_multiplier(real: float) -> tuple[int, int]:
    """A factor in [2**30, 2**31): shift 31 is allowed here, unlike in requantisation."""
    return min(math.floor(real + 0.5), INT32_MAX), 31


def _lookup(lowering: _Lowering, operator: g.Operator, table: Any) -> None:
    lowering.operators.append(
        n.LookupOperator(n.Kind.LOOKUP, **lowering.edges(operator), table=np.asarray(table).astype(np.int8))
    )


def _logistic(lowering: _Lowering, operator: g.Logistic) -> None:
    scale, zero_point = _per_tensor(lowering.graph.tensors[operator.inputs[0]])
    _lookup(lowering, operator, logistic_table(scale, zero_point))


def _rescaling_table(lowering: _Lowering, operator: g.Operator, clamp: dict[str, int]) -> Any:
    """What every int8 input becomes when it is expressed in the output's scale and clamped."""
    (scale, zero_point) = _per_tensor(lowering.graph.tensors[operator.inputs[0]])
    (output_scale, output_zero_point) = _per_tensor(lowering.graph.tensors[operator.output])
    multiplier, shift = quantize_multiplier(scale / output_scale)
    values = requantize(np.arange(-128, 128) - zero_point, multiplier, shift) + output_zero_point
    return np.clip(values, clamp["activation_min"], clamp["activation_max"])


def _rescaling(activation: g.Activation) -> Callable[[_Lowering, g.Operator], None]:
    def build(lowering: _Lowering, operator: g.Operator) -> None:
        clamp = lowering.clamp(activation, operator.output)
        _lookup(lowering, operator, _rescaling_table(lowering, operator, clamp))

    return build


def _refuse_dequantize(lowering: _Lowering, operator: g.Operator) -> None:
    raise ValueError("float32 inside an int8 network is not supported")


_LOWER: dict[type[g.Operator], Callable[[_Lowering, Any], None]] = {
    g.Conv2D: _conv_2d,
    g.DepthwiseConv2D: _depthwise_conv_2d,
    g.FullyConnected: _fully_connected,
    g.Add: _binary,
    g.Mul: _binary,
    g.AveragePool2D: _pool_2d,
    g.MaxPool2D: _pool_2d,
    g.Mean: _mean,
    g.Pad: _pad,
    g.Concatenation: _concatenation,
    g.Reshape: _reshape,
    g.Softmax: _softmax,
    g.Logistic: _logistic,
    g.Relu: _rescaling(g.Activation.RELU),
    g.Relu6: _rescaling(g.Activation.RELU6),
    g.Quantize: _rescaling(g.Activation.NONE),
    g.Dequantize: _refuse_dequantize,
}
