"""Builds a typed graph, which is channels last, from operators that are channels first (ONNX, PyTorch).

Nothing is transposed while the network runs. Every value remembers where its elements lie in the tensor of the graph
that holds it, so Transpose, Reshape and Flatten cost nothing, and a dense layer after a Flatten gets its weights in
the order in which the elements lie. What would need data to be moved is refused.

Tensors are float32. Where the model says how a tensor is quantised (QDQ), the tensor carries that `Quantization`;
`annotated.py` makes an int8 graph of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smidgen import graph as g
from smidgen.formats.refused import Refused

FLOAT = np.dtype(np.float32)
_MAX_RANK = 4

Order = NDArray[np.int64]


@dataclass(frozen=True)
class Value:
    """An activation as the model sees it: its element i is element order[i] of the graph's tensor, both flat."""

    tensor: str
    shape: tuple[int, ...]
    order: Order
    quantized: bool = False  # the model has rounded it to integers

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def positions(self) -> Order:
        """`order` in the model's shape."""
        return self.order.reshape(self.shape)

    def arranged(self, positions: Order) -> Value:
        """The same elements in another shape or order: `positions` of another view of this value."""
        return replace(self, shape=positions.shape, order=positions.reshape(-1))

    @property
    def is_plain(self) -> bool:
        """Whether the model and the graph agree on the order of elements."""
        return bool(np.array_equal(self.order, np.arange(self.order.size)))


@dataclass(frozen=True)
class Constant:
    """A constant in the model's layout: real values, or integers with the `Quantization` that gives them meaning."""

    name: str
    data: g.Array
    quantization: g.Quantization | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def real(self) -> NDArray[np.float32]:
        """Real values."""
        return g.Tensor(self.name, self.shape, self.data.dtype, self.quantization, self.data).dequantized()

    def transposed(self, axes: Sequence[int]) -> Constant:
        """With its axes in another order; the axis of scales goes along."""
        quantization = self.quantization
        if quantization is not None and quantization.axis is not None:
            quantization = replace(quantization, axis=list(axes).index(quantization.axis))
        return replace(self, data=np.ascontiguousarray(self.data.transpose(axes)), quantization=quantization)


def channels_first(channels: int, height: int, width: int) -> Order:
    """Where the elements of [1, channels, height, width] lie in [1, height, width, channels]."""
    order: Order = np.arange(height * width * channels).reshape(height, width, channels).transpose(2, 0, 1)
    return order[None]


