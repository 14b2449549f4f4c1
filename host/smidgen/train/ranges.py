"""Activation ranges: observed while a module trains or is calibrated, then frozen."""

from __future__ import annotations

import math

import torch
from torch import nn

from smidgen.graph import Quantization
from smidgen.quantize.parameters import scale_for

_MOMENTUM = 0.05  # weight of a new batch in the running range


class Freezable(nn.Module):
    """Has numbers that move while it trains, until it is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False


class ActivationRange(Freezable):
    """The range of one activation, always with zero in it, and the int8 scale and zero point that cover it.

    In training mode every observed batch moves the range, unless it is frozen. Layers share the range of the tensor
    between them. `low` and `high` are real numbers.
    """

    low: torch.Tensor
    high: torch.Tensor
    seen: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    def observe(self, values: torch.Tensor, bounds: tuple[float, float] = (-math.inf, math.inf)) -> None:
        """Move the range towards that of a batch after an activation with these bounds, in training mode."""
        if not self.training or self.frozen:
            return
        low, high = (edge.clamp(*bounds) for edge in values.detach().aminmax())
        low, high = low.clamp(max=0), high.clamp(min=0)
        weight = _MOMENTUM if bool(self.seen) else 1.0
        self.low.lerp_(low.float(), weight)
        self.high.lerp_(high.float(), weight)
        self.seen.fill_(True)

    @property
    def parameters_of_int8(self) -> tuple[float, int]:
        """Scale, a float32 number, and zero point."""
        return scale_for(self.low.item(), self.high.item())

    @property
    def quantization(self) -> Quantization:
        """The same for a graph."""
        return Quantization.per_tensor(*self.parameters_of_int8)


def freeze_ranges(module: nn.Module, frozen: bool = True) -> None:
    """Keep all activation ranges and weight scales of `module` as they are while it trains on (or let them move)."""
    for part in module.modules():
        if isinstance(part, Freezable):
            part.frozen = frozen
