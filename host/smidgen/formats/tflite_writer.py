"""Typed graph -> .tflite flatbuffer (schema version 3).

The file runs in any TFLite interpreter, so a graph of ours can be given to an independent one as an oracle, and a
model trained elsewhere can leave as one file. What TFLite cannot say is lowered first: it knows the paddings VALID and
SAME only, so any other padding of a convolution becomes a PAD operator of its own in front of it, and its CONV_2D wants
a bias, so one without gets zeros.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import flatbuffers  # type: ignore[import-untyped, unused-ignore]
import numpy as np
import tflite  # type: ignore[import-untyped, unused-ignore]

from smidgen.graph import (
    Activation,
    Add,
    Array,
    AveragePool2D,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    Dequantize,
    FullyConnected,
    Graph,
    MaxPool2D,
    Mean,
    Mul,
    Operator,
    Pad,
    Padding,
    Quantization,
    Quantize,
    Reshape,
    Softmax,
    Tensor,
    Weighted,
    Window,
)

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16  # interpreters use constants in place; the schema forces this alignment

_TENSOR_TYPES = {
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
}

# The first version of each operator that takes int8; QUANTIZE, RESHAPE took it from the start.
_INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "ADD": 2,
    "MUL": 2,
    "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "PAD": 2,
    "CONCATENATION": 2,
    "SOFTMAX": 2,
    "LOGISTIC": 2,
    "RELU": 2,
    "RELU6": 2,
    "DEQUANTIZE": 2,
}
_DILATION_VERSION = 2  # of float CONV_2D and DEPTHWISE_CONV_2D
_FULLY_CONNECTED_KEEP_DIMENSIONS_VERSION = 5
_FULLY_CONNECTED_NO_BIAS_VERSION = 6
_MUL_RESCALE_ABOVE_ONE_VERSION = 3

Options = tuple[str, dict[str, Any]]  # name of the options table, its fields


def write_tflite(graph: Graph) -> bytes:
    """The .tflite file of a float32 or int8 graph; the graph stays as it is.

    Tensors keep their names, shapes and quantization; `graph.name` becomes the subgraph's name.

    Raises ValueError, naming the operator, where TFLite cannot express it: a pooling with such a padding, an output
    shape the window does not give, a channel multiplier that is no integer, a tensor type other than float32, int8
    and int32, a tensor name the graph does not have.
    """
    lowered = _lower(graph)
    argument_names = _add_argument_tensors(lowered)
    return _serialize(lowered, argument_names)


def _fail(operator: Operator, reason: str) -> ValueError:
    where = operator.source or f"the operator that writes {operator.output!r}"
    return ValueError(f"{where} ({operator.kind}): {reason}")


# Lowering


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Elements that TFLite's SAME padding adds before and after an axis of `size` elements."""
    extent = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _kernel_and_dilation(graph: Graph, operator: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(operator, Conv2D | DepthwiseConv2D):
        _, height, width, _ = graph.tensors[operator.weights].shape
        return (height, width), operator.dilation
    assert isinstance(operator, AveragePool2D | MaxPool2D)
    return operator.kernel, (1, 1)


def _same_padding_of(graph: Graph, operator: Window) -> Padding:
    kernel, dilation = _kernel_and_dilation(graph, operator)
    _, height, width, _ = graph.tensors[operator.inputs[0]].shape
    top, bottom = same_padding(height, kernel[0], operator.stride[0], dilation[0])
    left, right = same_padding(width, kernel[1], operator.stride[1], dilation[1])
    return Padding(top, bottom, left, right)


def _check_output_shape(graph: Graph, operator: Window) -> None:
    kernel, dilation = _kernel_and_dilation(graph, operator)
    _, height, width, _ = graph.tensors[operator.inputs[0]].shape
    padding = operator.padding
    padded = (height + padding.top + padding.bottom, width + padding.left + padding.right)
    expected = tuple((padded[i] - (kernel[i] - 1) * dilation[i] - 1) // operator.stride[i] + 1 for i in range(2))
    actual = graph.tensors[operator.output].shape[1:3]
    if actual != expected:
        raise _fail(operator, f"the output is {actual} high and wide, but its window and padding give {expected}")


def _lower(graph: Graph) -> Graph:
    """A copy of the graph whose windows have VALID or SAME padding, and whose CONV_2D have a bias."""
    lowered = Graph(dict(graph.tensors), [], list(graph.inputs), list(graph.outputs), graph.name)
    for operator in graph.operators:
        _check_names(graph, operator)
        if isinstance(operator, Window):
            _check_output_shape(graph, operator)
            if not operator.padding.is_zero and operator.padding != _same_padding_of(graph, operator):
                operator = _move_padding_out(lowered, operator)
        if isinstance(operator, Conv2D) and operator.bias is None:
            operator = replace(operator, bias=_add_zero_bias(lowered, operator))
        lowered.operators.append(operator)
    return lowered


def _check_names(graph: Graph, operator: Operator) -> None:
    for name in [*operator.inputs, *operator.constants, operator.output]:
        if name not in graph.tensors:
            raise _fail(operator, f"the graph has no tensor named {name!r}")


def _move_padding_out(graph: Graph, operator: Window) -> Window:
    """Append the PAD operator of a convolution to the graph; returns the convolution without padding."""
    if not isinstance(operator, Conv2D | DepthwiseConv2D):
        # Zeros would take part in the maximum and in the average; padding does not.
        raise _fail(operator, f"TFLite pools with VALID or SAME padding only, not with {operator.padding}")
    padding = operator.padding
    tensor = graph.tensors[operator.inputs[0]]
    batch, height, width, channels = tensor.shape
    shape = (batch, height + padding.top + padding.bottom, width + padding.left + padding.right, channels)
    padded = graph.add(Tensor(graph.new_name(f"{tensor.name}_padded"), shape, tensor.dtype, tensor.quantization))
    paddings = ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))
    graph.operators.append(Pad([tensor.name], padded.name, operator.source, paddings))
    return replace(operator, inputs=[padded.name], padding=Padding())


