"""One stage of a recipe: a module that is trained epoch by epoch and can go on from its state.

What an epoch does depends only on the seed, the stage, the number of the epoch and the state before it: the order of
samples, what is drawn for augmentation and dropout, and the learning rate are made anew from these. So an interrupted
run that goes on from a checkpoint ends with the same weights as one that was not interrupted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from smidgen.train.clustering import WeightClustering
from smidgen.train.pruning import Pruning
from smidgen.train.ranges import freeze_ranges
from smidgen.train.recipe.data import Augment, Data

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]  # (logits, labels, inputs)

_WARM_UP = 0.1  # of all steps
_FROZEN = 0.6  # of the epochs, after which activation ranges and weight scales stay as they are
_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Options:
    """What all stages of a run have in common."""

    seed: int
    batch: int
    weight_decay: float
    augment: Augment | None


@dataclass
class Training:
    """A stage at work. finished: epochs that are done. penalty: added to the loss of every batch."""

    name: str
    module: nn.Module
    epochs: int
    learning_rate: float
    loss: Loss
    options: Options
    penalty: Callable[[], torch.Tensor] | None = None
    pruning: Pruning | None = None
    clustering: WeightClustering | None = None
    finished: int = 0

    def __post_init__(self) -> None:
        decayed = [parameter for parameter in self.module.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.module.parameters() if parameter.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, self.learning_rate, weight_decay=self.options.weight_decay)

    def run_epoch(self, data: Data) -> float:
        """Train on all samples once; the mean loss."""
        generator = torch.Generator().manual_seed(self._seed())
        torch.manual_seed(self._seed())
        self.module.train()
        freeze_ranges(self.module, self.finished >= _FROZEN * self.epochs)
        order = torch.randperm(len(data.train_x), generator=generator)
        batches = torch.split(order, self.options.batch)
        total = 0.0
        for number, chosen in enumerate(batches):
            rate = self._learning_rate(self.finished + number / len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            x, y = data.train_x[chosen], data.train_y[chosen]
            if self.options.augment is not None:
                x = self.options.augment(x, generator)
            total += len(chosen) * self._step(x, y)
        if self.clustering is not None and self.finished < _FROZEN * self.epochs:
            self.clustering.update()
        self.finished += 1
        return total / len(order)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` of another object for the same stage needs to go on."""
        return {
            "stage": self.name,
            "finished": self.finished,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "pruning": self.pruning.state_dict() if self.pruning else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.pruning is not None:
            self.pruning.load_state_dict(state["pruning"])
        self.finished = int(state["finished"])

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.module(x), y, x)
        value = loss.item()
        if self.penalty is not None:
            loss = loss + self.penalty()
        torch.autograd.backward(loss)
        self.optimizer.step()
        if self.pruning is not None:
            self.pruning.step()
        return value

    def _learning_rate(self, epoch: float) -> float:
        """Rises in a line, falls as a cosine."""
        progress = epoch / self.epochs
        if progress < _WARM_UP:
            return self.learning_rate * max(progress, 0.01) / _WARM_UP
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))

    def _seed(self) -> int:
        text = f"{self.options.seed} {self.name} {self.finished}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "little")


@torch.no_grad()
def predict(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Outputs of the module in evaluation mode, in batches."""
    module.eval()
    return torch.cat([module(batch) for batch in torch.split(x, _EVALUATION_BATCH)])


def accuracy(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The fraction of samples whose largest output is that of their class."""
    return float((predict(module, x).argmax(1) == y).float().mean())
