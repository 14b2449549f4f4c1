"""How good results are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top1_accuracy(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Share of samples whose largest score is that of the right class; of equal ones the first counts.

    scores: [samples, classes]
    """
    return float(np.mean(np.argmax(scores, axis=1) == labels))


def area_under_curve(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float | None:
    """Area under the ROC curve: how often a sample of class 1 has a higher score than one of class 0; ties are half.

    None unless there are samples of both.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not len(positive) or not len(negative):
        return None
    higher = (positive[:, None] > negative).mean()
    equal = (positive[:, None] == negative).mean()
    return float(higher + equal / 2)
