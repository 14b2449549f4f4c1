"""Four activities of people with a smartwatch (BasicMotions, in the package aeon), and two networks for them.

Inputs are raw samples, [6, 64]: accelerometer and gyroscope, 10 Hz, 6.4 s.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import nn

from smidgen.errors import InputError
from smidgen.train.recipe import Data

LABELS = ("Standing", "Running", "Walking", "Badminton")
AXES, SAMPLES = 6, 100
WINDOW, HOP = 64, 12  # samples
GAIN, NOISE, TURN = 0.15, 0.03, 0.3  # of the logarithm, of each axis's deviation, radians


def data_file(part: str) -> Path:
    """Where aeon keeps "TRAIN" or "TEST"; found without importing it, so without its dependencies."""
    found = importlib.util.find_spec("aeon")
    if found is None or not found.submodule_search_locations:
        raise InputError("the recordings come with the package aeon: pip install --no-deps aeon")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "BasicMotions" / f"BasicMotions_{part}.ts"
    if not path.is_file():
        raise InputError(f"aeon is installed, but {path} is not there; version 1.6 has it")
    return path


def read_series(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Series [series, 6, 100] and classes of a .ts file: a series a line, its axes and its class divided by colons."""
    lines = path.read_text("utf-8").splitlines()
    rows = lines[lines.index("@data") + 1 :]
    series = np.empty((len(rows), AXES, SAMPLES), np.float32)
    labels = np.empty(len(rows), np.int64)
    for number, row in enumerate(rows):
        *axes, label = row.split(":")
        series[number] = [[float(value) for value in axis.split(",")] for axis in axes]
        labels[number] = LABELS.index(label)
    return torch.from_numpy(series), torch.from_numpy(labels)


def load() -> Data:
    """Windows of the 40 training and of the 40 test series, as aeon divides them."""
    parts: list[torch.Tensor] = []
    for part in ("TRAIN", "TEST"):
        series, labels = read_series(data_file(part))
        windows = series.unfold(2, WINDOW, HOP).permute(0, 2, 1, 3)
        parts += [windows.reshape(-1, AXES, WINDOW).contiguous(), labels.repeat_interleave(windows.shape[1])]
    return Data(*parts, LABELS)


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A watch that sits differently, a stronger or weaker person, noise, and a later or earlier start."""
    size = len(x)
    vector = TURN * torch.randn(size, 3, generator=generator)
    zero = torch.zeros(size)
    a, b, c = vector.unbind(1)
    cross = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).reshape(size, 3, 3)
    rotation = torch.linalg.matrix_exp(cross)
    x = torch.cat([rotation @ x[:, :3], rotation @ x[:, 3:]], dim=1)
    gain = torch.exp(GAIN * torch.randn(size, 1, 1, generator=generator))
    x = x * gain + NOISE * x.std(dim=(0, 2), keepdim=True) * torch.randn(x.shape, generator=generator)
    return x.roll(int(torch.randint(-8, 9, (1,), generator=generator)), dims=2)


def student() -> nn.Module:
    """23 thousand weights, most of them in pointwise convolutions."""
    layers: list[nn.Module] = [nn.Conv1d(AXES, 32, 5, 2, bias=False), nn.BatchNorm1d(32), nn.ReLU()]
    for inputs, outputs, stride in ((32, 64, 2), (64, 96, 1), (96, 128, 1)):
        layers += [nn.Conv1d(inputs, inputs, 3, stride, groups=inputs, bias=False), nn.BatchNorm1d(inputs), nn.ReLU()]
        layers += [nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, len(LABELS)))


def teacher() -> nn.Module:
    """77 thousand weights in plain convolutions."""
    return nn.Sequential(
        nn.Conv1d(AXES, 64, 5, 2, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Conv1d(64, 128, 3, 2, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Conv1d(128, 128, 3, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, len(LABELS)),
    )  # fmt: skip
