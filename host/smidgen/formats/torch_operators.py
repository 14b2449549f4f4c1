"""How PyTorch's layers and functions become operators of the typed graph, or are refused with a reason."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

from smidgen import graph as g
from smidgen.formats.channels_first import Builder, Constant, Value, window_pair
from smidgen.formats.refused import Refused

Handler = Callable[..., Any]  # (builder, name, module, values...) or (builder, name, arguments...)


def constant(name: str, tensor: torch.Tensor) -> Constant:
    """The values of a parameter or buffer, float32."""
    return Constant(name, tensor.detach().cpu().float().numpy())


def _pair(value: int | Sequence[int], dimensions: int, vertical: int) -> tuple[int, int]:
    numbers = [value] * dimensions if isinstance(value, int) else list(value)
    return window_pair(numbers, vertical)


def _conv(builder: Builder, name: str, module: nn.Conv1d | nn.Conv2d, x: Value) -> Value:
    bias = None if module.bias is None else constant(f"{name}_bias", module.bias)
    return convolution(builder, name, module, x, constant(f"{name}_weight", module.weight), bias)


def convolution(
    builder: Builder, name: str, module: nn.Conv1d | nn.Conv2d, x: Value, weights: Constant, bias: Constant | None
) -> Value:
    """The convolution of `module`, with these weights and biases in place of its own."""
    if module.padding_mode != "zeros":
        raise Refused(f"padding_mode {module.padding_mode!r} is not supported, only 'zeros'")
    rank = len(module.kernel_size)
    stride = _pair(module.stride, rank, 1)
    dilation = _pair(module.dilation, rank, 1)
    padding = _conv_padding(module, rank, dilation)
    return builder.conv(x, weights, bias, stride, padding, dilation, module.groups, name)


def _conv_padding(module: nn.Conv1d | nn.Conv2d, rank: int, dilation: tuple[int, int]) -> g.Padding:
    if isinstance(module.padding, str):
        kernel = window_pair(module.kernel_size)
        totals = [(kernel[i] - 1) * dilation[i] if module.padding == "same" else 0 for i in range(2)]
        return g.Padding(totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2)
    high, wide = _pair(module.padding, rank, 0)
    return g.Padding(high, high, wide, wide)


def _linear(builder: Builder, name: str, module: nn.Linear, x: Value) -> Value:
    bias = None if module.bias is None else constant(f"{name}_bias", module.bias)
    return builder.dense(x, constant(f"{name}_weight", module.weight), bias, name)


def _batch_norm(builder: Builder, name: str, module: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> Value:
    if module.running_mean is None or module.running_var is None:
        raise Refused("batch normalisation without running statistics is not supported")
    if x.quantized:
        raise Refused("batch normalisation has to be folded into the convolution before it before quantising")
    mean, variance = (part.detach().cpu().double().numpy() for part in (module.running_mean, module.running_var))
    factor = 1 / np.sqrt(variance + module.eps)
    offset = -mean * factor
    if module.affine:
        gain, shift = (part.detach().cpu().double().numpy() for part in (module.weight, module.bias))
        factor, offset = factor * gain, offset * gain + shift
    shape = (1, -1, *[1] * (len(x.shape) - 2))
    factors = Constant(f"{name}_factor", factor.astype(np.float32).reshape(shape))
    offsets = Constant(f"{name}_offset", offset.astype(np.float32).reshape(shape))
    scaled = builder.binary(g.Mul, x, factors, f"{name}_scaled")
    return builder.binary(g.Add, scaled, offsets, name)


def _pool(
    kind: type[g.AveragePool2D] | type[g.MaxPool2D], builder: Builder, name: str, x: Value, kernel_size: Any,
    stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None, return_indices: bool = False,
) -> Value:  # fmt: skip
    rank = len(x.shape) - 2
    kernel = _pair(kernel_size, rank, 1)
    steps = kernel if stride is None or stride == [] else _pair(stride, rank, 1)
    high, wide = _pair(padding, rank, 0)
    if _pair(dilation, rank, 1) != (1, 1) or divisor_override is not None or return_indices:
        raise Refused("a pool with dilation, divisor_override or return_indices is not supported")
    extent = window_pair(x.shape[2:])
    ends = [(extent[i] + 2 * (high, wide)[i] - kernel[i]) % steps[i] for i in range(2)]
    if ceil_mode and any(ends):
        raise Refused("ceil_mode is not supported where it adds a window beyond the border")
    around = g.Padding(high, high, wide, wide)
    if kind is g.AveragePool2D and count_include_pad and not around.is_zero:
        zeros = [(0, 0), (0, 0), *[(high, high)] * (rank == 2), (wide, wide)]
        x, around = builder.pad(x, zeros, f"{name}_padded"), g.Padding()
    return builder.pool(x, kind, kernel, steps, around, name)


def _average_pool(builder: Builder, name: str, x: Value, *arguments: Any, **options: Any) -> Value:
    """avg_pool's arguments: kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override."""
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    return _pool(g.AveragePool2D, builder, name, x, **dict(zip(names, arguments, strict=False)), **options)


