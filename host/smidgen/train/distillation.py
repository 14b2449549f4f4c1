"""Knowledge distillation: a small network learns from the scores of a large one, besides the labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn


def distillation_loss(
    logits: torch.Tensor, teacher_logits: torch.Tensor, labels: torch.Tensor, temperature: float, weight: float
) -> torch.Tensor:
    """weight * KL(teacher, student) at a temperature, plus (1 - weight) * cross entropy with the labels.

    logits: [batch, classes], before softmax. The divergence is multiplied by temperature**2, so that its gradient does
    not shrink with it (Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015).
    """
    soft = F.kl_div(
        F.log_softmax(logits / temperature, 1), F.log_softmax(teacher_logits / temperature, 1),
        reduction="batchmean", log_target=True,
    )  # fmt: skip
    return weight * temperature**2 * soft + (1 - weight) * F.cross_entropy(logits, labels)


class Distillation:
    """The same as a loss of a batch: `loss = distillation(student(x), labels, x)`. The teacher is not changed."""

    def __init__(self, teacher: nn.Module, temperature: float = 4.0, weight: float = 0.7) -> None:
        self.teacher, self.temperature, self.weight = teacher.eval(), temperature, weight

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            teacher_logits = self.teacher(x)
        return distillation_loss(logits, teacher_logits, labels, self.temperature, self.weight)
