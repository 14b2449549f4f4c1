"""Layers that compute in training what the engine computes: integers, with gradients as if nothing was rounded.

Activations between them are real numbers on the grid of their `ActivationRange`, so that every layer that does not
compute (max pools, flatten, dropout in evaluation mode) can stay as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from smidgen.graph import Activation, Quantization
from smidgen.lower import activation_clamp, add_factors, mean_factor, softmax_factor
from smidgen.reference.logistic import logistic_table
from smidgen.reference.softmax import softmax_rows
from smidgen.samples import quantize_samples
from smidgen.train.arithmetic import INT8_MIN, multipliers, requantize, rounded, with_gradient_of
from smidgen.train.ranges import ActivationRange, Freezable

Layer = nn.Conv1d | nn.Conv2d | nn.Linear

_EXACT_FLOAT32 = 2**24  # sums of whole numbers below this are exact in single precision
_WIDEST_INPUT = 255  # distance of an int8 value from its zero point
_LARGEST_BIAS = 2**30
_ADD_LEFT_SHIFT = 20
PROBABILITY = Quantization.per_tensor(1 / 256, -128)  # of SOFTMAX and LOGISTIC, as the engine defines them


class QuantizedLayer(Freezable):
    """A convolution (plain or depthwise) or dense layer with its activation, in the engine's arithmetic.

    layer: holds the real weights, which an optimiser trains. weight_bits: 2 to 8; int8 weights reach to
    +-(2**(weight_bits - 1) - 1). per_channel: a scale for each output channel, else one for the layer.
    levels: if not empty, ascending; the only integers that weights may be (see `WeightClustering`).
    """

    weight_scale: torch.Tensor
    levels: torch.Tensor

    def __init__(
        self,
        layer: Layer,
        activation: Activation,
        source: ActivationRange,
        weight_bits: int = 8,
        per_channel: bool = True,
    ) -> None:
        super().__init__()
        self.layer, self.activation = layer, activation
        self.source, self.result = source, ActivationRange()
        self.limit = 2 ** (weight_bits - 1) - 1
        self.per_channel = per_channel
        self.register_buffer("weight_scale", torch.ones(layer.weight.shape[0] if per_channel else 1))
        self.register_buffer("levels", torch.zeros(0))
        self.update_weight_scale()

    @torch.no_grad()
    def update_weight_scale(self) -> None:
        """Let the integers reach to the largest weight."""
        rows = self.layer.weight.reshape(self.weight_scale.numel(), -1)
        largest = rows.abs().amax(dim=1)
        # A new tensor: a loss may hold the old one, if it has a term of the weights.
        self.weight_scale = torch.where(largest > 0, largest / self.limit, torch.ones_like(largest))

    def weight_units(self) -> torch.Tensor:
        """Weights in steps of their scale, before rounding, in -limit .. limit."""
        shape = (-1, *[1] * (self.layer.weight.ndim - 1))
        return (self.layer.weight / self.weight_scale.reshape(shape)).clamp(-self.limit, self.limit)

    def weight_integers(self) -> torch.Tensor:
        """The whole numbers that the engine multiplies with, as float32, with the gradient of `weight_units`."""
        units = self.weight_units()
        if self.levels.numel() == 0:
            return rounded(units)
        nearest = torch.bucketize(units.detach(), (self.levels[1:] + self.levels[:-1]) / 2)
        return with_gradient_of(units, self.levels[nearest])

    def accumulator_scale(self) -> torch.Tensor:
        """What one step of an accumulator is worth, float64 [channels] or [1]."""
        return self.source.parameters_of_int8[0] * self.weight_scale.double()

    def bias_integers(self) -> torch.Tensor | None:
        """Biases in steps of the accumulator, float64."""
        if self.layer.bias is None:
            return None
        return rounded(self.layer.bias / self.accumulator_scale()).clamp(-_LARGEST_BIAS, _LARGEST_BIAS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and not self.frozen:
            self.update_weight_scale()
        sums = self._sums(x)
        channels = (1, -1, *[1] * (sums.ndim - 2)) if not isinstance(self.layer, nn.Linear) else (-1,)
        step = self.accumulator_scale()
        real = sums * step.reshape(channels).to(sums.dtype)
        self.result.observe(real, self.activation.bounds)
        scale, _ = self.result.parameters_of_int8
        multiplier, shift = multipliers((step / scale).tolist())
        steps = requantize(sums.detach().to(torch.int64), multiplier.reshape(channels), shift.reshape(channels))
        return _on_grid(real, steps, self.result, self.activation)

    def _sums(self, x: torch.Tensor) -> torch.Tensor:
        """Accumulators. In single precision while training where that is exact, else in double."""
        weights, bias = self.weight_integers(), self.bias_integers()
        largest = weights.detach().abs().flatten(1).sum(dim=1).max().item() * _WIDEST_INPUT
        if bias is not None:
            largest += bias.detach().abs().max().item()
        dtype = torch.float32 if self.training and largest < _EXACT_FLOAT32 else torch.float64
        values = {"weight": weights.to(dtype)}
        if bias is not None:
            values["bias"] = bias.to(dtype)
        return functional_call(self.layer, values, (_steps(x, self.source).to(dtype),))  # type: ignore[no-any-return]


class QuantizedInput(nn.Module):
    """Rounds the network's input to int8."""

    def __init__(self) -> None:
        super().__init__()
        self.result = ActivationRange()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.result.observe(x)
        scale, zero_point = self.result.parameters_of_int8
        integers = torch.from_numpy(quantize_samples(x.detach().numpy(), scale, zero_point)).to(torch.int64)
        return _on_grid(x, integers - zero_point, self.result)


