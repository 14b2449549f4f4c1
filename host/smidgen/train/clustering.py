"""Weights that share few values: k-means in each layer, and training with the shared values."""

from __future__ import annotations

import torch
from torch import nn

from smidgen.errors import InputError
from smidgen.train.prepare import quantized_layers

_ITERATIONS = 25


class WeightClustering:
    """Lets every layer of a prepared module use at most `levels` different integers as weights, zero among them.

    From the moment it is made, the layers compute with the nearest shared value; the optimiser goes on to train the
    real weights behind it, which may change to another value. `update` fits the values to the real weights again;
    once an epoch is enough. Layers with fewer than `smallest` weights, such as depthwise ones, keep all integers.
    """

    def __init__(self, module: nn.Module, levels: int = 16, smallest: int = 512) -> None:
        if not 2 <= levels <= 255:
            raise InputError(f"{levels} levels are not possible; 2 to 255 are")
        self.layers = {
            name: layer
            for name, layer in quantized_layers(module).items()
            if layer.layer.weight.numel() >= smallest and 2 * layer.limit + 1 > levels
        }
        self.levels = levels
        self.update()

    @torch.no_grad()
    def update(self) -> None:
        """k-means over the weights of each layer, in steps of their scales."""
        for layer in self.layers.values():
            layer.levels = shared_values(layer.weight_units().flatten(), self.levels)


def shared_values(units: torch.Tensor, levels: int) -> torch.Tensor:
    """`levels` whole numbers, ascending, near which `units` lie; zero is one of them, and some may be equal.

    Lloyd's iterations from evenly spaced values, which keep the few large weights (Han, Mao and Dally, "Deep
    Compression", 2016). Zeros do not count, because they have a value of their own.
    """
    used = units[units != 0].double()
    values = torch.linspace(float(units.min()), float(units.max()), levels, dtype=torch.float64)
    zero = int(values.abs().argmin())
    values[zero] = 0
    for _ in range(_ITERATIONS):
        nearest = torch.bucketize(used, (values[1:] + values[:-1]) / 2)
        counts = torch.bincount(nearest, minlength=levels)
        sums = torch.bincount(nearest, weights=used, minlength=levels)
        values = torch.where(counts > 0, sums / counts.clamp(min=1), values)
        values[zero] = 0
        values = values.sort().values
        zero = int(values.abs().argmin())
    return values.round().float()