def _add_zero_bias(graph: Graph, operator: Conv2D) -> str:
    weights, x = graph.tensors[operator.weights], graph.tensors[operator.inputs[0]]
    zeros = np.zeros(weights.shape[0], np.float32)
    quantization = None
    if weights.quantization is not None and x.quantization is not None:
        zeros = zeros.astype(np.int32)
        scale = (weights.quantization.scale * x.quantization.scale[0]).astype(np.float32)
        quantization = Quantization(scale, np.zeros(scale.size, np.int32), None if scale.size == 1 else 0)
    name = graph.new_name(f"{operator.output}_bias")
    return graph.add(Tensor(name, zeros.shape, zeros.dtype, quantization, zeros)).name


# Arguments that TFLite passes as constant tensors


def _argument(graph: Graph, operator: Operator) -> Array | None:
    if isinstance(operator, Pad):
        return np.array(operator.paddings, np.int32).reshape(-1, 2)
    if isinstance(operator, Mean):
        return np.array(operator.axes, np.int32)
    if isinstance(operator, Reshape):
        return np.array(graph.tensors[operator.output].shape, np.int32)
    return None


def _add_argument_tensors(graph: Graph) -> dict[int, str]:
    """Add the paddings of PAD, axes of MEAN and shapes of RESHAPE as int32 constants: their names by operator index."""
    names = {}
    for index, operator in enumerate(graph.operators):
        argument = _argument(graph, operator)
        if argument is not None:
            name = graph.new_name(f"{operator.output}_{operator.kind.lower()}_argument")
            graph.add(Tensor(name, argument.shape, argument.dtype, data=argument))
            names[index] = name
    return names


# Options and versions of operators


def _activation(activation: Activation) -> int:
    return int(getattr(tflite.ActivationFunctionType, activation.value))


def _window_options(operator: Window) -> dict[str, Any]:
    return {
        "Padding": tflite.Padding.VALID if operator.padding.is_zero else tflite.Padding.SAME,
        "StrideH": operator.stride[0],
        "StrideW": operator.stride[1],
        "FusedActivationFunction": _activation(operator.activation),
    }


