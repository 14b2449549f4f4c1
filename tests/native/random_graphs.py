"""Random small int8 graphs: every operator, odd shapes, quantisation parameters at their extremes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from smidgen import graph as g

# Larger accumulators or factors would overflow int32 where TFLite's kernels have undefined behaviour.
_ACCUMULATOR_LIMIT = 2**31 - 1
_SCALES = st.sampled_from([0.00392156862745098, 0.0078125, 0.02, 0.1, 0.5, 1.0, 0.0001, 3.7])
_ZERO_POINTS = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))
_ACTIVATIONS = st.sampled_from(list(g.Activation))


class _Builder:
    """A graph that grows operator by operator from its last tensor."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.graph = g.Graph(name="random")
        height, width, channels = (draw(st.integers(1, limit)) for limit in (9, 7, 6))
        self.last = self.activation((1, height, width, channels))
        self.graph.inputs = [self.last.name]
        self.history = [self.last]

    def activation(self, shape: tuple[int, ...], like: g.Tensor | None = None) -> g.Tensor:
        quantization = (
            like.quantization if like else g.Quantization.per_tensor(self.draw(_SCALES), self.draw(_ZERO_POINTS))
        )
        return self.graph.add(g.Tensor(self.graph.new_name("t"), shape, np.dtype(np.int8), quantization))

    def constant(self, data: Any, quantization: g.Quantization | None = None) -> g.Tensor:
        array = np.asarray(data)
        return self.graph.add(g.Tensor(self.graph.new_name("c"), array.shape, array.dtype, quantization, array))

    def append(self, operator: g.Operator, output: g.Tensor) -> None:
        self.graph.operators.append(operator)
        self.last = output
        self.history.append(output)

    def clamp(self, output: g.Tensor) -> g.Activation:
        """An activation that leaves the output some range."""
        activation = self.draw(_ACTIVATIONS)
        assert output.quantization is not None
        scale, zero_point = float(output.quantization.scale[0]), int(output.quantization.zero_point[0])
        low, high = (zero_point + bound / scale for bound in activation.bounds)
        return activation if low <= 127 and high >= -128 else g.Activation.NONE

    def weights(
        self, shape: tuple[int, ...], axis: int, per_tap: int, source: g.Tensor, output: g.Tensor
    ) -> tuple[str, str | None]:
        """int8 weights whose factors keep every accumulator in range, and perhaps a bias."""
        draw, random = self.draw, self.random
        style = draw(st.sampled_from(["any", "sparse", "extreme", "few", "dead"]))
        values = random.integers(-127, 128, shape)
        if style == "sparse":
            values = np.where(random.random(shape) < 0.8, 0, values)
        elif style == "extreme":
            values = random.choice([-127, 127], shape)
        elif style == "few":
            values = random.integers(-2, 3, shape)
        elif style == "dead":  # outputs that read nothing, and inputs that no output reads
            alive = [random.random(size) < 0.6 for size in (shape[axis], shape[-1])]
            values = np.moveaxis(values, axis, 0)
            values[~alive[0]] = 0
            values = np.moveaxis(values, 0, axis)
            values[..., ~alive[1]] = 0
        channels = shape[axis]
        assert source.quantization is not None and output.quantization is not None
        input_scale, output_scale = float(source.quantization.scale[0]), float(output.quantization.scale[0])
        largest = per_tap * 255 * 127
        bias_limit = draw(st.sampled_from([0, 100, 2**15 + 5, 2**20, _ACCUMULATOR_LIMIT - largest - 1]))
        count = 1 if draw(st.booleans()) else channels
        factors = np.exp(random.uniform(math.log(1e-9), math.log(0.9 * 2**31 / (largest + bias_limit)), count))
        scale = (factors * output_scale / input_scale).astype(np.float32)
        quantization = g.Quantization(scale, np.zeros(count, np.int32), axis if count > 1 else None)
        weights = self.constant(values.astype(np.int8), quantization)
        if bias_limit == 0:
            return weights.name, None
        bias = random.integers(-bias_limit, bias_limit + 1, channels).astype(np.int32)
        bias_scale = (np.float32(input_scale) * scale).astype(np.float32)
        bias_quantization = g.Quantization(bias_scale, np.zeros(count, np.int32), 0 if count > 1 else None)
        return weights.name, self.constant(bias, bias_quantization).name

    def window(
        self, kernel: tuple[int, int], dilation: tuple[int, int]
    ) -> tuple[tuple[int, int], g.Padding, tuple[int, int]] | None:
        """Stride, padding and output size, as SAME or VALID would give them."""
        size = self.last.shape[1:3]
        stride = (self.draw(st.integers(1, 4)), self.draw(st.integers(1, 4)))
        spans = [(kernel[i] - 1) * dilation[i] + 1 for i in range(2)]
        if self.draw(st.booleans()):
            out = [-(-size[i] // stride[i]) for i in range(2)]
            total = [max((out[i] - 1) * stride[i] + spans[i] - size[i], 0) for i in range(2)]
            padding = g.Padding(total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
            return stride, padding, (out[0], out[1])
        if size[0] < spans[0] or size[1] < spans[1]:
            return None
        return stride, g.Padding(), ((size[0] - spans[0]) // stride[0] + 1, (size[1] - spans[1]) // stride[1] + 1)

    def kernel(self) -> tuple[tuple[int, int], tuple[int, int]]:
        kernel = (self.draw(st.integers(1, 4)), self.draw(st.integers(1, 4)))
        dilation = (self.draw(st.integers(1, 2)), self.draw(st.integers(1, 2)))
        return kernel, dilation


def _conv_2d(b: _Builder) -> None:
    kernel, dilation = b.kernel()
    window = b.window(kernel, dilation)
    if window is None:
        return
    source, channels = b.last, b.draw(st.integers(1, 9))
    output = b.activation((1, *window[2], channels))
    taps = kernel[0] * kernel[1] * source.shape[3]
    weights, bias = b.weights((channels, *kernel, source.shape[3]), 0, taps, source, output)
    operator = g.Conv2D([source.name], output.name, weights=weights, bias=bias, stride=window[0], padding=window[1],
                        dilation=dilation, activation=b.clamp(output))  # fmt: skip
    b.append(operator, output)


def _depthwise_conv_2d(b: _Builder) -> None:
    kernel, dilation = b.kernel()
    window = b.window(kernel, dilation)
    if window is None:
        return
    source = b.last
    channels = source.shape[3] * b.draw(st.integers(1, 3))
    output = b.activation((1, *window[2], channels))
    weights, bias = b.weights((1, *kernel, channels), 3, kernel[0] * kernel[1], source, output)
    operator = g.DepthwiseConv2D([source.name], output.name, weights=weights, bias=bias, stride=window[0],
                                 padding=window[1], dilation=dilation, activation=b.clamp(output))  # fmt: skip
    b.append(operator, output)


def _fully_connected(b: _Builder) -> None:
    source, units = b.last, b.draw(st.integers(1, 9))
    output = b.activation((1, units))
    weights, bias = b.weights((units, source.elements), 0, source.elements, source, output)
    b.append(
        g.FullyConnected([source.name], output.name, weights=weights, bias=bias, activation=b.clamp(output)), output
    )


def _second_operand(b: _Builder) -> g.Tensor:
    """An earlier tensor of the same shape, or a constant that is broadcast."""
    source = b.last
    if b.draw(st.booleans()):
        return b.draw(st.sampled_from([tensor for tensor in b.history if tensor.shape == source.shape]))
    shape = b.draw(st.sampled_from([source.shape, (source.shape[-1],), (1,)]))
    data = b.random.integers(-128, 128, shape).astype(np.int8)
    return b.constant(data, g.Quantization.per_tensor(b.draw(_SCALES), b.draw(_ZERO_POINTS)))


def _scale_of(tensor: g.Tensor) -> float:
    assert tensor.quantization is not None
    return float(tensor.quantization.scale[0])


def _add(b: _Builder) -> None:
    source, other = b.last, _second_operand(b)
    output = b.activation(source.shape)
    if 2 * max(_scale_of(source), _scale_of(other)) / (2**20 * _scale_of(output)) >= 1:
        return
    inputs = [source.name, other.name] if b.draw(st.booleans()) or other.is_constant else [other.name, source.name]
    b.append(g.Add(inputs, output.name, activation=b.clamp(output)), output)


def _mul(b: _Builder) -> None:
    source, other = b.last, _second_operand(b)
    output = b.activation(source.shape)
    if _scale_of(source) * _scale_of(other) / _scale_of(output) * 255 * 255 >= 2**31:
        return
    b.append(g.Mul([source.name, other.name], output.name, activation=b.clamp(output)), output)


def _pool(kind: type[g.AveragePool2D] | type[g.MaxPool2D]) -> Any:
    def build(b: _Builder) -> None:
        kernel, _ = b.kernel()
        window = b.window(kernel, (1, 1))
        if window is None:
            return
        output = b.activation((1, *window[2], b.last.shape[3]), like=b.last)
        operator = kind(
            [b.last.name], output.name, kernel=kernel, stride=window[0], padding=window[1], activation=b.clamp(output)
        )
        b.append(operator, output)

    return build


def _mean(b: _Builder) -> None:
    axes = b.draw(st.sampled_from([(1, 2), (1,), (2,), (3,), (2, 3)]))
    keep_dims = b.draw(st.booleans())
    shape = [size for axis, size in enumerate(b.last.shape) if axis not in axes] if not keep_dims else None
    kept = (
        tuple(shape)
        if shape is not None
        else tuple(1 if axis in axes else size for axis, size in enumerate(b.last.shape))
    )
    output = b.activation(kept, like=b.last if b.draw(st.booleans()) else None)
    if _scale_of(b.last) / _scale_of(output) * 255 * b.last.elements >= 2**31:
        return
    b.append(g.Mean([b.last.name], output.name, axes=axes, keep_dims=keep_dims), output)


def _pad(b: _Builder) -> None:
    paddings = ((0, 0), *((b.draw(st.integers(0, 2)), b.draw(st.integers(0, 2))) for _ in range(3)))
    shape = tuple(size + sum(pad) for size, pad in zip(b.last.shape, paddings, strict=True))
    output = b.activation(shape, like=b.last)
    b.append(g.Pad([b.last.name], output.name, paddings=paddings), output)


def _concatenation(b: _Builder) -> None:
    axis = b.draw(st.integers(1, len(b.last.shape) - 1))
    quantization = b.last.quantization
    others = [t for t in b.history if t.quantization == quantization and _stackable(t.shape, b.last.shape, axis)]
    parts = [b.last, b.draw(st.sampled_from(others))]
    size = sum(part.shape[axis] for part in parts)
    shape = b.last.shape[:axis] + (size,) + b.last.shape[axis + 1 :]
    output = b.activation(shape, like=b.last)
    b.append(g.Concatenation([part.name for part in parts], output.name, axis=axis), output)


def _stackable(first: tuple[int, ...], second: tuple[int, ...], axis: int) -> bool:
    return len(first) == len(second) and all(
        a == b for i, (a, b) in enumerate(zip(first, second, strict=True)) if i != axis
    )


def _reshape(b: _Builder) -> None:
    _, height, width, channels = b.last.shape
    output = b.activation((1, width, channels, height), like=b.last)
    b.append(g.Reshape([b.last.name], output.name), output)


def _fixed_output(b: _Builder) -> g.Tensor:
    """SOFTMAX and LOGISTIC give probabilities."""
    output = b.activation(b.last.shape)
    output.quantization = g.Quantization.per_tensor(1 / 256, -128)
    return output


def _softmax(b: _Builder) -> None:
    output = _fixed_output(b)
    b.append(g.Softmax([b.last.name], output.name, beta=b.draw(st.sampled_from([1.0, 0.5, 2.0]))), output)


def _logistic(b: _Builder) -> None:
    output = _fixed_output(b)
    b.append(g.Logistic([b.last.name], output.name), output)


def _unary(kind: type[g.Operator], rescales: bool) -> Any:
    def build(b: _Builder) -> None:
        output = b.activation(b.last.shape, like=None if rescales and b.draw(st.booleans()) else b.last)
        if b.draw(st.booleans()) and not rescales:
            output.quantization = b.last.quantization
        b.append(kind([b.last.name], output.name), output)

    return build


_ON_IMAGES = [
    _conv_2d, _depthwise_conv_2d, _pool(g.AveragePool2D), _pool(g.MaxPool2D), _mean, _pad, _concatenation, _reshape,
]  # fmt: skip
_ON_ANYTHING = [
    _fully_connected, _add, _mul, _softmax, _logistic,
    _unary(g.Relu, True), _unary(g.Relu6, False), _unary(g.Quantize, True),
]  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> g.Graph:
    """An int8 graph of one to five operators with one input and one output."""
    builder = _Builder(draw)
    for _ in range(draw(st.integers(1, 5))):
        choices = _ON_ANYTHING + (_ON_IMAGES if len(builder.last.shape) == 4 else [])
        draw(st.sampled_from(choices))(builder)
        if builder.last.elements > 4000:
            break
    if not builder.graph.operators:
        _fully_connected(builder)
    builder.graph.outputs = [builder.last.name]
    builder.graph.prune()
    return builder.graph
