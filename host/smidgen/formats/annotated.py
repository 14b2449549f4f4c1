"""An int8 graph from a float graph whose tensors say how they are quantised (`Tensor.quantization`)."""

from __future__ import annotations

import numpy as np

from smidgen import graph as g
from smidgen.formats.channels_first import same_quantization
from smidgen.formats.refused import Refused
from smidgen.requantization import round_half_away

_CLAMPING = g.Conv2D | g.DepthwiseConv2D | g.FullyConnected | g.Add | g.Mul | g.AveragePool2D | g.MaxPool2D
_KEEPING = g.Reshape | g.MaxPool2D | g.AveragePool2D | g.Pad | g.Concatenation | g.Relu | g.Relu6 | g.Mean
_UNSCALED = g.Reshape | g.MaxPool2D | g.AveragePool2D | g.Pad | g.Concatenation  # their int8 kernels keep the scale
_INT32 = 2**31 - 1


def is_annotated(graph: g.Graph) -> bool:
    """Whether some activation says how it is quantised."""
    return any(tensor.quantization is not None and not tensor.is_constant for tensor in graph.tensors.values())


def quantize_annotated(graph: g.Graph) -> None:
    """Make `graph` an int8 graph, in place. Raises Refused, with the operator, where something is not quantised."""
    _fuse_activations(graph)
    for operator in list(graph.operators):
        _complete(graph, operator)
    for operator in list(graph.operators):
        if isinstance(operator, g.Weighted):
            _quantize_weights(graph, operator)
        else:
            _check_constants(graph, operator)
        _bridge(graph, operator)
    for tensor in graph.activations():
        if tensor.quantization is None:
            raise Refused(f"tensor {tensor.name!r} is float32 in a quantised model: quantise all activations")
        tensor.dtype = np.dtype(np.int8)


def _fuse_activations(graph: g.Graph) -> None:
    """Operator -> RELU where only the RELU's result is quantised."""
    for relu in [operator for operator in graph.operators if isinstance(operator, g.Relu | g.Relu6)]:
        before = relu.inputs[0]
        source = graph.producer(before)
        if (
            isinstance(source, _CLAMPING)
            and source.activation == g.Activation.NONE
            and graph.tensors[before].quantization is None
            and len(graph.consumers(before)) == 1
            and before not in graph.outputs
        ):
            source.activation = g.Activation.RELU6 if isinstance(relu, g.Relu6) else g.Activation.RELU
            source.output = relu.output
            graph.operators.remove(relu)


def _complete(graph: g.Graph, operator: g.Operator) -> None:
    """A quantisation for an output that has none."""
    output = graph.tensors[operator.output]
    if output.quantization is not None:
        return
    if isinstance(operator, g.Softmax | g.Logistic):
        output.quantization = g.Quantization.per_tensor(1 / 256, -128)
    elif isinstance(operator, _KEEPING):
        output.quantization = graph.tensors[operator.inputs[0]].quantization
    else:
        raise Refused(
            f"{operator.source} {operator.kind}: its output {operator.output!r} is not quantised, other tensors are; "
            "quantise all activations, or none (and give calibration data)"
        )


def _quantize_weights(graph: g.Graph, operator: g.Weighted) -> None:
    weights = graph.tensors[operator.weights]
    scales = weights.quantization
    if scales is None or weights.dtype != np.int8:
        raise Refused(f"{operator.source} {operator.kind}: its weights are {weights.dtype}; int8 is supported here")
    if np.any(scales.zero_point != 0):
        raise Refused(f"{operator.source} {operator.kind}: its weights are asymmetric; zero point 0 is supported")
    source = graph.tensors[operator.inputs[0]].quantization
    if operator.bias is None or source is None:
        return
    bias = graph.tensors[operator.bias]
    wanted = np.float64(source.scale[0]) * scales.scale.astype(np.float64)
    if bias.dtype == np.int32 and bias.quantization is not None:
        have = bias.quantization.scale.astype(np.float64)
        values = np.asarray(bias.data, np.float64) if np.allclose(have, wanted, rtol=1e-5, atol=0) else None
        if values is None:
            values = round_half_away(np.asarray(bias.data, np.float64) * have / wanted)
    else:
        values = round_half_away(np.asarray(bias.dequantized(), np.float64) / wanted)
    bias.data = np.clip(values, -_INT32, _INT32).astype(np.int32)
    bias.dtype = np.dtype(np.int32)
    axis = 0 if wanted.size > 1 else None
    bias.quantization = g.Quantization(wanted.astype(np.float32), np.zeros(wanted.size, np.int32), axis)


def _check_constants(graph: g.Graph, operator: g.Operator) -> None:
    for name in operator.inputs:
        tensor = graph.tensors[name]
        if tensor.is_constant and (tensor.dtype != np.int8 or tensor.quantization is None):
            raise Refused(f"{operator.source} {operator.kind}: constant {name!r} is {tensor.dtype}, not quantised")


def _bridge(graph: g.Graph, operator: g.Operator) -> None:
    """A QUANTIZE where the int8 kernel gives another scale than the model wants."""
    output = graph.tensors[operator.output]
    assert output.quantization is not None
    if isinstance(operator, g.Softmax | g.Logistic):
        given = g.Quantization.per_tensor(1 / 256, -128)
    elif isinstance(operator, g.AveragePool2D) and _is_global(graph, operator):
        _pool_to_mean(graph, operator)
        return
    elif isinstance(operator, _UNSCALED):
        known = graph.tensors[operator.inputs[0]].quantization
        assert known is not None
        given = known
        if isinstance(operator, g.Concatenation):
            _bridge_inputs(graph, operator, output.quantization)
            return
    else:
        return
    if same_quantization(given, output.quantization):
        return
    inner = graph.add(g.Tensor(graph.new_name(f"{output.name}_unscaled"), output.shape, output.dtype, given))
    operator.output = inner.name
    position = graph.operators.index(operator) + 1
    graph.operators.insert(position, g.Quantize([inner.name], output.name, operator.source))


def _bridge_inputs(graph: g.Graph, operator: g.Concatenation, wanted: g.Quantization) -> None:
    for number, name in enumerate(operator.inputs):
        tensor = graph.tensors[name]
        if tensor.quantization is None or same_quantization(tensor.quantization, wanted):
            continue
        inner = graph.add(g.Tensor(graph.new_name(f"{name}_rescaled"), tensor.shape, tensor.dtype, wanted))
        graph.operators.insert(graph.operators.index(operator), g.Quantize([name], inner.name, operator.source))
        operator.inputs[number] = inner.name


def _is_global(graph: g.Graph, operator: g.AveragePool2D) -> bool:
    shape = graph.tensors[operator.inputs[0]].shape
    return operator.kernel == shape[1:3] and operator.padding.is_zero and operator.activation == g.Activation.NONE


def _pool_to_mean(graph: g.Graph, operator: g.AveragePool2D) -> None:
    """MEAN gives the average in any scale, rounded once."""
    mean = g.Mean(operator.inputs, operator.output, operator.source, axes=(1, 2), keep_dims=True)
    graph.operators[graph.operators.index(operator)] = mean
