"""Rounds the weights of a layer so that error and coded bits together are least.

Column after column, each weight takes the integer with the least sum of the error it adds and of what its code costs;
the error is compensated by the columns that are still to come, as the second moments of the inputs say (Frantar et
al., "GPTQ", 2022, after LeCun's optimal brain surgeon). Codes and weights are found in turns: the weights' histogram
gives the code lengths, and these the next weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST_WEIGHT = 127
_ROUNDS = 4  # of codes and weights in turns
_DAMPING = 0.01  # of the mean of a matrix's diagonal, added to it
_CANDIDATES = np.arange(-2, 3)  # round the nearest
_SYMBOL_BITS = 8.0  # that the table spends on a symbol


@dataclass(frozen=True)
class Rows:
    """What is rounded: one row for each output channel, the bias its last column.

    weights: [rows, columns], not yet whole. moments: [rows, columns, columns] (or one for all rows, [1, columns,
    columns]), so that an error e of a row costs e @ moments @ e / 2.
    """

    weights: Floats
    moments: Floats


def round_rows(rows: Rows, prices: Floats) -> Integers:
    """Whole weights and biases [rows, columns] with the least sum of error and price * bits.

    prices: for each row, the error that a bit of a weight's code is worth. Biases have no code. Weights
    are -127 .. 127.
    """
    order, factors = _factorise(rows.moments, len(rows.weights))
    largest = int(np.clip(np.ceil(np.abs(rows.weights[:, :-1]).max(initial=0.0)) + 1, 1, LARGEST_WEIGHT))
    weights = np.take_along_axis(rows.weights, order, axis=1)
    values = np.rint(rows.weights).astype(np.int64)
    values[:, :-1] = values[:, :-1].clip(-largest, largest)
    for _ in range(_ROUNDS):
        costs = prices[:, None] * code_bits(values[:, :-1], largest)
        np.put_along_axis(values, order, _round_columns(weights, factors, costs, largest), axis=1)
    return values


def code_bits(values: Integers, largest: int) -> Floats:
    """Bits of each symbol -largest .. largest under the ideal code for `values`, with its share of the code table."""
    counts = np.bincount(values.reshape(-1) + largest, minlength=2 * largest + 1).astype(np.float64)
    bits = np.log2(max(counts.sum(), 1.0) / np.maximum(counts, 0.5)) + _SYMBOL_BITS / np.maximum(counts, 1.0)
    return np.asarray(bits)


def effective_curvature(moments: Floats) -> Floats:
    """For each matrix, what an error of one weight costs on average when the later ones compensate it, times two."""
    _, factors = _factorise(moments, len(moments))
    diagonal = np.diagonal(factors, axis1=1, axis2=2)[:, :-1]
    return np.asarray(np.exp(-2 * np.log(diagonal).mean(axis=1)))


def _factorise(moments: Floats, rows: int) -> tuple[Integers, Floats]:
    """The order of the columns, the largest moments first and the bias last, and the upper Cholesky factors of the
    inverses in that order."""
    diagonal = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(-diagonal[:, :-1], axis=1, kind="stable")
    order = np.concatenate((order, np.full((len(order), 1), diagonal.shape[1] - 1)), axis=1)
    damped = moments + _DAMPING * diagonal.mean(axis=1)[:, None, None] * np.eye(diagonal.shape[1])
    damped += np.finfo(np.float64).tiny ** 0.5 * np.eye(diagonal.shape[1])
    ordered = np.take_along_axis(np.take_along_axis(damped, order[:, :, None], 1), order[:, None, :], 2)
    inverses = np.linalg.inv(ordered)
    factors = np.swapaxes(np.linalg.cholesky((inverses + np.swapaxes(inverses, 1, 2)) / 2), 1, 2)
    if len(moments) != rows:
        order = np.broadcast_to(order, (rows, order.shape[1]))
        factors = np.broadcast_to(factors, (rows, *factors.shape[1:]))
    return order, factors


def _round_columns(weights: Floats, factors: Floats, costs: Floats, largest: int) -> Integers:
    """weights: in the order of the factors; costs: [rows, symbols], in error."""
    rest = weights.copy()
    values = np.empty(weights.shape, np.int64)
    every = np.arange(len(weights))
    last = weights.shape[1] - 1
    for column in range(last + 1):
        target, scale = rest[:, column], factors[:, column, column]
        chosen = np.rint(target).astype(np.int64)
        if column != last:
            levels = (chosen[:, None] + _CANDIDATES).clip(-largest, largest)
            distance = (target[:, None] - levels) / scale[:, None]
            best = np.argmin(distance**2 / 2 + costs[every[:, None], levels + largest], axis=1)
            chosen = levels[every, best]
        error = (target - chosen) / scale
        rest[:, column:] -= error[:, None] * factors[:, column, column:]
        values[:, column] = chosen
    return values