def _convolution_options(graph: Graph, operator: Conv2D | DepthwiseConv2D) -> Options:
    fields = _window_options(operator)
    fields["DilationHFactor"], fields["DilationWFactor"] = operator.dilation
    if isinstance(operator, Conv2D):
        return "Conv2DOptions", fields
    channels = graph.tensors[operator.inputs[0]].shape[3]
    output_channels = graph.tensors[operator.weights].shape[3]
    if output_channels % channels:
        raise _fail(operator, f"{output_channels} output channels are no multiple of {channels} input channels")
    fields["DepthMultiplier"] = output_channels // channels
    return "DepthwiseConv2DOptions", fields


def _options(graph: Graph, operator: Operator) -> Options | None:
    match operator:
        case Conv2D() | DepthwiseConv2D():
            return _convolution_options(graph, operator)
        case AveragePool2D() | MaxPool2D():
            height, width = operator.kernel
            return "Pool2DOptions", {**_window_options(operator), "FilterHeight": height, "FilterWidth": width}
        case FullyConnected():
            fields = {"FusedActivationFunction": _activation(operator.activation)}
            return "FullyConnectedOptions", {**fields, "KeepNumDims": _keeps_dimensions(graph, operator)}
        case Add() | Mul():
            return f"{type(operator).__name__}Options", {"FusedActivationFunction": _activation(operator.activation)}
        case Concatenation():
            fields = {"FusedActivationFunction": _activation(operator.activation)}
            return "ConcatenationOptions", {**fields, "Axis": operator.axis}
        case Mean():
            return "ReducerOptions", {"KeepDims": operator.keep_dims}
        case Softmax():
            return "SoftmaxOptions", {"Beta": operator.beta}
        case Pad() | Reshape() | Quantize() | Dequantize():
            return f"{type(operator).__name__}Options", {}
        case _:
            return None


def _keeps_dimensions(graph: Graph, operator: FullyConnected) -> bool:
    return len(graph.tensors[operator.output].shape) > 2


def _scale(graph: Graph, name: str) -> float:
    quantization = graph.tensors[name].quantization
    return float(quantization.scale[0]) if quantization else 0.0


def _version(graph: Graph, operator: Operator) -> int:
    """The first version of the operator in TFLite that has what this one uses."""
    is_int8 = graph.tensors[operator.inputs[0]].dtype == np.int8
    version = _INT8_VERSIONS.get(operator.kind, 1) if is_int8 else 1
    if isinstance(operator, Conv2D | DepthwiseConv2D) and operator.dilation != (1, 1):
        version = max(version, _DILATION_VERSION)
    if isinstance(operator, FullyConnected):
        if operator.bias is None:
            version = _FULLY_CONNECTED_NO_BIAS_VERSION
        elif _keeps_dimensions(graph, operator):
            version = _FULLY_CONNECTED_KEEP_DIMENSIONS_VERSION
    if isinstance(operator, Mul) and is_int8:
        first, second = operator.inputs
        if _scale(graph, first) * _scale(graph, second) >= _scale(graph, operator.output):
            version = _MUL_RESCALE_ABOVE_ONE_VERSION
    return version


# Flatbuffer


def _table(builder: flatbuffers.Builder, kind: str, fields: dict[str, Any]) -> int:
    """Write a table of the schema with the builder functions of `tflite`; returns its offset."""
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in fields.items():
        getattr(tflite, f"{kind}Add{name}")(builder, value)
    return int(getattr(tflite, f"{kind}End")(builder))