class Builder:
    """Adds operators to `graph`, one call for each; a call that cannot be run raises Refused and adds nothing."""

    def __init__(self) -> None:
        self.graph = g.Graph()
        self.source = ""  # of the operator that is being built, for messages

    def input(self, name: str, shape: tuple[int, ...], channels_last: bool) -> Value:
        """An input of the network. channels_last: the graph keeps [1, C, H, W] as [1, H, W, C]."""
        if channels_last:
            _, *spatial = shape
            channels, height, width = spatial[0], math.prod(spatial[1:-1]), spatial[-1]
            value = self._new(name, (1, height, width, channels), shape, channels_first(channels, height, width))
        else:
            value = self._new(name, shape, shape, np.arange(math.prod(shape)))
        self.graph.inputs.append(value.tensor)
        return value

    def output(self, value: Value) -> None:
        """Make `value` an output of the network. Its elements come in the order of the graph's tensor."""
        self.graph.outputs.append(value.tensor)

    def quantize(self, value: Value, quantization: g.Quantization) -> Value:
        """`value` rounded to integers: its tensor is annotated, or, if it is integer already, requantised."""
        tensor = self.graph.tensors[value.tensor]
        if tensor.quantization is None or same_quantization(tensor.quantization, quantization):
            tensor.quantization = quantization
            return replace(value, quantized=True)
        if not value.quantized:
            raise Refused(
                f"tensor {value.tensor!r} is quantised twice, with scale {tensor.quantization.scale[0]:g} and "
                f"{quantization.scale[0]:g}; one scale for each tensor is supported"
            )
        result = self._like(value, f"{value.tensor}_requantized")
        self.graph.tensors[result.tensor].quantization = quantization
        self._add(g.Quantize([value.tensor], result.tensor))
        return replace(result, quantized=True)

    def conv(
        self,
        x: Value,
        weights: Constant,
        bias: Constant | None,
        stride: tuple[int, int],
        padding: g.Padding,
        dilation: tuple[int, int],
        group: int,
        name: str,
    ) -> Value:
        """Convolution with weights [out, in / group, kernel_h, kernel_w]; 1-D ones have height 1."""
        channels, height, width = self._image(x)
        outputs, per_group, *kernel = weights.shape
        kernel = kernel if len(kernel) == 2 else [1, *kernel]
        weights = replace(weights, data=weights.data.reshape(outputs, per_group, *kernel))
        if per_group * group != channels or outputs % group:
            raise Refused(f"weights of shape {list(weights.shape)} with group {group} do not fit {channels} channels")
        size = [
            _positions(extent, kernel[i], stride[i], dilation[i], pads)
            for i, (extent, pads) in enumerate(
                ((height, (padding.top, padding.bottom)), (width, (padding.left, padding.right)))
            )
        ]
        operator: type[g.Conv2D] | type[g.DepthwiseConv2D]
        if group == 1:
            operator, weights = g.Conv2D, weights.transposed((0, 2, 3, 1))
        elif per_group == 1:
            operator, weights = g.DepthwiseConv2D, weights.transposed((1, 2, 3, 0))
        else:
            raise Refused(f"a convolution in {group} groups of {per_group} channels is not supported")
        shape = (1, outputs, *size) if len(x.shape) == 4 else (1, outputs, size[1])
        source = self._as_image(x)
        result = self._new(name, (1, *size, outputs), shape, channels_first(outputs, *size))
        self._add(
            operator(
                [source], result.tensor, stride=stride, padding=padding, dilation=dilation,
                weights=self._constant(weights), bias=self._bias(bias, outputs),
            )
        )  # fmt: skip
        return result

    def dense(self, x: Value, weights: Constant, bias: Constant | None, name: str) -> Value:
        """x [rows, in] times weights [out, in], transposed, plus bias [out]."""
        outputs, inputs = weights.shape
        if x.shape[-1] != inputs:
            raise Refused(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
        rows = x.elements // inputs
        order = x.order.reshape(rows, inputs) - np.arange(rows)[:, None] * inputs
        if np.any(order != order[0]) or np.any(order[0] < 0) or np.any(order[0] >= inputs):
            raise Refused("its input would have to be transposed while the network runs, which is not supported")
        weights = replace(weights, data=np.ascontiguousarray(weights.data[:, np.argsort(order[0])]))
        shape = (*x.shape[:-1], outputs)
        result = self._new(name, (rows, outputs), shape, np.arange(rows * outputs))
        self._add(
            g.FullyConnected([x.tensor], result.tensor, weights=self._constant(weights), bias=self._bias(bias, outputs))
        )
        return result

    def pool(
        self,
        x: Value,
        kind: type[g.AveragePool2D] | type[g.MaxPool2D],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: g.Padding,
        name: str,
    ) -> Value:
        """Average (over elements inside the picture) or largest of each window."""
        channels, height, width = self._image(x)
        size = (
            _positions(height, kernel[0], stride[0], 1, (padding.top, padding.bottom)),
            _positions(width, kernel[1], stride[1], 1, (padding.left, padding.right)),
        )
        shape = (1, channels, *size) if len(x.shape) == 4 else (1, channels, size[1])
        source = self._as_image(x)
        result = self._new(name, (1, *size, channels), shape, channels_first(channels, *size))
        self._add(kind([source], result.tensor, stride=stride, padding=padding, kernel=kernel))
        return result

    def mean(self, x: Value, axes: Sequence[int], keep_dims: bool, name: str) -> Value:
        """Mean over axes of the model's shape: all but the channels, or any where the orders agree."""
        rank = len(x.shape)
        normal = tuple(sorted({axis % rank for axis in axes}))
        kept = tuple(1 if axis in normal else size for axis, size in enumerate(x.shape))
        shape = kept if keep_dims else tuple(size for axis, size in enumerate(x.shape) if axis not in normal)
        if rank in (3, 4) and normal == tuple(range(2, rank)) and x.shape[0] == 1:
            channels = x.shape[1]
            source = self._as_image(x)
            result = self._new(name, (1, 1, 1, channels), shape, np.arange(channels))
            self._add(g.Mean([source], result.tensor, axes=(1, 2), keep_dims=True))
            return result
        if not x.is_plain or len(shape) == 0:
            raise Refused(f"a mean over axes {list(normal)} of {list(x.shape)} is not supported")
        source = self._reshaped(x, x.shape)
        result = self._new(name, kept, shape, np.arange(math.prod(kept)))
        self._add(g.Mean([source], result.tensor, axes=normal, keep_dims=True))
        return result

    def binary(self, kind: type[g.Add] | type[g.Mul], a: Value, b: Value | Constant, name: str) -> Value:
        """Elementwise; a constant is broadcast."""
        if isinstance(b, Constant):
            constant = self._broadcast(a, b)
            result = self._like(a, name)
            self._add(kind([a.tensor, constant], result.tensor))
            return result
        if a.elements < b.elements:
            a, b = b, a
        if a.elements == b.elements:
            if not np.array_equal(a.order, b.order):
                raise Refused("its operands would have to be transposed while the network runs, which is not supported")
            first, second = a.tensor, self._reshaped(b, self._shape(a))
        else:
            first, second = a.tensor, self._broadcast_activation(a, b)
        result = self._like(a, name)
        self._add(kind([first, second], result.tensor))
        return result

    def unary(self, kind: type[g.Operator], x: Value, name: str) -> Value:
        """Relu, Relu6, Logistic: elementwise."""
        result = self._like(x, name)
        self._add(kind([x.tensor], result.tensor))
        return result

    def softmax(self, x: Value, axis: int, name: str) -> Value:
        """Over an axis that is the last one of the graph's tensor, or can be."""
        axis %= len(x.shape)
        rows = np.moveaxis(x.positions, axis, -1).reshape(-1, x.shape[axis])
        if np.any(np.diff(rows, axis=1) != 1) or np.any(rows[:, 0] % x.shape[axis]):
            raise Refused(f"a softmax over axis {axis} of {list(x.shape)} is not supported")
        source = self._reshaped(x, (len(rows), x.shape[axis]))
        result = self._new(name, (len(rows), x.shape[axis]), x.shape, x.order)
        self._add(g.Softmax([source], result.tensor))
        return result

    def pad(self, x: Value, paddings: Sequence[tuple[int, int]], name: str) -> Value:
        """Zeros round the picture: paddings before and after each axis of the model's shape."""
        channels, height, width = self._image(x)
        before, channel, *rest = [(int(a), int(b)) for a, b in paddings]
        front, (vertical, horizontal) = (before, channel), rest if len(rest) == 2 else [(0, 0), *rest]
        if any(pair != (0, 0) for pair in front):
            raise Refused("padding of batch or channels is not supported")
        if min(*vertical, *horizontal) < 0:
            raise Refused(f"a negative padding ({[vertical, horizontal]}) is not supported")
        size = (height + sum(vertical), width + sum(horizontal))
        shape = (1, channels, *size) if len(x.shape) == 4 else (1, channels, size[1])
        source = self._as_image(x)
        result = self._new(name, (1, *size, channels), shape, channels_first(channels, *size))
        self._add(g.Pad([source], result.tensor, paddings=((0, 0), vertical, horizontal, (0, 0))))
        return result

    def concatenate(self, values: Sequence[Value], axis: int, name: str) -> Value:
        """Along an axis of the model's shape."""
        first = values[0]
        axis %= len(first.shape)
        size = sum(value.shape[axis] for value in values)
        shape = (*first.shape[:axis], size, *first.shape[axis + 1 :])
        if len(first.shape) in (3, 4) and not all(value.is_plain for value in values):
            images = [self._as_image(value) for value in values]
            graph_axis = {1: 3, len(shape) - 1: 2}.get(axis, 1 if axis == 2 else 0)
            channels, height, width = _extent(shape)
            result = self._new(name, (1, height, width, channels), shape, channels_first(channels, height, width))
        elif all(value.is_plain for value in values):
            images = [self._reshaped(value, value.shape) for value in values]
            graph_axis, result = axis, self._new(name, shape, shape, np.arange(math.prod(shape)))
        else:
            raise Refused("its inputs would have to be transposed while the network runs, which is not supported")
        self._add(g.Concatenation(images, result.tensor, axis=graph_axis))
        return result

    def _new(self, name: str, graph_shape: tuple[int, ...], shape: tuple[int, ...], order: Order) -> Value:
        if len(graph_shape) > _MAX_RANK or any(size < 1 for size in graph_shape):
            raise Refused(f"a tensor of shape {list(graph_shape)} is not supported")
        tensor = self.graph.add(g.Tensor(self.graph.new_name(name), graph_shape, FLOAT))
        return Value(tensor.name, shape, order.reshape(-1))

    def _like(self, value: Value, name: str) -> Value:
        return self._new(name, self._shape(value), value.shape, value.order)

    def _shape(self, value: Value) -> tuple[int, ...]:
        return self.graph.tensors[value.tensor].shape

    def _add(self, operator: g.Operator) -> None:
        operator.source = self.source
        self.graph.operators.append(operator)

    def _image(self, x: Value) -> tuple[int, int, int]:
        """Channels, height and width; Refused if the elements do not lie as [1, height, width, channels]."""
        if len(x.shape) not in (3, 4) or x.shape[0] != 1:
            raise Refused(
                f"its input has shape {list(x.shape)}; one picture [1, C, H, W] or row [1, C, L] is supported"
            )
        channels, height, width = _extent(x.shape)
        if not np.array_equal(x.order, channels_first(channels, height, width).reshape(-1)):
            raise Refused("its input would have to be transposed while the network runs, which is not supported")
        return channels, height, width

    def _as_image(self, x: Value) -> str:
        """Name of the tensor with the shape of a picture."""
        channels, height, width = self._image(x)
        return self._reshaped(x, (1, height, width, channels))

    def _reshaped(self, x: Value, shape: tuple[int, ...]) -> str:
        """Name of a tensor with the same elements in the same order, and this shape."""
        if self._shape(x) == shape:
            return x.tensor
        result = self._new(f"{x.tensor}_reshaped", shape, x.shape, x.order)
        self.graph.tensors[result.tensor].quantization = self.graph.tensors[x.tensor].quantization
        self._add(g.Reshape([x.tensor], result.tensor))
        return result.tensor

    def _constant(self, constant: Constant) -> str:
        data = constant.data
        if constant.quantization is None:
            data = data.astype(np.float32)
        name = self.graph.new_name(constant.name)
        return self.graph.add(g.Tensor(name, data.shape, data.dtype, constant.quantization, data)).name

    def _bias(self, bias: Constant | None, outputs: int) -> str | None:
        if bias is None:
            return None
        if bias.data.size != outputs:
            raise Refused(f"it has {bias.data.size} biases for {outputs} output channels")
        return self._constant(replace(bias, data=bias.data.reshape(-1)))

    def _broadcast(self, x: Value, constant: Constant) -> str:
        """A constant operand in the layout of the graph's tensor; one value a channel stays that small."""
        try:
            wide = np.broadcast_to(constant.data, x.shape)
        except ValueError:
            raise Refused(
                f"a constant of shape {list(constant.shape)} cannot be broadcast to {list(x.shape)}"
            ) from None
        flat = np.empty(x.elements, constant.data.dtype)
        flat[x.order] = wide.reshape(-1)
        arranged: g.Array = flat.reshape(self._shape(x))
        rows: g.Array = flat.reshape(-1, self._shape(x)[-1])
        if np.all(rows == rows[0]):
            arranged = rows[0][:1] if np.all(rows[0] == rows[0][0]) else rows[0]
        return self._constant(replace(constant, data=np.ascontiguousarray(arranged)))

    def _broadcast_activation(self, wide: Value, narrow: Value) -> str:
        """A smaller operand that is broadcast over the picture: [1, C, 1, 1] over [1, C, H, W]."""
        channels, *_ = self._image(wide)
        if narrow.elements != channels or narrow.shape[:2] != (1, channels) or not narrow.is_plain:
            raise Refused(f"broadcasting {list(narrow.shape)} over {list(wide.shape)} is not supported")
        return self._reshaped(narrow, (1, 1, 1, channels))


def _extent(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of [1, C, H, W] or [1, C, L]."""
    return shape[1], shape[2] if len(shape) == 4 else 1, shape[-1]


def _positions(extent: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
    if min(kernel, stride, dilation) < 1 or min(pads) < 0:
        raise Refused(f"kernel {kernel}, stride {stride}, dilation {dilation} or padding {pads} is out of range")
    positions = (extent + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1
    if positions < 1:
        raise Refused(f"a window of {(kernel - 1) * dilation + 1} does not fit into {extent} and padding {sum(pads)}")
    return positions


def same_quantization(a: g.Quantization, b: g.Quantization) -> bool:
    """Whether both give the same meaning to integers."""
    return bool(np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point))


def window_pair(values: Sequence[int], default: int = 1) -> tuple[int, int]:
    """(vertical, horizontal) of a list of one or two numbers; one number is horizontal."""
    *vertical, horizontal = (int(value) for value in values)
    return (vertical[0] if vertical else default, horizontal)
