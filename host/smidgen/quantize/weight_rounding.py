"""Rounds weights so that rounding errors cancel in the layer's output, not so that each weight is nearest.

The weights of one output channel are rounded one after the other; the error that each leaves in the output is
made up for by those not yet rounded, with the covariance of the layer's inputs on the calibration samples.
Frantar and Alistarh, "Optimal Brain Compression" (2022), in the ordering and the Cholesky form of Frantar et al.,
"GPTQ" (2022). The covariance takes the place of the second moments because the bias takes up the mean error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen import graph as g
from smidgen.quantize.weights import LARGEST_WEIGHT, along_axis
from smidgen.reference.float_executor import Floats, depthwise_taps, unfold

Doubles = NDArray[np.float64]

DAMPING = 0.01  # added to the variances, as a part of their mean: what few samples cannot tell
_ROWS = 60_000  # rows of inputs looked at; more do not change the covariance


def round_weights(graph: g.Graph, operator: g.Weighted, weights: Floats, scales: Floats, axis: int | None, x: Floats) -> Any:
    """int8 weights for float32 `weights` with the given scales along `axis`. x: the layer's input, [samples, *shape]."""
    if isinstance(operator, g.DepthwiseConv2D):
        taps = depthwise_taps(graph, operator, x)  # [positions, taps, input channels]
        covariance = _covariances(_thinned(taps).transpose(2, 1, 0).astype(np.float64))
        multiplier = weights.shape[3] // covariance.shape[0]
        rows = weights[0].reshape(-1, weights.shape[3]).T.astype(np.float64)
        levels = _round(rows / scales.astype(np.float64)[:, None], np.repeat(covariance, multiplier, axis=0))
        return levels.T.reshape(weights.shape).astype(np.int8)
    columns = unfold(graph, operator, x) if isinstance(operator, g.Conv2D) else x.reshape(-1, weights.shape[1])
    covariance = _covariances(_thinned(columns).T.astype(np.float64)[None])
    rows = (weights.astype(np.float64) / along_axis(scales, weights.ndim, axis)).reshape(weights.shape[0], -1)
    return _round(rows, covariance).reshape(weights.shape).astype(np.int8)


def _thinned(rows: Floats) -> Floats:
    return rows[:: max(1, -(-len(rows) // _ROWS))]


def _covariances(variables: Doubles) -> Doubles:
    """Damped covariance matrices [groups, n, n] of variables [groups, n, observations]."""
    centred = variables - variables.mean(axis=2, keepdims=True)
    covariance = centred @ centred.transpose(0, 2, 1) / variables.shape[2]
    variance = np.einsum("gii->gi", covariance)
    damping = DAMPING * variance.mean(axis=1)
    return covariance + np.where(damping > 0, damping, 1.0)[:, None, None] * np.eye(variables.shape[1])


def _round(rows: Doubles, covariance: Doubles) -> Doubles:
    """Levels for rows [channels, n] in units of their scale; one covariance for all channels or one for each."""
    variance = np.einsum("gii->gi", covariance).mean(axis=0)
    order = np.argsort(-variance, kind="stable")
    ordered = covariance[:, order][:, :, order]
    factor = np.linalg.cholesky(np.linalg.inv(ordered)).transpose(0, 2, 1)  # upper: inverse = factor' @ factor
    remaining, levels = rows[:, order].copy(), np.zeros_like(rows)
    for index in range(rows.shape[1]):
        level = np.clip(np.rint(remaining[:, index]), -LARGEST_WEIGHT, LARGEST_WEIGHT)
        error = (remaining[:, index] - level) / factor[:, index, index]
        remaining[:, index:] -= error[:, None] * factor[:, index, index:]
        levels[:, order[index]] = level
    return levels
