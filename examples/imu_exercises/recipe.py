"""The exercises as a recipe for `smidgen train`: data, augmentation, a student and a teacher.

Inputs are raw samples, [6, 128] in g and rad/s: the first layer learns their scale.
"""

from __future__ import annotations

import torch
from torch import nn

from smidgen.demo.recordings import LABELS, cut_windows, load_recordings, split_by_subject
from smidgen.train.recipe import Data

AXES = 6
TURN, GAIN, NOISE = 0.17, 0.1, 0.05  # radians, of the logarithm, of each axis's deviation
# The two wrists mirror each other in the plane through the body.
MIRROR = torch.tensor((-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)).reshape(1, AXES, 1)


def load() -> Data:
    """Windows of seven people for training, and of three others for the test."""
    split = split_by_subject(load_recordings())
    parts = []
    for recordings in (split.train, split.test):
        windows, labels = cut_windows(recordings)
        parts += [torch.from_numpy(windows[:, :, 0].transpose(0, 2, 1).copy()), torch.from_numpy(labels)]
    return Data(*parts, LABELS)


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Another wrist, a watch that sits differently, a stronger or weaker person, noise."""
    size = len(x)
    x = torch.where(torch.rand(size, 1, 1, generator=generator) < 0.5, x * MIRROR, x)
    vector = TURN * torch.randn(size, 3, generator=generator)
    zero = torch.zeros(size)
    a, b, c = vector.unbind(1)
    cross = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).reshape(size, 3, 3)
    rotation = torch.linalg.matrix_exp(cross)
    x = torch.cat([rotation @ x[:, :3], rotation @ x[:, 3:]], dim=1)
    gain = torch.exp(GAIN * torch.randn(size, 2, 1, generator=generator)).repeat_interleave(3, dim=1)
    return x * gain + NOISE * x.std(dim=(0, 2), keepdim=True) * torch.randn(x.shape, generator=generator)


def separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """A depthwise and a pointwise convolution over time."""
    return [
        nn.Conv1d(inputs, inputs, 5, stride, groups=inputs, bias=False), nn.BatchNorm1d(inputs), nn.ReLU(),
        nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(),
    ]  # fmt: skip


def student() -> nn.Module:
    """25 thousand weights."""
    return nn.Sequential(
        nn.Conv1d(AXES, 32, 9, 4, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
        *separable(32, 64, 2), *separable(64, 96, 1), *separable(96, 128, 1),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, len(LABELS)),
    )  # fmt: skip


def teacher() -> nn.Module:
    """93 thousand weights in plain convolutions."""
    return nn.Sequential(
        nn.Conv1d(AXES, 48, 9, 4, bias=False), nn.BatchNorm1d(48), nn.ReLU(),
        nn.Conv1d(48, 96, 5, 2, bias=False), nn.BatchNorm1d(96), nn.ReLU(),
        nn.Conv1d(96, 128, 5, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, len(LABELS)),
    )  # fmt: skip
