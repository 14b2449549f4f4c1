"""How each operator of a `.tflite` file becomes an operator of the typed graph, or is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite

from smidgen import graph as g
from smidgen.formats.refused import Refused

DTYPES: dict[int, Any] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
    tflite.TensorType.INT16: np.int16,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.UINT8: np.uint8,
}
_TYPE_NAMES = {value: name for name, value in vars(tflite.TensorType).items() if isinstance(value, int)}
_ACTIVATION_NAMES = {
    value: name for name, value in vars(tflite.ActivationFunctionType).items() if isinstance(value, int)
}
_MAX_RANK = 4


@dataclass
class OperatorContext:
    """One operator while it is being read."""

    graph: g.Graph
    index: int
    options: Any  # the table of builtin options, or None
    input_names: list[str | None]  # None: optional input left out
    output_names: list[str]

    def options_as(self, table: type) -> Any:
        options = table()
        if self.options is None:
            raise Refused("its options are missing")
        options.Init(self.options.Bytes, self.options.Pos)
        return options

    def tensor(self, position: int) -> g.Tensor:
        name = self.input_names[position] if position < len(self.input_names) else None
        if name is None:
            raise Refused(f"input {position} is missing")
        return self.graph.tensors[name]

    def activation(self, position: int) -> str:
        """Name of an input that is computed while the network runs."""
        tensor = self.tensor(position)
        if tensor.is_constant:
            raise Refused(f"input {position} is a constant; it has to be an activation")
        return tensor.name

    def constant(self, position: int, what: str) -> g.Tensor:
        tensor = self.tensor(position)
        if not tensor.is_constant:
            raise Refused(f"its {what} are computed while the network runs; they have to be constant")
        return tensor

    @property
    def output(self) -> g.Tensor:
        return self.graph.tensors[self.output_names[0]]

    @property
    def common(self) -> dict[str, Any]:
        """Keyword arguments that every operator takes, for operators with one activation."""
        return {"inputs": [self.activation(0)], "output": self.output.name, "source": f"operator {self.index}"}


def dtype_name(dtype: Any) -> str:
    for code, known in DTYPES.items():
        if np.dtype(known) == dtype:
            return str(_TYPE_NAMES[code]).lower()
    return "of an unsupported type"


def _fused_activation(code: int) -> g.Activation:
    name = _ACTIVATION_NAMES.get(code, str(code))
    if name not in g.Activation.__members__:
        raise Refused(f"fused activation {name} is not supported (supported: {', '.join(g.Activation.__members__)})")
    return g.Activation[name]


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Elements before and after, as TensorFlow's SAME: output = ceil(input / stride), the odd one after."""
    output = -(-size // stride)
    total = max((output - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _window(
    context: OperatorContext, options: Any, kernel: tuple[int, int], dilation: tuple[int, int]
) -> dict[str, Any]:
    """stride, padding and activation of an operator with a window; checks shapes against each other."""
    shape, output = context.tensor(0).shape, context.output.shape
    if len(shape) != 4 or len(output) != 4:
        raise Refused(f"input and output must have 4 dimensions, they have {len(shape)} and {len(output)}")
    if shape[0] != 1:
        raise Refused(f"the batch is {shape[0]}; one input at a time is supported")
    stride = (options.StrideH(), options.StrideW())
    if min(*stride, *dilation, *kernel) < 1:
        raise Refused(f"kernel {kernel}, stride {stride} and dilation {dilation} must be at least 1")
    same = options.Padding() == tflite.Padding.SAME
    pads = [_same_padding(shape[1 + i], kernel[i], stride[i], dilation[i]) if same else (0, 0) for i in range(2)]
    for i in range(2):
        span = (kernel[i] - 1) * dilation[i] + 1
        expected = (shape[1 + i] + sum(pads[i]) - span) // stride[i] + 1
        if expected != output[1 + i] or expected < 1:
            raise Refused(f"output size {output[1 + i]} along axis {1 + i}, expected {expected}")
    padding = g.Padding(pads[0][0], pads[0][1], pads[1][0], pads[1][1])
    return {"stride": stride, "padding": padding, "activation": _fused_activation(options.FusedActivationFunction())}


def _weights(context: OperatorContext, channel_axis: int) -> dict[str, Any]:
    """Names of weights and bias; checks that they can be used with the activations."""
    weights = context.constant(1, "weights")
    quantized = context.tensor(0).dtype == np.int8
    if quantized:
        _check_int8_weights(weights, channel_axis)
    elif weights.dtype not in (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int8)):
        raise Refused(f"its weights are {dtype_name(weights.dtype)}; float32, float16 and int8 are supported")
    elif weights.dtype == np.int8 and weights.quantization is None:
        raise Refused("its int8 weights have no scale")
    else:
        _make_float(weights)
    bias = context.input_names[2] if len(context.input_names) > 2 else None
    if bias is not None:
        tensor = context.constant(2, "biases")
        expected = np.dtype(np.int32) if quantized else np.dtype(np.float32)
        if not quantized and tensor.dtype == np.float16:
            _make_float(tensor)
        if tensor.dtype != expected:
            raise Refused(f"its bias is {dtype_name(tensor.dtype)}; {dtype_name(expected)} is supported")
        if tensor.elements != weights.shape[channel_axis]:
            raise Refused(f"it has {tensor.elements} biases for {weights.shape[channel_axis]} output channels")
    return {"weights": weights.name, "bias": bias}


def _make_float(tensor: g.Tensor) -> None:
    """Weights stored as float16 or int8 in a float model are used as float32."""
    tensor.data = tensor.dequantized()
    tensor.dtype, tensor.quantization = np.dtype(np.float32), None


def _check_int8_weights(weights: g.Tensor, channel_axis: int) -> None:
    if weights.dtype != np.int8:
        raise Refused(f"its weights are {dtype_name(weights.dtype)}; int8 is supported with int8 activations")
    quantization = weights.quantization
    if quantization is None:
        raise Refused("its weights have no scale")
    if np.any(quantization.zero_point != 0):
        raise Refused("its weights are asymmetric (zero point not 0); symmetric weights are supported")
    if not quantization.is_per_tensor:
        if quantization.axis != channel_axis or quantization.scale.size != weights.shape[channel_axis]:
            raise Refused(
                f"its weights have {quantization.scale.size} scales along axis {quantization.axis}; "
                f"1, or {weights.shape[channel_axis]} along axis {channel_axis} are supported"
            )
    if not (np.all(np.isfinite(quantization.scale)) and np.all(quantization.scale >= 0)):
        raise Refused("a scale of its weights is negative or not finite")


def _conv_2d(context: OperatorContext) -> g.Operator:
    options = context.options_as(tflite.Conv2DOptions)
    constants = _weights(context, 0)
    weights = context.tensor(1)
    if len(weights.shape) != 4 or weights.shape[3] != context.tensor(0).shape[-1]:
        raise Refused(
            f"weights of shape {list(weights.shape)} do not fit {context.tensor(0).shape[-1]} input channels "
            "(grouped convolution is not supported)"
        )
    if weights.shape[0] != context.output.shape[-1]:
        raise Refused(f"{weights.shape[0]} filters for {context.output.shape[-1]} output channels")
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    window = _window(context, options, (weights.shape[1], weights.shape[2]), dilation)
    return g.Conv2D(**context.common, **constants, **window, dilation=dilation)


def _depthwise_conv_2d(context: OperatorContext) -> g.Operator:
    options = context.options_as(tflite.DepthwiseConv2DOptions)
    constants = _weights(context, 3)
    weights = context.tensor(1)
    channels, out_channels = context.tensor(0).shape[-1], context.output.shape[-1]
    if len(weights.shape) != 4 or weights.shape[0] != 1 or weights.shape[3] != out_channels:
        raise Refused(f"weights of shape {list(weights.shape)} do not fit {out_channels} output channels")
    if out_channels % channels:
        raise Refused(f"{out_channels} output channels are not a multiple of {channels} input channels")
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    window = _window(context, options, (weights.shape[1], weights.shape[2]), dilation)
    return g.DepthwiseConv2D(**context.common, **constants, **window, dilation=dilation)


def _fully_connected(context: OperatorContext) -> g.Operator:
    options = context.options_as(tflite.FullyConnectedOptions)
    constants = _weights(context, 0)
    weights = context.tensor(1)
    if options.WeightsFormat() != 0:
        raise Refused("shuffled weights are not supported")
    if len(weights.shape) != 2 or context.tensor(0).elements % weights.shape[1]:
        raise Refused(
            f"weights of shape {list(weights.shape)} do not fit an input of shape {list(context.tensor(0).shape)}"
        )
    rows = context.tensor(0).elements // weights.shape[1]
    if context.output.elements != rows * weights.shape[0] or context.output.shape[-1] != weights.shape[0]:
        raise Refused(f"output shape {list(context.output.shape)}, expected {rows} x {weights.shape[0]} elements")
    return g.FullyConnected(
        **context.common, **constants, activation=_fused_activation(options.FusedActivationFunction())
    )


def _binary(operator: type[g.Add] | type[g.Mul], table: type) -> Callable[[OperatorContext], g.Operator]:
    def build(context: OperatorContext) -> g.Operator:
        options = context.options_as(table)
        if context.tensor(0).is_constant and context.tensor(1).is_constant:
            raise Refused("both operands are constant")
        names = [context.tensor(0).name, context.tensor(1).name]
        return operator(
            names, context.output.name, f"operator {context.index}",
            activation=_fused_activation(options.FusedActivationFunction()),
        )  # fmt: skip

    return build


def _pool_2d(operator: type[g.AveragePool2D] | type[g.MaxPool2D]) -> Callable[[OperatorContext], g.Operator]:
    def build(context: OperatorContext) -> g.Operator:
        options = context.options_as(tflite.Pool2DOptions)
        kernel = (options.FilterHeight(), options.FilterWidth())
        window = _window(context, options, kernel, (1, 1))
        _same_quantization(context.tensor(0), context.output)
        return operator(**context.common, **window, kernel=kernel)

    return build


def _same_quantization(first: g.Tensor, second: g.Tensor) -> None:
    """Operators that only move or average int8 values cannot change their meaning."""
    a, b = first.quantization, second.quantization
    if first.dtype == np.int8 and a is not None and b is not None:
        if a.scale[0] != b.scale[0] or a.zero_point[0] != b.zero_point[0]:
            raise Refused(
                f"tensors {first.name!r} and {second.name!r} have different scales or zero points "
                f"({a.scale[0]:g}, {a.zero_point[0]} and {b.scale[0]:g}, {b.zero_point[0]})"
            )


def _mean(context: OperatorContext) -> g.Operator:
    options = context.options_as(tflite.ReducerOptions)
    rank = len(context.tensor(0).shape)
    axes = np.atleast_1d(np.asarray(context.constant(1, "axes").data)).astype(int)
    if np.any(axes < -rank) or np.any(axes >= rank):
        raise Refused(f"axes {axes.tolist()} are outside an input of {rank} dimensions")
    normalized = tuple(sorted({int(axis) % rank for axis in axes}))
    real = [axis for axis in normalized if context.tensor(0).shape[axis] > 1]
    between = [axis for axis in range(rank) if real and real[0] < axis < real[-1] and context.tensor(0).shape[axis] > 1]
    if any(axis not in real for axis in between):
        raise Refused(f"mean over axes {list(normalized)}: only neighbouring axes are supported")
    return g.Mean(**context.common, axes=normalized, keep_dims=bool(options.KeepDims()))


def _pad(context: OperatorContext) -> g.Operator:
    shape = context.tensor(0).shape
    paddings = np.asarray(context.constant(1, "paddings").data).astype(int).reshape(-1, 2)
    if len(paddings) != len(shape) or np.any(paddings < 0):
        raise Refused(f"paddings {paddings.tolist()} do not fit an input of {len(shape)} dimensions")
    if len(shape) == _MAX_RANK and (shape[0] != 1 or np.any(paddings[0])):
        raise Refused("padding the batch is not supported")
    _same_quantization(context.tensor(0), context.output)
    return g.Pad(**context.common, paddings=tuple((int(a), int(b)) for a, b in paddings))


def _concatenation(context: OperatorContext) -> g.Operator:
    options = context.options_as(tflite.ConcatenationOptions)
    names = [context.activation(i) for i in range(len(context.input_names))]
    for i in range(len(names)):
        _same_quantization(context.tensor(i), context.output)
    return g.Concatenation(
        names, context.output.name, f"operator {context.index}",
        axis=options.Axis() % len(context.output.shape),
        activation=_fused_activation(options.FusedActivationFunction()),
    )  # fmt: skip


def _reshape(context: OperatorContext) -> g.Operator:
    if context.tensor(0).elements != context.output.elements:
        raise Refused(f"{context.tensor(0).elements} elements cannot become {context.output.elements}")
    _same_quantization(context.tensor(0), context.output)
    return g.Reshape(**context.common)


def _softmax(context: OperatorContext) -> g.Operator:
    beta = float(context.options_as(tflite.SoftmaxOptions).Beta())
    if not beta > 0:
        raise Refused(f"beta is {beta}; it must be above 0")
    _check_output_quantization(context)
    return g.Softmax(**context.common, beta=beta)


def _logistic(context: OperatorContext) -> g.Operator:
    _check_output_quantization(context)
    return g.Logistic(**context.common)


def _check_output_quantization(context: OperatorContext) -> None:
    """TFLite fixes the output of SOFTMAX and LOGISTIC to scale 1/256, zero point -128."""
    quantization = context.output.quantization
    if context.output.dtype == np.int8 and quantization is not None:
        if quantization.scale[0] != np.float32(1 / 256) or quantization.zero_point[0] != -128:
            raise Refused(
                f"its output has scale {quantization.scale[0]:g} and zero point {quantization.zero_point[0]}; "
                "1/256 and -128 are required"
            )


def _unary(operator: type[g.Operator]) -> Callable[[OperatorContext], g.Operator]:
    def build(context: OperatorContext) -> g.Operator:
        return operator(**context.common)

    return build


def _dequantize(context: OperatorContext) -> g.Operator | None:
    """Constants stored as float16 or int8 become float32 constants; activations keep the operator."""
    source = context.tensor(0)
    if source.data is None:
        return g.Dequantize(**context.common)
    output = context.output
    output.data = source.dequantized()
    output.quantization = None
    return None


BUILDERS: dict[str, Callable[[OperatorContext], g.Operator | None]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _binary(g.Add, tflite.AddOptions),
    "MUL": _binary(g.Mul, tflite.MulOptions),
    "AVERAGE_POOL_2D": _pool_2d(g.AveragePool2D),
    "MAX_POOL_2D": _pool_2d(g.MaxPool2D),
    "MEAN": _mean,
    "PAD": _pad,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "LOGISTIC": _logistic,
    "RELU": _unary(g.Relu),
    "RELU6": _unary(g.Relu6),
    "QUANTIZE": _unary(g.Quantize),
    "DEQUANTIZE": _dequantize,
}
