"""How each operator of an `.onnx` file becomes operators of the typed graph, or is refused with a reason.

Operator sets 7 to 23: where a parameter has moved from an attribute to an input, both are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen import graph as g
from smidgen.formats.channels_first import Builder, Constant, Value, window_pair
from smidgen.formats.refused import Refused

_UINT8_OFFSET = 128


@dataclass
class Node:
    """One ONNX operator while it is being read. values: its inputs, None where one is left out."""

    builder: Builder
    opset: int
    values: list[Value | Constant | None]
    attributes: dict[str, Any]
    output: str

    def value(self, position: int = 0) -> Value:
        """An input that is computed while the network runs."""
        value = self.values[position] if position < len(self.values) else None
        if not isinstance(value, Value):
            raise Refused(
                f"input {position} is {'missing' if value is None else 'a constant'}; an activation is needed"
            )
        return value

    def constant(self, position: int, what: str) -> Constant:
        value = self.values[position]
        if not isinstance(value, Constant):
            raise Refused(f"its {what} are computed while the network runs; they have to be constant")
        return value

    def optional(self, position: int) -> Value | Constant | None:
        return self.values[position] if position < len(self.values) else None

    def integers(self, name: str, position: int) -> list[int] | None:
        """A list that is an attribute in old operator sets and an input in newer ones."""
        if name in self.attributes:
            return [int(number) for number in np.atleast_1d(self.attributes[name])]
        if self.optional(position) is None:
            return None
        return [int(number) for number in np.atleast_1d(self.constant(position, name).data)]


def _spatial(node: Node, kernel: Sequence[int], extent: Sequence[int]) -> dict[str, Any]:
    """stride, padding and dilation of a window of `kernel` over a picture of `extent`."""
    stride = window_pair(node.attributes.get("strides", [1] * len(kernel)))
    dilation = window_pair(node.attributes.get("dilations", [1] * len(kernel)))
    mode = node.attributes.get("auto_pad", b"NOTSET").decode()
    if mode == "NOTSET":
        pads = [int(pad) for pad in node.attributes.get("pads", [0] * 2 * len(kernel))]
        if len(pads) == 2:
            pads = [0, pads[0], 0, pads[1]]
        padding = g.Padding(pads[0], pads[2], pads[1], pads[3])
    elif mode == "VALID":
        padding = g.Padding()
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        high, wide = window_pair(kernel)
        sizes = window_pair(extent)
        sides = [_same(sizes[i], (high, wide)[i], stride[i], dilation[i], mode == "SAME_UPPER") for i in range(2)]
        padding = g.Padding(*sides[0], *sides[1])
    else:
        raise Refused(f"auto_pad {mode} is not supported")
    return {"stride": stride, "padding": padding, "dilation": dilation}


def _same(size: int, kernel: int, stride: int, dilation: int, upper: bool) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    less, more = total // 2, total - total // 2
    return (less, more) if upper else (more, less)


def _conv(node: Node) -> Value:
    x, weights = node.value(), node.constant(1, "weights")
    if weights.data.ndim not in (3, 4):
        raise Refused(f"weights of {weights.data.ndim} dimensions; 3 (rows) and 4 (pictures) are supported")
    window = _spatial(node, weights.shape[2:], x.shape[2:])
    bias = node.constant(2, "biases") if node.optional(2) is not None else None
    return node.builder.conv(x, weights, bias, **window, group=int(node.attributes.get("group", 1)), name=node.output)


def _gemm(node: Node) -> Value:
    weights = node.constant(1, "weights")
    for name in ("alpha", "beta"):
        if node.attributes.get(name, 1.0) != 1.0:
            raise Refused(f"{name} {node.attributes[name]} is not supported, only 1")
    if node.attributes.get("transA", 0):
        raise Refused("a transposed input (transA) is not supported")
    if not node.attributes.get("transB", 0):
        weights = weights.transposed((1, 0))
    bias = node.constant(2, "biases") if node.optional(2) is not None else None
    return node.builder.dense(node.value(), weights, bias, node.output)


def _matmul(node: Node) -> Value:
    weights = node.constant(1, "weights")
    if weights.data.ndim != 2:
        raise Refused(f"weights of shape {list(weights.shape)}; a matrix is supported")
    return node.builder.dense(node.value(), weights.transposed((1, 0)), None, node.output)


def _binary(kind: type[g.Add] | type[g.Mul]) -> Callable[[Node], Value]:
    def build(node: Node) -> Value:
        first, second = node.values
        if isinstance(first, Constant):
            first, second = second, first
        if not isinstance(first, Value) or second is None:
            raise Refused("both operands are constant")
        return node.builder.binary(kind, first, second, node.output)

    return build


def _sub(node: Node) -> Value:
    constant = _real(node.constant(1, "second operand"))
    return node.builder.binary(g.Add, node.value(), Constant(constant.name, -constant.data), node.output)


def _div(node: Node) -> Value:
    constant = _real(node.constant(1, "second operand"))
    return node.builder.binary(g.Mul, node.value(), Constant(constant.name, 1 / constant.data), node.output)


def _real(constant: Constant) -> Constant:
    return Constant(constant.name, constant.real)


def _batch_normalization(node: Node) -> Value:
    """(x - mean) * scale / sqrt(variance + epsilon) + bias, per channel: one MUL, one ADD."""
    x = node.value()
    if x.quantized:
        raise Refused("batch normalisation has to be folded into the convolution before it before quantising")
    scale, bias, mean, variance = (node.constant(i, "parameters").real.astype(np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    shape = (1, -1, *[1] * (len(x.shape) - 2))
    factors = Constant(f"{node.output}_factor", factor.astype(np.float32).reshape(shape))
    offsets = Constant(f"{node.output}_offset", (bias - mean * factor).astype(np.float32).reshape(shape))
    scaled = node.builder.binary(g.Mul, x, factors, f"{node.output}_scaled")
    return node.builder.binary(g.Add, scaled, offsets, node.output)


def _pool(kind: type[g.AveragePool2D] | type[g.MaxPool2D]) -> Callable[[Node], Value]:
    def build(node: Node) -> Value:
        x = node.value()
        kernel = [int(size) for size in node.attributes["kernel_shape"]]
        window = _spatial(node, kernel, x.shape[2:])
        if window.pop("dilation") != (1, 1):
            raise Refused("a dilated pool is not supported")
        if node.attributes.get("ceil_mode", 0) and not _divides(x.shape[2:], kernel, window):
            raise Refused("ceil_mode is not supported where it adds a window beyond the border")
        padding = window["padding"]
        if kind is g.AveragePool2D and node.attributes.get("count_include_pad", 0) and not padding.is_zero:
            around = [(0, 0), (0, 0), (padding.top, padding.bottom), (padding.left, padding.right)]
            x = node.builder.pad(x, around if len(x.shape) == 4 else [*around[:2], around[3]], f"{node.output}_padded")
            window["padding"] = g.Padding()
        return node.builder.pool(x, kind, window_pair(kernel), **window, name=node.output)

    return build


def _divides(extent: Sequence[int], kernel: Sequence[int], window: dict[str, Any]) -> bool:
    padding, sizes, spans = window["padding"], window_pair(extent), window_pair(kernel)
    pads = (padding.top + padding.bottom, padding.left + padding.right)
    return all((sizes[i] + pads[i] - spans[i]) % window["stride"][i] == 0 for i in range(2))


def _global_average(node: Node) -> Value:
    x = node.value()
    return node.builder.mean(x, range(2, len(x.shape)), True, node.output)


def _global_max(node: Node) -> Value:
    x = node.value()
    kernel = window_pair(x.shape[2:])
    return node.builder.pool(x, g.MaxPool2D, kernel, (1, 1), g.Padding(), node.output)


def _reduce_mean(node: Node) -> Value:
    x = node.value()
    axes = node.integers("axes", 1) or list(range(len(x.shape)))
    return node.builder.mean(x, axes, bool(node.attributes.get("keepdims", 1)), node.output)


def _unary(kind: type[g.Operator]) -> Callable[[Node], Value]:
    return lambda node: node.builder.unary(kind, node.value(), node.output)


def _clip(node: Node) -> Value:
    bounds = [
        node.attributes[name] if name in node.attributes
        else float(node.constant(i, name).real) if node.optional(i) is not None
        else None
        for i, name in ((1, "min"), (2, "max"))
    ]  # fmt: skip
    if bounds == [0.0, 6.0]:
        return node.builder.unary(g.Relu6, node.value(), node.output)
    if bounds[0] == 0.0 and (bounds[1] is None or bounds[1] > 1e30):
        return node.builder.unary(g.Relu, node.value(), node.output)
    raise Refused(f"a clip to {bounds[0]} .. {bounds[1]} is not supported, only 0 .. 6 and 0 .. infinity")


def _softmax(node: Node) -> Value:
    x = node.value()
    axis = int(node.attributes.get("axis", -1 if node.opset >= 13 else 1)) % len(x.shape)
    if node.opset < 13 and axis != len(x.shape) - 1:
        raise Refused(f"a softmax over all axes from {axis} on is not supported")
    return node.builder.softmax(x, axis, node.output)


def _pad(node: Node) -> Value:
    x = node.value()
    mode = node.attributes.get("mode", b"constant").decode()
    value = node.attributes.get("value", 0.0)
    if node.optional(2) is not None:
        value = float(node.constant(2, "padding value").real)
    pads = node.integers("pads", 1) or []
    if mode != "constant" or value != 0 or len(pads) != 2 * len(x.shape):
        raise Refused(f"padding of kind {mode} with {value:g} and {len(pads)} sizes is not supported, only zeros")
    half = len(pads) // 2
    return node.builder.pad(x, list(zip(pads[:half], pads[half:], strict=True)), node.output)


def _concat(node: Node) -> Value:
    values = [node.value(i) for i in range(len(node.values))]
    return node.builder.concatenate(values, int(node.attributes["axis"]), node.output)


def _reshape(node: Node) -> Value:
    x = node.value()
    wanted = node.integers("shape", 1) or []
    if not node.attributes.get("allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    try:
        return x.arranged(x.positions.reshape(wanted))
    except ValueError:
        raise Refused(f"{x.elements} elements cannot become {wanted}") from None


def _flatten(node: Node) -> Value:
    x = node.value()
    axis = int(node.attributes.get("axis", 1))
    rows = int(np.prod(x.shape[:axis], dtype=int))
    return x.arranged(x.positions.reshape(rows, -1))


def _transpose(node: Node) -> Value:
    x = node.value()
    return x.arranged(x.positions.transpose(node.attributes.get("perm")))


def _squeeze(node: Node) -> Value:
    x = node.value()
    axes = node.integers("axes", 1)
    wanted = [axis for axis, size in enumerate(x.shape) if size == 1] if axes is None else axes
    return x.arranged(np.squeeze(x.positions, tuple(wanted)))


def _unsqueeze(node: Node) -> Value:
    x = node.value()
    return x.arranged(np.expand_dims(x.positions, tuple(node.integers("axes", 1) or ())))


def _same_value(node: Node) -> Value:
    return node.value()


def _quantize_linear(node: Node) -> Value:
    return node.builder.quantize(node.value(), activation_quantization(node))


def activation_quantization(node: Node) -> g.Quantization:
    """Scale and zero point of QuantizeLinear; uint8 is expressed as int8."""
    scale, zero_point = node.constant(1, "scale"), node.optional(2)
    kind = np.dtype(np.uint8) if zero_point is None else node.constant(2, "zero point").data.dtype
    if scale.data.size != 1 or kind not in (np.dtype(np.int8), np.dtype(np.uint8)):
        raise Refused(
            f"activations with {scale.data.size} scales of type {kind}; one scale, int8 or uint8 is supported"
        )
    if not (np.isfinite(scale.real).all() and np.all(scale.real > 0)):
        raise Refused(f"scale {scale.real.reshape(-1)[0]:g}; it must be finite and above 0")
    point = 0 if zero_point is None else int(node.constant(2, "zero point").data.reshape(-1)[0])
    return g.Quantization.per_tensor(float(scale.real.reshape(-1)[0]), point - (kind == np.uint8) * _UINT8_OFFSET)


BUILDERS: dict[str, Callable[[Node], Value]] = {
    "Add": _binary(g.Add),
    "AveragePool": _pool(g.AveragePool2D),
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "DequantizeLinear": _same_value,
    "Div": _div,
    "Dropout": _same_value,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "Identity": _same_value,
    "MatMul": _matmul,
    "MaxPool": _pool(g.MaxPool2D),
    "Mul": _binary(g.Mul),
    "Pad": _pad,
    "QuantizeLinear": _quantize_linear,
    "ReduceMean": _reduce_mean,
    "Relu": _unary(g.Relu),
    "Reshape": _reshape,
    "Sigmoid": _unary(g.Logistic),
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _sub,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
