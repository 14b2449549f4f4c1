"""Small .onnx models, made with the package onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [output], **attributes)


def model(
    nodes: Sequence[Any], constants: dict[str, np.ndarray], shape: Sequence[Any], opset: int = OPSET
) -> onnx.ModelProto:
    """From input "x" to the output of the last node."""
    graph = helper.make_graph(
        list(nodes), "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made)


def floats(seed: int, *shape: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1))).astype(np.float32)


def convolutional() -> onnx.ModelProto:
    """What a PyTorch classifier of pictures [3, 12, 10] exports: batch norm, depthwise, residual, flatten."""
    parameters = {
        "w0": floats(0, 8, 3, 3, 3), "b0": floats(1, 8), "gamma": 1 + floats(2, 8), "beta": floats(3, 8),
        "mean": floats(4, 8), "variance": 1 + np.abs(floats(5, 8)), "w1": floats(6, 8, 1, 3, 3), "b1": floats(7, 8),
        "w2": floats(8, 8, 8, 1, 1), "b2": floats(9, 8), "w3": floats(10, 5, 8 * 3 * 2), "b3": floats(11, 5),
        "target": np.array([0, -1], np.int64), "low": np.array(0, np.float32), "high": np.array(6, np.float32),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w0", "b0"], "c0", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["c0", "gamma", "beta", "mean", "variance"], "n0"),
        node("Relu", ["n0"], "r0"),
        node("Conv", ["r0", "w1", "b1"], "c1", pads=[1, 1, 1, 1], group=8),
        node("Clip", ["c1", "low", "high"], "r1"),
        node("Conv", ["r1", "w2", "b2"], "c2"),
        node("Add", ["c2", "r0"], "a"),
        node("MaxPool", ["a"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "target"], "f"),
        node("Gemm", ["f", "w3", "b3"], "g", transB=1),
        node("Softmax", ["g"], "y", axis=1),
    ]
    return model(nodes, parameters, ["batch", 3, 12, 10])


def rows() -> onnx.ModelProto:
    """A network for signals [6, 50]: 1-D convolutions, average pool, mean over time."""
    parameters = {
        "w0": floats(0, 8, 6, 5), "b0": floats(1, 8), "w1": floats(2, 8, 1, 3), "w2": floats(3, 4, 8),
        "axes": np.array([2], np.int64), "b2": floats(4, 4),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w0", "b0"], "c0", pads=[2, 2], strides=[2]),
        node("Relu", ["c0"], "r0"),
        node("Conv", ["r0", "w1"], "c1", pads=[2, 2], dilations=[2], group=8),
        node("Sigmoid", ["c1"], "s"),
        node("AveragePool", ["s"], "p", kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1),
        node("ReduceMean", ["p"], "m", axes=[2], keepdims=0),
        node("Gemm", ["m", "w2", "b2"], "y", transB=1),
    ]
    return model(nodes, parameters, [1, 6, 50])


def joined() -> onnx.ModelProto:
    """Concatenation, padding, transposition, MatMul with a bias of its own, a constant factor."""
    parameters = {
        "w0": floats(0, 5, 2, 1, 1), "w1": floats(1, 3, 2, 3, 3), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        "w2": floats(2, 8 * 4 * 4, 6), "b2": floats(3, 6), "by": np.array([2.0], np.float32),
    }  # fmt: skip
    nodes = [
        node("Mul", ["x", "by"], "d"),
        node("Conv", ["d", "w0"], "c0"),
        node("Pad", ["d", "pads"], "padded"),
        node("Conv", ["padded", "w1"], "c1"),
        node("Concat", ["c0", "c1"], "j", axis=1),
        node("Transpose", ["j"], "t", perm=[0, 2, 3, 1]),
        node("Flatten", ["t"], "f", axis=1),
        node("MatMul", ["f", "w2"], "mm"),
        node("Add", ["mm", "b2"], "y"),
    ]
    return model(nodes, parameters, [1, 2, 4, 4])


def dense() -> onnx.ModelProto:
    """Two dense layers on a vector, the second with its weights transposed and the bias folded."""
    parameters = {"w0": floats(0, 20, 16), "b0": floats(1, 16), "w1": floats(2, 10, 16), "b1": floats(3, 10)}
    nodes = [
        node("Gemm", ["x", "w0", "b0"], "g0"),
        node("Relu", ["g0"], "r0"),
        node("Gemm", ["r0", "w1", "b1"], "y", transB=1),
    ]
    return model(nodes, parameters, [1, 20])


def by_mean() -> onnx.ModelProto:
    """Global pooling, then a picture scaled by its own channels (as squeeze-and-excitation does)."""
    parameters = {"w0": floats(0, 4, 4, 1, 1), "b0": floats(1, 4)}
    nodes = [
        node("GlobalAveragePool", ["x"], "m"),
        node("Conv", ["m", "w0", "b0"], "c"),
        node("Sigmoid", ["c"], "s"),
        node("Mul", ["x", "s"], "k"),
        node("GlobalMaxPool", ["k"], "g"),
        node("Squeeze", ["g", ], "y"),
    ]  # fmt: skip
    return model(nodes, parameters, [1, 4, 5, 6])


def normalised() -> onnx.ModelProto:
    """Pixels made into numbers round 0 first."""
    parameters = {"mean": floats(0, 3, 1, 1), "deviation": 1 + np.abs(floats(1, 3, 1, 1)), "w": floats(2, 4, 3, 2, 2)}
    nodes = [
        node("Sub", ["x", "mean"], "s"),
        node("Div", ["s", "deviation"], "d"),
        node("Conv", ["d", "w"], "y", auto_pad="SAME_LOWER"),
    ]
    return model(nodes, parameters, [1, 3, 5, 4])


MODELS = {made.__name__: made for made in (convolutional, rows, joined, dense, by_mean, normalised)}
