"""Tiny graphs of every operator, with real-valued answers computed by independent formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from smidgen import graph as g

INPUT = g.Quantization.per_tensor(1 / 64, 3)  # -2.05 .. 1.94
UNIT = g.Quantization.per_tensor(1 / 256, -128)  # fixed by TFLite for SOFTMAX and LOGISTIC
random = np.random.default_rng(7)


def uniform(*shape: int) -> g.Array:
    return random.uniform(-1, 1, shape).astype(np.float32)


# Expectations


def convolve(x: g.Array, w: g.Array, stride=(1, 1), dilation=(1, 1), padding=g.Padding()) -> g.Array:  # noqa: B008
    """NHWC convolution of one image in float64; w is [out, h, w, in]."""
    x = np.pad(x, ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))).astype(np.float64)
    out, kernel_h, kernel_w, _ = w.shape
    height = (x.shape[1] - (kernel_h - 1) * dilation[0] - 1) // stride[0] + 1
    width = (x.shape[2] - (kernel_w - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.zeros((1, height, width, out))
    for i in range(height):
        for j in range(width):
            for a in range(kernel_h):
                for b in range(kernel_w):
                    row, column = i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]
                    y[0, i, j] += w[:, a, b, :] @ x[0, row, column]
    return y


def depthwise(x: g.Array, w: g.Array, **window: Any) -> g.Array:
    """The same with a block-diagonal kernel; w is [1, h, w, in * multiplier]."""
    channels, outputs = x.shape[3], w.shape[3]
    full = np.zeros((outputs, *w.shape[1:3], channels))
    for output in range(outputs):
        full[output, :, :, output // (outputs // channels)] = w[0, :, :, output]
    return convolve(x, full, **window)


def pool(x: g.Array, reduce: Callable[..., g.Array], kernel, stride, padding=g.Padding()) -> g.Array:  # noqa: B008
    pads = ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))
    x = np.pad(x.astype(np.float64), pads, constant_values=np.nan)
    height = (x.shape[1] - kernel[0]) // stride[0] + 1
    width = (x.shape[2] - kernel[1]) // stride[1] + 1
    y = np.zeros((1, height, width, x.shape[3]))
    for i in range(height):
        for j in range(width):
            top, left = i * stride[0], j * stride[1]
            y[0, i, j] = reduce(x[0, top : top + kernel[0], left : left + kernel[1]], axis=(0, 1))
    return y


def softmax(x: g.Array, beta: float = 1.0) -> g.Array:
    e = np.exp(beta * (x - x.max(axis=-1, keepdims=True)))
    return e / e.sum(axis=-1, keepdims=True)


# Cases


@dataclass
class Case:
    """One operator with the name y of its output left to fill in, and what it should give."""

    name: str
    operator: g.Operator
    expected: Callable[..., g.Array]  # of the activations and constants, in real values
    inputs: list[tuple[int, ...]]
    constants: dict[str, tuple[g.Array, int | None]] = field(default_factory=dict)  # data, channel axis
    output: str | g.Quantization = "range"  # int8 quantization: of the expected range, the input's, or this one


def conv_case(name: str, x: tuple[int, ...], w: tuple[int, ...], bias: bool = True, **window: Any) -> Case:
    constants = {"w": (uniform(*w), 0)} | ({"b": (uniform(w[0]), 0)} if bias else {})
    activation = window.pop("activation", g.Activation.NONE)
    low, high = activation.bounds
    operator = g.Conv2D(["x0"], "y", weights="w", bias="b" if bias else None, activation=activation, **window)
    return Case(name, operator, lambda x, w, b=0.0: np.clip(convolve(x, w, **window) + b, low, high), [x], constants)


def depthwise_case(name: str, x: tuple[int, ...], w: tuple[int, ...], bias: bool = True, **window: Any) -> Case:
    constants = {"w": (uniform(*w), 3)} | ({"b": (uniform(w[3]), 0)} if bias else {})
    operator = g.DepthwiseConv2D(["x0"], "y", weights="w", bias="b" if bias else None, **window)
    return Case(name, operator, lambda x, w, b=0.0: depthwise(x, w, **window) + b, [x], constants)


def dense_case(name: str, x: tuple[int, ...], w: tuple[int, ...], bias: bool = True) -> Case:
    operator = g.FullyConnected(["x0"], "y", weights="w", bias="b" if bias else None, activation=g.Activation.RELU6)
    constants = {"w": (uniform(*w), None)} | ({"b": (uniform(w[0]), None)} if bias else {})
    return Case(name, operator, lambda x, w, b=0.0: np.clip(x @ w.T + b, 0, 6), [x], constants)


def pool_case(name: str, kind: type[g.AveragePool2D | g.MaxPool2D], reduce: Any, **window: Any) -> Case:
    operator = kind(["x0"], "y", **window)
    return Case(name, operator, lambda x: pool(x, reduce, **window), [(1, 5, 4, 3)], output="input")


RELU = g.Activation.RELU
CASES = [
    conv_case("conv valid", (1, 5, 6, 3), (4, 3, 2, 3)),
    conv_case("conv no bias", (1, 5, 6, 3), (4, 3, 2, 3), bias=False),
    conv_case("conv stride relu", (1, 7, 6, 2), (3, 3, 3, 2), stride=(2, 1), activation=RELU),
    conv_case("conv relu6", (1, 4, 4, 8), (5, 1, 1, 8), activation=g.Activation.RELU6),
    conv_case("conv relu n1", (1, 4, 4, 2), (5, 1, 1, 2), activation=g.Activation.RELU_N1_TO_1),
    conv_case("conv same even", (1, 6, 6, 2), (3, 3, 3, 2), stride=(2, 2), padding=g.Padding(0, 1, 0, 1)),
    conv_case("conv explicit", (1, 6, 6, 2), (3, 3, 3, 2), stride=(2, 2), padding=g.Padding(1, 1, 1, 1)),
    conv_case("conv top only", (1, 5, 4, 2), (3, 3, 1, 2), padding=g.Padding(2, 0, 0, 0)),
    conv_case("conv dilated", (1, 8, 8, 2), (3, 3, 2, 2), dilation=(2, 3), padding=g.Padding(2, 2, 1, 2)),
    depthwise_case("depthwise", (1, 5, 5, 3), (1, 3, 3, 3), padding=g.Padding(1, 1, 1, 1)),
    depthwise_case("depthwise no bias", (1, 5, 5, 3), (1, 3, 3, 3), bias=False),
    depthwise_case("depthwise multiplier", (1, 5, 4, 2), (1, 2, 3, 6), stride=(2, 2)),
    depthwise_case("depthwise 1-D explicit", (1, 8, 1, 4), (1, 4, 1, 4), stride=(2, 1), padding=g.Padding(2, 2, 0, 0)),
    depthwise_case("depthwise dilated", (1, 6, 6, 2), (1, 3, 3, 2), dilation=(2, 2)),
    dense_case("dense", (1, 7), (4, 7)),
    dense_case("dense no bias", (1, 7), (4, 7), bias=False),
    dense_case("dense of rank 3", (1, 3, 7), (4, 7)),
    Case("add", g.Add(["x0", "x1"], "y", activation=RELU), lambda a, b: np.maximum(a + b, 0), [(1, 3, 2, 4)] * 2),
    Case("add constant", g.Add(["x0", "c"], "y"), np.add, [(1, 3, 2, 4)], {"c": (uniform(4), None)}),
    Case("mul", g.Mul(["x0", "x1"], "y"), np.multiply, [(1, 3, 2, 4)] * 2),
    Case("mul constant", g.Mul(["x0", "c"], "y", activation=RELU), lambda a, c: np.maximum(a * c, 0), [(1, 3, 2, 4)],
         {"c": (uniform(1, 1, 1, 4), None)}),
    Case("mul rescale above one", g.Mul(["x0", "x1"], "y"), np.multiply, [(1, 8)] * 2,
         output=g.Quantization.per_tensor(1e-4, 0)),
    pool_case("average", g.AveragePool2D, np.mean, kernel=(2, 3), stride=(1, 1)),
    pool_case("average same", g.AveragePool2D, np.nanmean, kernel=(3, 2), stride=(2, 2), padding=g.Padding(1, 1, 0, 0)),
    pool_case("max", g.MaxPool2D, np.max, kernel=(2, 2), stride=(2, 2)),
    pool_case("max same", g.MaxPool2D, np.nanmax, kernel=(3, 3), stride=(1, 1), padding=g.Padding(1, 1, 1, 1)),
    Case("mean", g.Mean(["x0"], "y"), lambda x: x.mean(axis=(1, 2)), [(1, 4, 3, 5)]),
    Case("mean keep", g.Mean(["x0"], "y", axes=(1,), keep_dims=True), lambda x: x.mean(axis=1, keepdims=True),
         [(1, 4, 3, 5)]),
    Case("pad", g.Pad(["x0"], "y", paddings=((0, 0), (1, 2), (0, 3), (0, 0))),
         lambda x: np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))), [(1, 3, 2, 4)], output="input"),
    Case("concatenation", g.Concatenation(["x0", "x1"], "y", axis=3), lambda a, b: np.concatenate((a, b), 3),
         [(1, 3, 2, 4), (1, 3, 2, 1)], output="input"),
    Case("concatenation of rows", g.Concatenation(["x0", "x1"], "y", axis=1), lambda a, b: np.concatenate((a, b), 1),
         [(1, 3, 2, 4), (1, 1, 2, 4)], output="input"),
    Case("reshape", g.Reshape(["x0"], "y"), lambda x: x.reshape(1, 24), [(1, 3, 2, 4)], output="input"),
    Case("softmax", g.Softmax(["x0"], "y", beta=2.0), lambda x: softmax(x, 2.0), [(1, 9)], output=UNIT),
    Case("logistic", g.Logistic(["x0"], "y"), lambda x: 1 / (1 + np.exp(-x)), [(1, 3, 2, 4)], output=UNIT),
    Case("relu", g.Relu(["x0"], "y"), lambda x: np.maximum(x, 0), [(1, 3, 2, 4)]),
    # TFLM clamps int8 RELU6 without another scale for its output.
    Case("relu6", g.Relu6(["x0"], "y"), lambda x: np.clip(x, 0, 6), [(1, 3, 2, 4)], output="input"),
]  # fmt: skip


# Graphs of one operator


def quantize(x: g.Array, quantization: g.Quantization) -> g.Array:
    q = np.round(x / quantization.scale[0]) + quantization.zero_point[0]
    return np.clip(q, -128, 127).astype(np.int8)


def dequantize(q: g.Array, quantization: g.Quantization) -> g.Array:
    return (q.astype(np.float64) - quantization.zero_point[0]) * quantization.scale[0]


def range_quantization(x: g.Array) -> g.Quantization:
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.5)
    scale = (high - low) / 255
    return g.Quantization.per_tensor(scale, round(-128 - low / scale))


def int8_constant(case: Case, name: str) -> tuple[g.Tensor, g.Array]:
    """The constant as a tensor, and its real values after quantization."""
    data, axis = case.constants[name]
    if name == "b":
        weights = int8_constant(case, "w")[0].quantization
        assert weights is not None
        scale = weights.scale * INPUT.scale[0]
        q = np.round(data / scale).astype(np.int32)
        zero = np.zeros_like(scale, np.int32)
        return g.Tensor("b", q.shape, q.dtype, g.Quantization(scale, zero, axis), q), q * scale
    if axis is None:
        scale = np.array([np.abs(data).max() / 127], np.float32)
        spread = scale
    else:
        others = tuple(i for i in range(data.ndim) if i != axis)
        scale = (np.abs(data).max(axis=others) / 127).astype(np.float32)
        spread = scale.reshape([-1 if i == axis else 1 for i in range(data.ndim)])
    q = np.round(data / spread).astype(np.int8)
    quantization = g.Quantization(scale, np.zeros(scale.size, np.int32), axis)
    return g.Tensor(name, q.shape, q.dtype, quantization, q), q * spread


def float_graph(case: Case, inputs: list[g.Array]) -> tuple[g.Graph, g.Array]:
    """The graph and its expected output."""
    constants = [data for data, _ in case.constants.values()]
    expected = case.expected(*inputs, *constants)
    graph = g.Graph(inputs=[f"x{i}" for i in range(len(inputs))], operators=[case.operator], outputs=["y"])
    for name, x in zip(graph.inputs, inputs, strict=True):
        graph.add(g.Tensor(name, x.shape, x.dtype))
    for name, (data, _) in case.constants.items():
        graph.add(g.Tensor(name, data.shape, data.dtype, data=data))
    graph.add(g.Tensor("y", expected.shape, np.dtype(np.float32)))
    return graph, expected


def int8_graph(case: Case, inputs: list[g.Array]) -> tuple[g.Graph, g.Array]:
    """The graph and the real values its output should be near to, from the quantized inputs and weights."""
    constants = [int8_constant(case, name) for name in case.constants]
    expected = case.expected(*[dequantize(x, INPUT) for x in inputs], *[real for _, real in constants])
    output = {"range": range_quantization(expected), "input": INPUT}.get(str(case.output), case.output)
    graph = g.Graph(inputs=[f"x{i}" for i in range(len(inputs))], operators=[case.operator], outputs=["y"])
    for name, x in zip(graph.inputs, inputs, strict=True):
        graph.add(g.Tensor(name, x.shape, x.dtype, INPUT))
    for tensor, _ in constants:
        graph.add(tensor)
    graph.add(g.Tensor("y", expected.shape, np.dtype(np.int8), output))
    return graph, expected


def activations(case: Case, dtype: Any) -> list[g.Array]:
    generator = np.random.default_rng(1)
    real = [generator.uniform(-1.9, 1.9, shape).astype(np.float32) for shape in case.inputs]
    return [quantize(x, INPUT) if dtype == np.int8 else x for x in real]


# The judge


def run_tflm(model: bytes, inputs: list[g.Array]) -> g.Array:
    tflite_micro = pytest.importorskip("tflite_micro", reason="tflite-micro is not installed: no TFLM to compare with")
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(model)
    for index, x in enumerate(inputs):
        interpreter.set_input(x, index)
    interpreter.invoke()
    return np.array(interpreter.get_output(0))


def assert_near(y: g.Array, expected: g.Array, quantization: g.Quantization | None, name: str) -> None:
    """int8 output within one LSB, and a hair for the rounding of bias and multiplier, of the real values."""
    assert quantization is not None and y.shape == expected.shape
    clipped = np.clip(expected, *dequantize(np.array([-128, 127]), quantization))
    error = np.abs(dequantize(y, quantization) - clipped).max() / quantization.scale[0]
    assert error <= 1.01, f"{name}: {error} LSB from the real values"
