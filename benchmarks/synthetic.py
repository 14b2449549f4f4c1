"""Networks of one operator each, with random weights: what a kernel costs, apart from any model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from benchmarks.models import BenchmarkModel

from smidgen import graph as g
from smidgen.blob.reader import read_blob
from smidgen.packer import pack_graph
from smidgen.reference import run_network

WEIGHT_DEVIATION = 30.0  # of the int8 weights: mean |w| is 24, a little below that of the MLPerf Tiny models
SEED = 1


class _Layer:
    """A graph of one operator; names of tensors are those of their roles."""

    def __init__(self) -> None:
        self.graph = g.Graph(name="synthetic")
        self.random = np.random.default_rng(SEED)

    def tensor(self, name: str, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = -4) -> str:
        quantization = g.Quantization.per_tensor(scale, zero_point)
        return self.graph.add(g.Tensor(name, shape, np.dtype(np.int8), quantization)).name

    def constant(self, name: str, data: Any, scales: Any, axis: int | None) -> str:
        quantization = g.Quantization(np.asarray(scales, np.float32), np.zeros(len(scales), np.int32), axis)
        return self.graph.add(g.Tensor(name, data.shape, data.dtype, quantization, data)).name

    def weighted(self, kind: Any, shape: tuple[int, ...], axis: int, zeros: float = 0, **options: Any) -> g.Operator:
        """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with a bias and scales for each channel.

        zeros: the share of weights that are pruned, at random places.
        """
        values = self.random.normal(0, WEIGHT_DEVIATION, shape).round().clip(-127, 127).astype(np.int8)
        if zeros:
            values[self.random.permuted(np.arange(values.size)).reshape(shape) < round(zeros * values.size)] = 0
        channels = shape[axis]
        scales = np.linspace(0.002, 0.006, channels)
        self.constant("weights", values, scales, axis)
        bias = self.random.integers(-2000, 2000, channels).astype(np.int32)
        self.constant("bias", bias, scales * 0.05, 0)
        operator: g.Operator = kind(["input"], "output", weights="weights", bias="bias", **options)
        return operator

    def finish(self, operator: g.Operator) -> g.Graph:
        self.graph.operators.append(operator)
        self.graph.inputs, self.graph.outputs = list(operator.inputs), ["output"]
        return self.graph


def _image(height: int, width: int, channels: int) -> tuple[int, int, int, int]:
    return (1, height, width, channels)


def _conv(
    source: tuple[int, int, int],
    output: tuple[int, int, int],
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    zeros: float = 0,
) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", _image(*source))
    layer.tensor("output", _image(*output), scale=0.3, zero_point=-128)
    padding = _same(source, output, (kernel - 1) * dilation + 1, stride)
    options = {"stride": (stride, stride), "padding": padding, "dilation": (dilation, dilation)}
    shape = (output[2], kernel, kernel, source[2])
    return layer.finish(layer.weighted(g.Conv2D, shape, 0, zeros, activation=g.Activation.RELU, **options))


def _depthwise(
    height: int, width: int, channels: int, stride: int = 1, kernel: int = 3, dilation: int = 1, zeros: float = 0
) -> g.Graph:
    source, output = (height, width, channels), (-(-height // stride), -(-width // stride), channels)
    layer = _Layer()
    layer.tensor("input", _image(*source))
    layer.tensor("output", _image(*output), scale=0.1)
    padding = _same(source, output, (kernel - 1) * dilation + 1, stride)
    options = {"stride": (stride, stride), "padding": padding, "dilation": (dilation, dilation)}
    return layer.finish(
        layer.weighted(
            g.DepthwiseConv2D, (1, kernel, kernel, channels), 3, zeros, activation=g.Activation.RELU, **options
        )
    )


def _same(source: tuple[int, int, int], output: tuple[int, int, int], kernel: int, stride: int) -> g.Padding:
    rows, columns = (max(0, (output[i] - 1) * stride + kernel - source[i]) for i in (0, 1))
    return g.Padding(rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)


def _dense(inputs: int, outputs: int, zeros: float = 0) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", (1, inputs))
    layer.tensor("output", (1, outputs), scale=0.5)
    return layer.finish(layer.weighted(g.FullyConnected, (outputs, inputs), 0, zeros, activation=g.Activation.RELU))


def _pool(kind: Any, source: tuple[int, int, int], kernel: tuple[int, int]) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", _image(*source))
    layer.tensor("output", _image(source[0] // kernel[0], source[1] // kernel[1], source[2]))
    return layer.finish(kind(["input"], "output", kernel=kernel, stride=kernel))


def _binary(kind: Any, shape: tuple[int, int, int], scale2: float = 0.0711, channels2: int | None = None) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", _image(*shape))
    layer.tensor("input2", _image(*shape[:2], channels2 or shape[2]), scale=scale2, zero_point=9)
    layer.tensor("output", _image(*shape), scale=0.1)
    return layer.finish(kind(["input", "input2"], "output"))


def _concatenation(shape: tuple[int, int, int]) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", _image(*shape))
    layer.tensor("input2", _image(*shape))
    layer.tensor("output", _image(shape[0], shape[1], 2 * shape[2]))
    return layer.finish(g.Concatenation(["input", "input2"], "output", axis=3))


def _unary(kind: Any, shape: tuple[int, ...], scale: float, zero_point: int, **options: Any) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", shape)
    layer.tensor("output", shape, scale, zero_point)
    return layer.finish(kind(["input"], "output", **options))


def _mean(height: int, width: int, channels: int) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", _image(height, width, channels))
    layer.tensor("output", (1, channels))
    return layer.finish(g.Mean(["input"], "output", axes=(1, 2)))


def _pad(height: int, width: int, channels: int) -> g.Graph:
    layer = _Layer()
    layer.tensor("input", _image(height, width, channels))
    layer.tensor("output", _image(height + 2, width + 2, channels))
    return layer.finish(g.Pad(["input"], "output", paddings=((0, 0), (1, 1), (1, 1), (0, 0))))


LAYERS: dict[str, Callable[[], g.Graph]] = {
    "conv 1x1, 25x5x64 to 64": lambda: _conv((25, 5, 64), (25, 5, 64), 1),
    "conv 1x1, 24x24x16 to 32": lambda: _conv((24, 24, 16), (24, 24, 32), 1),
    "conv 3x3, 16x16x16 to 16": lambda: _conv((16, 16, 16), (16, 16, 16), 3),
    "conv 3x3, 16x16x16 to 32, stride 2": lambda: _conv((16, 16, 16), (8, 8, 32), 3, 2),
    "conv 3x3, 32x32x3 to 8, stride 2": lambda: _conv((32, 32, 3), (16, 16, 8), 3, 2),
    "conv 9x9, 40x10x1 to 16, stride 2": lambda: _conv((40, 10, 1), (20, 5, 16), 9, 2),
    "depthwise 3x3, 25x5x64": lambda: _depthwise(25, 5, 64),
    "depthwise 3x3, 24x24x32": lambda: _depthwise(24, 24, 32),
    "depthwise 3x3, 24x24x32, stride 2": lambda: _depthwise(24, 24, 32, 2),
    "fully connected, 640 to 128": lambda: _dense(640, 128),
    "fully connected, 64 to 12": lambda: _dense(64, 12),
    "average pool 8x8, 8x8x64": lambda: _pool(g.AveragePool2D, (8, 8, 64), (8, 8)),
    "max pool 2x2, 16x16x32": lambda: _pool(g.MaxPool2D, (16, 16, 32), (2, 2)),
    "mean, 16x16x32": lambda: _mean(16, 16, 32),
    "add, 16x16x16": lambda: _binary(g.Add, (16, 16, 16)),
    "mul, 16x16x16": lambda: _binary(g.Mul, (16, 16, 16)),
    "pad 1, 16x16x16": lambda: _pad(16, 16, 16),
    "logistic, 16x16x16": lambda: _unary(g.Logistic, (1, 16, 16, 16), 1 / 256, -128),
    "softmax, 12": lambda: _unary(g.Softmax, (1, 12), 1 / 256, -128),
}

SPARSE_LAYERS: dict[str, Callable[[float], g.Graph]] = {  # of a share of zeros
    "conv 1x1, 25x5x64 to 64": lambda zeros: _conv((25, 5, 64), (25, 5, 64), 1, zeros=zeros),
    "conv 1x1, 12x12x128 to 128": lambda zeros: _conv((12, 12, 128), (12, 12, 128), 1, zeros=zeros),
    "conv 1x1, 6x6x256 to 256": lambda zeros: _conv((6, 6, 256), (6, 6, 256), 1, zeros=zeros),
    "conv 3x3, 16x16x16 to 16": lambda zeros: _conv((16, 16, 16), (16, 16, 16), 3, zeros=zeros),
    "conv 3x3, 8x8x64 to 64": lambda zeros: _conv((8, 8, 64), (8, 8, 64), 3, zeros=zeros),
    "depthwise 5x5, 12x12x32": lambda zeros: _depthwise(12, 12, 32, kernel=5, zeros=zeros),
    "fully connected, 640 to 128": lambda zeros: _dense(640, 128, zeros),
    "fully connected, 128 to 10": lambda zeros: _dense(128, 10, zeros),
}

# Kernels and shapes that the networks and LAYERS do not have, so that the cost model can tell their steps apart.
FURTHER_LAYERS: dict[str, Callable[[], g.Graph]] = {
    "conv 3x3, 16x16x16 to 16, dilation 2": lambda: _conv((16, 16, 16), (16, 16, 16), 3, dilation=2),
    "conv 3x3, 12x12x2 to 16, dilation 2": lambda: _conv((12, 12, 2), (12, 12, 16), 3, dilation=2),
    "conv 5x5, 12x12x1 to 8, dilation 3": lambda: _conv((12, 12, 1), (12, 12, 8), 5, dilation=3),
    "conv 3x3, 8x8x64 to 8, dilation 2": lambda: _conv((8, 8, 64), (8, 8, 8), 3, dilation=2),
    "conv 2x2, 10x10x8 to 12, dilation 4": lambda: _conv((10, 10, 8), (10, 10, 12), 2, dilation=4),
    "depthwise 3x3, 16x16x16, dilation 2": lambda: _depthwise(16, 16, 16, dilation=2),
    "depthwise 5x5, 12x12x8, dilation 2": lambda: _depthwise(12, 12, 8, kernel=5, dilation=2),
    "depthwise 2x2, 12x12x8, dilation 2": lambda: _depthwise(12, 12, 8, kernel=2, dilation=2),
    "depthwise 7x7, 10x10x4, dilation 3": lambda: _depthwise(10, 10, 4, kernel=7, dilation=3),
    "fully connected, 16 to 64": lambda: _dense(16, 64),
    "fully connected, 16 to 3": lambda: _dense(16, 3),
    "fully connected, 256 to 8": lambda: _dense(256, 8),
    "fully connected, 256 to 3": lambda: _dense(256, 3),
    "average pool 2x2, 16x16x32": lambda: _pool(g.AveragePool2D, (16, 16, 32), (2, 2)),
    "average pool 1x4, 16x16x8": lambda: _pool(g.AveragePool2D, (16, 16, 8), (1, 4)),
    "average pool 4x1, 16x16x8": lambda: _pool(g.AveragePool2D, (16, 16, 8), (4, 1)),
    "max pool 4x4, 16x16x8": lambda: _pool(g.MaxPool2D, (16, 16, 8), (4, 4)),
    "max pool 1x4, 16x16x8": lambda: _pool(g.MaxPool2D, (16, 16, 8), (1, 4)),
    "max pool 4x1, 16x16x8": lambda: _pool(g.MaxPool2D, (16, 16, 8), (4, 1)),
    "mean, 4x4x64": lambda: _mean(4, 4, 64),
    "add, 16x16x16, not linear": lambda: _binary(g.Add, (16, 16, 16), scale2=0.07),
    "add, 16x16x16, one value for each pixel": lambda: _binary(g.Add, (16, 16, 16), channels2=1),
    "mul, 8x8x4": lambda: _binary(g.Mul, (8, 8, 4)),
    "pad 1, 24x24x1": lambda: _pad(24, 24, 1),
    "pad 1, 4x4x64": lambda: _pad(4, 4, 64),
    "concatenation, twice 16x16x16": lambda: _concatenation((16, 16, 16)),
    "concatenation, twice 16x16x2": lambda: _concatenation((16, 16, 2)),
    "logistic, 4x4x4": lambda: _unary(g.Logistic, (1, 4, 4, 4), 1 / 256, -128),
    "softmax, 64": lambda: _unary(g.Softmax, (1, 64), 1 / 256, -128),
    "softmax, 16 rows of 4": lambda: _unary(g.Softmax, (16, 4), 1 / 256, -128),
    **{
        f"{name}, {zeros:.0%} zeros": partial(layer, zeros)
        for name, layer in SPARSE_LAYERS.items()
        for zeros in (0.7, 0.9)
    },
}


def synthetic_model(name: str) -> BenchmarkModel:
    """One of LAYERS or FURTHER_LAYERS, with random inputs; its expected outputs are the reference's."""
    data = pack_graph({**LAYERS, **FURTHER_LAYERS}[name]())
    blob = read_blob(data)
    random = np.random.default_rng(SEED)
    tensors = [blob.network.tensors[index] for index in blob.network.inputs]
    inputs = [random.integers(-128, 128, tensor.shape).astype(np.int8) for tensor in tensors]
    return BenchmarkModel(name, data, blob, inputs, run_network(blob.network, inputs), "host reference")