def _offsets(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _numbers(builder: flatbuffers.Builder, values: Any, dtype: str) -> int:
    return int(builder.CreateNumpyVector(np.ascontiguousarray(values, np.dtype(dtype))))


def _write_buffer(builder: flatbuffers.Builder, data: Array | None) -> int:
    if data is None:
        return _table(builder, "Buffer", {})
    content = np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()
    builder.Prep(BUFFER_ALIGNMENT, len(content))
    return _table(builder, "Buffer", {"Data": builder.CreateByteVector(content)})


def _write_quantization(builder: flatbuffers.Builder, quantization: Quantization) -> int:
    fields: dict[str, Any] = {
        "Scale": _numbers(builder, quantization.scale, "<f4"),
        "ZeroPoint": _numbers(builder, quantization.zero_point, "<i8"),
        "QuantizedDimension": quantization.axis or 0,
    }
    return _table(builder, "QuantizationParameters", fields)


def _write_tensor(builder: flatbuffers.Builder, tensor: Tensor, buffer: int) -> int:
    if tensor.dtype not in _TENSOR_TYPES:
        raise ValueError(f"tensor {tensor.name!r} is {tensor.dtype}; float32, int8 and int32 can be written")
    if tensor.data is not None and (tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype):
        actual = f"{tensor.data.dtype} {tensor.data.shape}"
        raise ValueError(f"tensor {tensor.name!r} says {tensor.dtype} {tensor.shape}, but its data is {actual}")
    fields: dict[str, Any] = {
        "Name": builder.CreateString(tensor.name),
        "Shape": _numbers(builder, tensor.shape, "<i4"),
        "Type": _TENSOR_TYPES[tensor.dtype],
        "Buffer": buffer,
    }
    if tensor.quantization is not None:
        fields["Quantization"] = _write_quantization(builder, tensor.quantization)
    return _table(builder, "Tensor", fields)


def _write_operator_code(builder: flatbuffers.Builder, kind: str, version: int) -> int:
    code = getattr(tflite.BuiltinOperator, kind)
    # All our operators are older than the 32-bit code, so old readers find them in the deprecated field.
    return _table(builder, "OperatorCode", {"DeprecatedBuiltinCode": code, "BuiltinCode": code, "Version": version})


def _write_operator(
    builder: flatbuffers.Builder, inputs: list[int], outputs: list[int], code: int, options: Options | None
) -> int:
    fields: dict[str, Any] = {
        "OpcodeIndex": code,
        "Inputs": _numbers(builder, inputs, "<i4"),
        "Outputs": _numbers(builder, outputs, "<i4"),
    }
    if options is not None:
        kind, values = options
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, kind)
        fields["BuiltinOptions"] = _table(builder, kind, values)
    return _table(builder, "Operator", fields)


def _operator_inputs(operator: Operator, argument: str | None) -> list[str]:
    """Names in the order of TFLite's inputs: activations, weights and bias, argument."""
    constants = operator.constants if isinstance(operator, Weighted) else []
    return [*operator.inputs, *constants, *([argument] if argument else [])]


def _write_subgraph(
    builder: flatbuffers.Builder, graph: Graph, tensors: list[int], argument_names: dict[int, str], codes: list[int]
) -> int:
    index_of = {name: index for index, name in enumerate(graph.tensors)}
    operators = []
    for index, operator in enumerate(graph.operators):
        inputs = [index_of[name] for name in _operator_inputs(operator, argument_names.get(index))]
        options = _options(graph, operator)
        operators.append(_write_operator(builder, inputs, [index_of[operator.output]], codes[index], options))
    fields = {
        "Name": builder.CreateString(graph.name or "main"),
        "Tensors": _offsets(builder, tensors),
        "Inputs": _numbers(builder, [index_of[name] for name in graph.inputs], "<i4"),
        "Outputs": _numbers(builder, [index_of[name] for name in graph.outputs], "<i4"),
        "Operators": _offsets(builder, operators),
    }
    return _table(builder, "SubGraph", fields)


def _serialize(graph: Graph, argument_names: dict[int, str]) -> bytes:
    builder = flatbuffers.Builder(1024)
    buffers = [_write_buffer(builder, None)]  # buffer 0 is empty by convention: activations name it
    tensors = []
    for tensor in graph.tensors.values():
        if tensor.data is not None:
            buffers.append(_write_buffer(builder, tensor.data))
        tensors.append(_write_tensor(builder, tensor, len(buffers) - 1 if tensor.data is not None else 0))
    used = [(operator.kind, _version(graph, operator)) for operator in graph.operators]
    distinct = sorted(set(used))
    subgraph = _write_subgraph(builder, graph, tensors, argument_names, [distinct.index(code) for code in used])
    fields = {
        "Version": SCHEMA_VERSION,
        "OperatorCodes": _offsets(builder, [_write_operator_code(builder, *code) for code in distinct]),
        "Subgraphs": _offsets(builder, [subgraph]),
        "Description": builder.CreateString("smidgen"),
        "Buffers": _offsets(builder, buffers),
    }
    builder.Finish(_table(builder, "Model", fields), FILE_IDENTIFIER)
    return bytes(builder.Output())
