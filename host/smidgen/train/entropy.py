"""The size of coded weights as a term of a loss: few bits where weights gather at few values."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from smidgen.train.layers import QuantizedLayer


def soft_entropy_bits(units: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Estimated bits of each weight under an entropy code: the entropy of a histogram that weights can move in.

    units: weights in steps of their scale; values: the integers they may become, ascending, no two equal. A weight
    between two values counts for both, more for the nearer one, so that the histogram has a gradient.
    """
    flat = units.flatten()
    upper = torch.searchsorted(values, flat.detach()).clamp(1, len(values) - 1)
    low, high = values[upper - 1], values[upper]
    share = ((flat - low) / (high - low)).clamp(0, 1)
    histogram = torch.zeros(len(values), dtype=flat.dtype)
    histogram = histogram.index_add(0, upper - 1, 1 - share).index_add(0, upper, share) / flat.numel()
    used = histogram[histogram > 0]
    return -(used * used.log2()).sum()


def weight_bits(layers: Iterable[QuantizedLayer]) -> torch.Tensor:
    """Estimated mean bits per weight over all weights of these layers, for a loss:

    `loss = loss + penalty * weight_bits(quantized_layers(module).values())`.
    """
    bits, count = torch.zeros(()), 0
    for layer in layers:
        values = torch.unique(layer.levels)
        if len(values) == 0:
            values = torch.arange(-layer.limit, layer.limit + 1.0)
        if len(values) > 1:
            bits = bits + layer.layer.weight.numel() * soft_entropy_bits(layer.weight_units(), values)
        count += layer.layer.weight.numel()
    return bits / max(count, 1)
