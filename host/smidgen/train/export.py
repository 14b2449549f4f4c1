"""How `from_torch` reads the layers of this package: as an int8 graph with the integers they compute with."""

from __future__ import annotations

import numpy as np
from torch import nn

from smidgen import graph as g
from smidgen.formats.channels_first import Builder, Constant, Value, window_pair
from smidgen.formats.torch_operators import convolution
from smidgen.formats.torch_reader import register_module
from smidgen.train.layers import (
    PROBABILITY,
    QuantizedAdd,
    QuantizedAveragePool,
    QuantizedInput,
    QuantizedLayer,
    QuantizedMean,
    QuantizedSigmoid,
    QuantizedSoftmax,
    as_sizes,
)

_ACTIVATIONS: dict[g.Activation, type[g.Operator]] = {
    g.Activation.RELU: g.Relu,
    g.Activation.RELU6: g.Relu6,
}


def _weights(name: str, module: QuantizedLayer) -> Constant:
    data = module.weight_integers().detach().numpy().astype(np.int8)
    scales = module.weight_scale.numpy().astype(np.float32)
    quantization = g.Quantization(scales, np.zeros(scales.size, np.int32), 0 if module.per_channel else None)
    return Constant(f"{name}_weight", data, quantization)


def _bias(name: str, module: QuantizedLayer) -> Constant | None:
    integers = module.bias_integers()
    if integers is None:
        return None
    scales = module.accumulator_scale().numpy().astype(np.float32)
    quantization = g.Quantization(scales, np.zeros(scales.size, np.int32), 0 if module.per_channel else None)
    return Constant(f"{name}_bias", integers.detach().numpy().astype(np.int32), quantization)


def _activated(builder: Builder, name: str, value: Value, activation: g.Activation) -> Value:
    if activation is g.Activation.NONE:
        return value
    return builder.unary(_ACTIVATIONS[activation], value, f"{name}_{activation.value.lower()}")


def _layer(builder: Builder, name: str, module: QuantizedLayer, x: Value) -> Value:
    weights, bias = _weights(name, module), _bias(name, module)
    if isinstance(module.layer, nn.Linear):
        sums = builder.dense(x, weights, bias, name)
    else:
        sums = convolution(builder, name, module.layer, x, weights, bias)
    return builder.quantize(_activated(builder, name, sums, module.activation), module.result.quantization)


def _input(builder: Builder, _: str, module: QuantizedInput, x: Value) -> Value:
    return builder.quantize(x, module.result.quantization)


def _add(builder: Builder, name: str, module: QuantizedAdd, a: Value, b: Value) -> Value:
    total = builder.binary(g.Add, a, b, name)
    return builder.quantize(_activated(builder, name, total, module.activation), module.result.quantization)


def _mean(builder: Builder, name: str, module: QuantizedMean, x: Value) -> Value:
    return builder.quantize(builder.mean(x, module.axes, module.keep_dims, name), module.result.quantization)


def _average_pool(builder: Builder, name: str, module: QuantizedAveragePool, x: Value) -> Value:
    kernel, stride = (window_pair(as_sizes(size, len(x.shape) - 2)) for size in module.window)
    return builder.quantize(
        builder.pool(x, g.AveragePool2D, kernel, stride, g.Padding(), name), module.source.quantization
    )


def _softmax(builder: Builder, name: str, _: QuantizedSoftmax, x: Value) -> Value:
    return builder.quantize(builder.softmax(x, -1, name), PROBABILITY)


def _sigmoid(builder: Builder, name: str, _: QuantizedSigmoid, x: Value) -> Value:
    return builder.quantize(builder.unary(g.Logistic, x, name), PROBABILITY)


def register_layers() -> None:
    """Let `from_torch` read the layers of this package."""
    register_module(QuantizedAdd, _add)
    register_module(QuantizedAveragePool, _average_pool)
    register_module(QuantizedInput, _input)
    register_module(QuantizedLayer, _layer)
    register_module(QuantizedMean, _mean)
    register_module(QuantizedSigmoid, _sigmoid)
    register_module(QuantizedSoftmax, _softmax)
