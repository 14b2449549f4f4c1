"""Least squares with coefficients that are not negative: the active set method of Lawson and Hanson (1974)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_TOLERANCE = 1e-10


def nonnegative_least_squares(matrix: FloatArray, target: FloatArray) -> FloatArray:
    """The x >= 0 that makes |matrix @ x - target| smallest."""
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1.0
    scaled = matrix / scale
    count = matrix.shape[1]
    x, free = np.zeros(count), np.zeros(count, bool)
    for _ in range(10 * count):
        gradient = scaled.T @ (target - scaled @ x)
        candidates = np.where(free, -np.inf, gradient)
        best = int(np.argmax(candidates))
        if candidates[best] <= _TOLERANCE * np.linalg.norm(target):
            break
        free[best] = True
        x = _step(scaled, target, x, free)
    return np.asarray(x / scale, np.float64)


def _step(matrix: FloatArray, target: FloatArray, x: FloatArray, free: NDArray[np.bool_]) -> FloatArray:
    """The best x over the free coefficients; those that would become negative are fixed at 0, and leave `free`."""
    while True:
        solution = np.zeros(len(x))
        solution[free] = np.linalg.lstsq(matrix[:, free], target, rcond=None)[0]
        negative = free & (solution <= 0)
        if not negative.any():
            return solution
        ratios = x[negative] / (x[negative] - solution[negative])
        x = x + ratios.min() * (solution - x)
        free &= x > _TOLERANCE
        x[~free] = 0.0
