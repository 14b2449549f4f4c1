"""The engine's integer arithmetic on torch tensors, and the smooth stand-ins that gradients go through.

The numbers are those of `smidgen.requantization`, which works on NumPy arrays; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from smidgen.requantization import quantize_multiplier

INT8_MIN = -128


class _Replace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, smooth: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None]:
        return gradients[0], None


def with_gradient_of(smooth: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """The values of `exact` and the gradient of `smooth`: the straight-through estimator."""
    result: torch.Tensor = _Replace.apply(smooth, exact.detach())  # type: ignore[no-untyped-call]
    return result


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Whole numbers, halves to even, with the gradient of the identity."""
    return with_gradient_of(values, values.detach().round())


def multipliers(factors: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Multipliers and shifts of real factors, int64 [factors]."""
    pairs = torch.tensor([quantize_multiplier(factor) for factor in factors], dtype=torch.int64)
    return pairs[:, 0], pairs[:, 1]


def requantize(values: torch.Tensor, multiplier: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """values * multiplier * 2**(shift - 31), rounded twice; all int64, values within int32.

    `smidgen.requantization.requantize` states the same with gemmlowp's steps. Here both roundings are additions before
    a shift: the first takes halves upwards, the second away from zero.
    """
    if bool((shift > 0).any()):
        values = _wrap_int32(values << shift.clamp(min=0))
    high = (values * multiplier).add_(1 << 30) >> 31
    right = (-shift).clamp(min=0)
    half = (torch.ones_like(right) << right) >> 1
    sign = high >> 63  # -1 or 0
    return high.add_(half).add_(sign * (right > 0)) >> right


def _wrap_int32(values: torch.Tensor) -> torch.Tensor:
    return ((values + 2**31) & 0xFFFFFFFF) - 2**31