class QuantizedAdd(nn.Module):
    """a + b with its activation."""

    def __init__(self, first: ActivationRange, second: ActivationRange, activation: Activation) -> None:
        super().__init__()
        self.first, self.second, self.result = first, second, ActivationRange()
        self.activation = activation

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        real = a + b
        self.result.observe(real, self.activation.bounds)
        scale, _ = self.result.parameters_of_int8
        factors = add_factors(self.first.parameters_of_int8[0], self.second.parameters_of_int8[0], scale)
        multiplier, shift = multipliers(factors)
        operands = [_integers(a, self.first), _integers(b, self.second)]
        scaled = [requantize(x << _ADD_LEFT_SHIFT, multiplier[i], shift[i]) for i, x in enumerate(operands)]
        total = requantize(scaled[0] + scaled[1], multiplier[2], shift[2])
        return _on_grid(real, total, self.result, self.activation)


class QuantizedMean(nn.Module):
    """Mean over axes, which get a range of their own."""

    def __init__(self, source: ActivationRange, axes: Sequence[int], keep_dims: bool) -> None:
        super().__init__()
        self.source, self.result = source, ActivationRange()
        self.axes, self.keep_dims = tuple(axes), keep_dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        real = x.mean(self.axes, keepdim=self.keep_dims)
        self.result.observe(real)
        scale, _ = self.result.parameters_of_int8
        factor = mean_factor(self.source.parameters_of_int8[0], scale, x.numel() // real.numel())
        multiplier, shift = (torch.tensor(number, dtype=torch.int64) for number in factor)
        sums = _integers(x, self.source).sum(self.axes, keepdim=self.keep_dims)
        return _on_grid(real, requantize(sums, multiplier, shift), self.result)


class QuantizedAveragePool(nn.Module):
    """An average pool without padding; it keeps the scale of its input."""

    def __init__(self, pool: nn.AvgPool1d | nn.AvgPool2d, source: ActivationRange) -> None:
        super().__init__()
        self.pool, self.source = pool, source
        self.window = pool.kernel_size, pool.stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, zero_point = self.source.parameters_of_int8
        count = math.prod(as_sizes(self.pool.kernel_size, x.ndim - 2))
        plain = (_integers(x, self.source) + zero_point).double()
        sums = (self.pool(plain) * count).round().to(torch.int64)
        nudged = torch.where(sums > 0, sums + count // 2, sums - count // 2)
        averages = torch.div(nudged, count, rounding_mode="trunc")
        return _on_grid(self.pool(x), averages - zero_point, self.source)


class QuantizedSoftmax(nn.Module):
    """Softmax over the last axis, in the engine's fixed-point arithmetic."""

    def __init__(self, source: ActivationRange) -> None:
        super().__init__()
        self.source, self.result = source, _ProbabilityRange()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, zero_point = self.source.parameters_of_int8
        integers = (_integers(x, self.source) + zero_point).numpy().astype(np.int8)
        exact = torch.from_numpy(softmax_rows(integers, *softmax_factor(1.0, scale)).astype(np.int64))
        return _on_grid(x.softmax(-1), exact - INT8_MIN, self.result)


class QuantizedSigmoid(nn.Module):
    """The logistic function as the table that the engine has."""

    def __init__(self, source: ActivationRange) -> None:
        super().__init__()
        self.source, self.result = source, _ProbabilityRange()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, zero_point = self.source.parameters_of_int8
        table = torch.from_numpy(logistic_table(scale, zero_point))
        exact = table[_integers(x, self.source) + zero_point - INT8_MIN]
        return _on_grid(torch.sigmoid(x), exact - INT8_MIN, self.result)


class _ProbabilityRange(ActivationRange):
    """0 to 255/256, whatever is observed."""

    @property
    def parameters_of_int8(self) -> tuple[float, int]:
        return float(PROBABILITY.scale[0]), int(PROBABILITY.zero_point[0])


def as_sizes(size: int | tuple[int, ...], dimensions: int) -> tuple[int, ...]:
    """A size of a window in each dimension."""
    sizes = (size,) if isinstance(size, int) else tuple(size)
    return sizes * dimensions if len(sizes) == 1 else sizes


def _steps(x: torch.Tensor, source: ActivationRange) -> torch.Tensor:
    """Real values on a grid as whole numbers of steps from zero, with the gradient of the division."""
    return rounded(x / source.parameters_of_int8[0])


def _integers(x: torch.Tensor, source: ActivationRange) -> torch.Tensor:
    """The same as int64, without a gradient: int8 value less zero point."""
    return _steps(x.detach(), source).to(torch.int64)


def _on_grid(
    real: torch.Tensor, steps: torch.Tensor, result: ActivationRange, activation: Activation = Activation.NONE
) -> torch.Tensor:
    """`steps` of the result's scale from zero, clamped by int8 and the activation; the gradient is that of `real`."""
    scale, zero_point = result.parameters_of_int8
    low, high = (bound - zero_point for bound in activation_clamp(activation, scale, zero_point))
    exact = steps.clamp(low, high).float().mul_(scale)
    return with_gradient_of(real.clamp(low * scale, high * scale).float(), exact)
