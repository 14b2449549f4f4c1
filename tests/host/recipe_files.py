"""A recipe small enough for tests: signals of three frequencies."""

from __future__ import annotations

from pathlib import Path

CODE = """
import torch
from torch import nn
from smidgen.train.recipe import Data


def load():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(240) % 3
    time = torch.arange(32) * (0.3 + 0.25 * y[:, None]) + 6 * torch.rand(240, 1, generator=generator)
    x = torch.stack([time.sin(), time.cos()], dim=1) + 0.3 * torch.randn(240, 2, 32, generator=generator)
    return Data(x[:180], y[:180], x[180:], y[180:], ("slow", "middle", "fast"))


def augment(x, generator):
    return x + 0.1 * torch.randn(x.shape, generator=generator)


def student():
    return nn.Sequential(
        nn.Conv1d(2, 16, 5, 2, bias=False), nn.BatchNorm1d(16), nn.ReLU(),
        nn.Conv1d(16, 48, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(48, 3),
    )


def teacher():
    return nn.Sequential(nn.Conv1d(2, 32, 9), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 3))


def number():
    return 3
"""

CONFIG = """
name = "waves"
seed = 4

[data]
load = "waves.py:load"
augment = "waves.py:augment"

[training]
batch = 32

[teacher]
network = "waves.py:teacher"
epochs = 3
learning_rate = 1e-2

[student]
network = "waves.py:student"
epochs = 4
learning_rate = 1e-2

[distil]
epochs = 4
learning_rate = 1e-2

[prune]
epochs = 3
learning_rate = 5e-3
sparsity = 0.8
smallest = 200

[quantize]
epochs = 2
learning_rate = 1e-3

[compress]
epochs = 2
learning_rate = 1e-3
levels = 8
penalty = 0.05
"""


def write_recipe(folder: Path, config: str = CONFIG) -> Path:
    """The recipe's two files; the path of the configuration."""
    (folder / "waves.py").write_text(CODE)
    path = folder / "waves.toml"
    path.write_text(config)
    return path