def _max_pool(builder: Builder, name: str, x: Value, *arguments: Any, **options: Any) -> Value:
    """max_pool's arguments: kernel_size, stride, padding, dilation, ceil_mode, return_indices."""
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return _pool(g.MaxPool2D, builder, name, x, **dict(zip(names, arguments, strict=False)), **options)


def _average_pool_module(builder: Builder, name: str, module: Any, x: Value) -> Value:
    divisor = getattr(module, "divisor_override", None)
    return _average_pool(
        builder, name, x, module.kernel_size, module.stride, module.padding, module.ceil_mode,
        module.count_include_pad, divisor,
    )  # fmt: skip


def _max_pool_module(builder: Builder, name: str, module: Any, x: Value) -> Value:
    return _max_pool(
        builder, name, x, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode,
        module.return_indices,
    )  # fmt: skip


def _adaptive_average(builder: Builder, name: str, x: Value, output_size: Any) -> Value:
    sizes = [output_size] if isinstance(output_size, int) else list(output_size)
    if any(size != 1 for size in sizes):
        raise Refused(f"adaptive pooling to {output_size} is not supported, only to 1")
    return builder.mean(x, range(2, len(x.shape)), True, name)


def _unary(kind: type[g.Operator]) -> Handler:
    return lambda builder, name, x, *_, **__: builder.unary(kind, x, name)


def _hard_tanh(builder: Builder, name: str, x: Value, min_val: float = -1.0, max_val: float = 1.0, *_: Any) -> Value:
    if (min_val, max_val) != (0.0, 6.0):
        raise Refused(f"a clamp to {min_val:g} .. {max_val:g} is not supported, only 0 .. 6")
    return builder.unary(g.Relu6, x, name)


def _softmax(builder: Builder, name: str, x: Value, dim: int | None = None, **_: Any) -> Value:
    return builder.softmax(x, -1 if dim is None else dim, name)


def _mean(builder: Builder, name: str, x: Value, dim: Any = None, keepdim: bool = False, **_: Any) -> Value:
    axes = range(1, len(x.shape)) if dim is None else [dim] if isinstance(dim, int) else dim
    return builder.mean(x, axes, keepdim, name)


def _binary(kind: type[g.Add] | type[g.Mul], negate: bool = False, invert: bool = False) -> Handler:
    def build(builder: Builder, name: str, first: Any, second: Any, *, alpha: float = 1) -> Value:
        if alpha != 1:
            raise Refused(f"alpha {alpha:g} is not supported, only 1")
        if not isinstance(first, Value) and not (negate or invert):
            first, second = second, first
        if not isinstance(first, Value):
            raise Refused("its first operand is a constant")
        if isinstance(second, Value):
            if negate or invert:
                raise Refused("two activations can be added and multiplied only")
            return builder.binary(kind, first, second, name)
        numbers = second.data if isinstance(second, Constant) else np.array([second], np.float32)
        numbers = -numbers if negate else 1 / numbers if invert else numbers
        return builder.binary(kind, first, Constant(f"{name}_constant", np.asarray(numbers, np.float32)), name)

    return build


def _concatenate(builder: Builder, name: str, values: Sequence[Value], dim: int = 0) -> Value:
    return builder.concatenate(values, dim, name)


