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
class Compensation:
    """How later columns make up for the error of earlier ones, for each row, or once for all rows.

    order: the columns as they are rounded, [rows, columns], the bias last. factors: in that order, the upper Cholesky
    factors of the inverse moments, [rows, columns, columns].
    """

    order: Integers
    factors: Floats

    @staticmethod
    def of(moments: Floats) -> Compensation:
        """For moments [rows, columns, columns] with which an error e of a row costs e @ moments @ e / 2.

        Columns with large moments come first: others can still make up for their errors.
        """
        diagonal = np.diagonal(moments, axis1=1, axis2=2)
        columns = diagonal.shape[1]
        order = np.argsort(-diagonal[:, :-1], axis=1, kind="stable")
        order = np.concatenate((order, np.full((len(order), 1), columns - 1)), axis=1)
        added = _DAMPING * diagonal.mean(axis=1) + np.finfo(np.float64).tiny ** 0.5
        damped = moments + added[:, None, None] * np.eye(columns)
        ordered = np.take_along_axis(np.take_along_axis(damped, order[:, :, None], 1), order[:, None, :], 2)
        inverses = np.linalg.inv(ordered)
        lower = np.linalg.cholesky((inverses + np.swapaxes(inverses, 1, 2)) / 2)
        return Compensation(order, np.swapaxes(lower, 1, 2))

    def curvature(self) -> Floats:
        """For each row, twice what an error of 1 in a weight costs, on average, when later columns make up for it."""
        diagonal = np.diagonal(self.factors, axis1=1, axis2=2)[:, :-1]
        return np.asarray(np.exp(-2 * np.log(diagonal).mean(axis=1)))

    def for_rows(self, rows: int) -> Compensation:
        """The same, for each row."""
        order = np.broadcast_to(self.order, (rows, self.order.shape[1]))
        return Compensation(order, np.broadcast_to(self.factors, (rows, *self.factors.shape[1:])))


def round_rows(weights: Floats, compensation: Compensation, prices: Floats) -> Integers:
    """Whole weights and biases with the least sum of error and price * bits, [rows, columns], the bias last.

    weights: the same, not yet whole. prices: for each row, the error that a bit of a weight's code is worth. Biases
    have no code. Weights become -127 .. 127.
    """
    compensation = compensation.for_rows(len(weights))
    largest = int(np.clip(np.ceil(np.abs(weights[:, :-1]).max(initial=0.0)) + 1, 1, LARGEST_WEIGHT))
    ordered = np.take_along_axis(weights, compensation.order, axis=1)
    values = np.rint(weights).astype(np.int64)
    values[:, :-1] = values[:, :-1].clip(-largest, largest)
    for _ in range(_ROUNDS):
        costs = prices[:, None] * code_bits(values[:, :-1], largest)
        rounded = _round_columns(ordered, compensation.factors, costs, largest)
        np.put_along_axis(values, compensation.order, rounded, axis=1)
    return values


def code_bits(values: Integers, largest: int) -> Floats:
    """Bits of each symbol -largest .. largest under the ideal code for `values`, with its share of the code table."""
    counts = np.bincount(values.reshape(-1) + largest, minlength=2 * largest + 1).astype(np.float64)
    bits = np.log2(max(counts.sum(), 1.0) / np.maximum(counts, 0.5)) + _SYMBOL_BITS / np.maximum(counts, 1.0)
    return np.asarray(bits)


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
