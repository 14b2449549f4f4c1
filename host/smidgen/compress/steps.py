"""The step of each output channel's weights: coarse where errors matter little.

At the optimum another bit saves the same error everywhere, so that one price of a bit decides all steps of a network:
an error of variance step^2 / 12 costs moment * step^2 / 24 and halving the step costs a bit for each weight. The steps
of a layer are one number times powers of two, so that its channels share one multiplier and differ in shifts only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.compress.gradients import real_factors
from smidgen.compress.rounding import LARGEST_WEIGHT
from smidgen.requantization import MIN_SHIFT, quantize_multiplier

Floats = NDArray[np.float64]

STEP_PER_PRICE = 20.0  # 12 / ln 2 in theory for fine steps; measured best with rounding that knows the code
_OCTAVES = 2  # between the finest and the coarsest step of a layer
_FINEST_SHIFT = MIN_SHIFT + 8
_LARGEST_STEP = 0.4  # int8 steps of output that one step of the bias is worth
_BASES = np.arange(0, 1, 0.05)  # octaves
_MULTIPLIER_BITS = 7


def ideal_steps(curvature: Floats, weights: Floats, price: float) -> Floats:
    """The best step for each channel at a price of a bit.

    curvature: what an error of each channel costs, twice. weights: [channels, weights per channel]; a step is never so
    small that the largest of them is above 127 steps.
    """
    ideal = np.sqrt(STEP_PER_PRICE * price / np.maximum(curvature, np.finfo(np.float64).tiny))
    return np.asarray(np.maximum(np.minimum(ideal, _LARGEST_STEP), finest_steps(weights)))


def finest_steps(weights: Floats) -> Floats:
    """The step of each channel with which its largest weight is 127."""
    return np.asarray(np.maximum(np.abs(weights).max(axis=1) / LARGEST_WEIGHT, 2.0**_FINEST_SHIFT))


def shared_multiplier(ideal: Floats, finest: Floats) -> tuple[int, NDArray[np.int32]]:
    """A multiplier for a layer, and a shift for each channel, that give steps near `ideal` and none below `finest`."""
    logarithms, least = np.log2(ideal), np.log2(finest)
    best: tuple[float, float, Floats] | None = None
    for base in _BASES:
        nearest, lowest = np.rint(logarithms - base), np.ceil(least - base)
        for top in np.unique(nearest):
            exponents = np.maximum(nearest.clip(top - _OCTAVES, top), lowest)
            cost = float(np.mean(_mismatch(exponents + base - logarithms)))
            if best is None or cost < best[0]:
                best = cost, base, exponents
    assert best is not None
    multiplier, shift = quantize_multiplier(2.0 ** best[1])
    unit = 1 << (31 - 1 - _MULTIPLIER_BITS)
    return -(-multiplier // unit) * unit, (shift + best[2]).astype(np.int32)


def _mismatch(octaves: Floats) -> Floats:
    """What a step that differs from the ideal costs more in error and bits, in bits."""
    return np.asarray((np.exp2(2 * octaves) - 1) / (2 * np.log(2)) - octaves)


def real_steps(multiplier: int, shifts: NDArray[np.int32]) -> Floats:
    """Int8 steps of output that an accumulator step is worth."""
    return real_factors(multiplier, shifts)