def _pad(builder: Builder, name: str, x: Value, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Value:
    if mode != "constant" or value not in (None, 0, 0.0):
        raise Refused(f"padding of kind {mode!r} with {value} is not supported, only zeros")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return builder.pad(x, [(0, 0)] * (len(x.shape) - len(pairs)) + pairs, name)


def _pad_module(builder: Builder, name: str, module: nn.ZeroPad2d, x: Value) -> Value:
    return _pad(builder, name, x, module.padding)


def _flatten(_: Builder, __: str, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(x.shape)
    start, end = start_dim % rank, end_dim % rank
    return x.arranged(x.positions.reshape(*x.shape[:start], -1, *x.shape[end + 1 :]))


def _view(_: Builder, __: str, x: Value, *shape: Any) -> Value:
    sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    return x.arranged(x.positions.reshape(sizes))


def _permute(_: Builder, __: str, x: Value, *axes: Any) -> Value:
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return x.arranged(x.positions.transpose(order))


def _transpose(_: Builder, __: str, x: Value, first: int, second: int) -> Value:
    return x.arranged(x.positions.swapaxes(first, second))


def _squeeze(_: Builder, __: str, x: Value, dim: int | None = None) -> Value:
    if dim is None:
        return x.arranged(np.squeeze(x.positions))
    return x.arranged(np.squeeze(x.positions, dim)) if x.shape[dim] == 1 else x


def _unsqueeze(_: Builder, __: str, x: Value, dim: int) -> Value:
    return x.arranged(np.expand_dims(x.positions, dim))


def _same(_: Builder, __: str, x: Value, *___: Any, **____: Any) -> Value:
    return x


def _size(_: Builder, __: str, x: Value, dim: int | None = None) -> Any:
    return x.shape if dim is None else x.shape[dim]


def _attribute(_: Builder, __: str, x: Any, name: str) -> Any:
    if isinstance(x, Value) and name != "shape":
        raise Refused(f"the attribute {name!r} of a tensor is not known while the network runs")
    return getattr(x, name)


def _of_module(function: Handler, *names: str) -> Handler:
    """A handler of a module from that of a function: its attributes `names` are the arguments."""
    return lambda builder, name, module, x: function(builder, name, x, *(getattr(module, item) for item in names))


MODULES: dict[type[nn.Module], Handler] = {
    nn.AdaptiveAvgPool1d: _of_module(_adaptive_average, "output_size"),
    nn.AdaptiveAvgPool2d: _of_module(_adaptive_average, "output_size"),
    nn.AvgPool1d: _average_pool_module,
    nn.AvgPool2d: _average_pool_module,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Conv1d: _conv,
    nn.Conv2d: _conv,
    nn.Dropout: _of_module(_same),
    nn.Dropout1d: _of_module(_same),
    nn.Dropout2d: _of_module(_same),
    nn.Flatten: _of_module(_flatten, "start_dim", "end_dim"),
    nn.Hardtanh: _of_module(_hard_tanh, "min_val", "max_val"),
    nn.Identity: _of_module(_same),
    nn.Linear: _linear,
    nn.MaxPool1d: _max_pool_module,
    nn.MaxPool2d: _max_pool_module,
    nn.ReLU: _of_module(_unary(g.Relu)),
    nn.ReLU6: _of_module(_unary(g.Relu6)),
    nn.Sigmoid: _of_module(_unary(g.Logistic)),
    nn.Softmax: _of_module(_softmax, "dim"),
    nn.ZeroPad2d: _pad_module,
}
FUNCTIONS: dict[Any, Handler] = {
    F.adaptive_avg_pool1d: _adaptive_average,
    F.adaptive_avg_pool2d: _adaptive_average,
    F.avg_pool1d: _average_pool,
    F.avg_pool2d: _average_pool,
    F.dropout: _same,
    F.hardtanh: _hard_tanh,
    F.max_pool1d: _max_pool,
    F.max_pool2d: _max_pool,
    F.pad: _pad,
    F.relu: _unary(g.Relu),
    F.relu6: _unary(g.Relu6),
    F.sigmoid: _unary(g.Logistic),
    F.softmax: _softmax,
    getattr: _attribute,
    operator.add: _binary(g.Add),
    operator.iadd: _binary(g.Add),
    operator.imul: _binary(g.Mul),
    operator.mul: _binary(g.Mul),
    operator.sub: _binary(g.Add, negate=True),
    operator.truediv: _binary(g.Mul, invert=True),
    torch.add: _binary(g.Add),
    torch.avg_pool1d: _average_pool,
    torch.cat: _concatenate,
    torch.concat: _concatenate,
    torch.div: _binary(g.Mul, invert=True),
    torch.flatten: _flatten,
    torch.mean: _mean,
    torch.mul: _binary(g.Mul),
    torch.permute: _permute,
    torch.relu: _unary(g.Relu),
    torch.reshape: _view,
    torch.sigmoid: _unary(g.Logistic),
    torch.softmax: _softmax,
    torch.squeeze: _squeeze,
    torch.sub: _binary(g.Add, negate=True),
    torch.transpose: _transpose,
    torch.unsqueeze: _unsqueeze,
}
METHODS: dict[str, Handler] = {
    "add": _binary(g.Add),
    "contiguous": _same,
    "flatten": _flatten,
    "mean": _mean,
    "mul": _binary(g.Mul),
    "permute": _permute,
    "relu": _unary(g.Relu),
    "reshape": _view,
    "sigmoid": _unary(g.Logistic),
    "size": _size,
    "softmax": _softmax,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    "view": _view,
}
