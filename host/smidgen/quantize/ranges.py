"""Observes which values every activation takes, and chooses the range that int8 should cover.

Two passes over the calibration samples: the first finds each tensor's smallest and largest value, the second
fills a histogram between them. Memory does not grow with the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError, ModelError
from smidgen.graph import Graph
from smidgen.quantize.calibration import Calibration, Floats
from smidgen.reference.float_executor import run_float_steps, starting_values

Progress = Callable[[str, int, int], None]  # what is being done, samples done, samples in all

RANGE_METHODS = ("minmax", "percentile-99.9", "percentile-99.99", "mse")
BINS = 2048
CHUNK_ELEMENTS = 4_000_000  # activations computed at once: 16 MB
_LEVELS = 255
_CLIPPINGS = np.linspace(0.1, 1.0, 91)  # fractions of the largest value that are tried as limits
_MAX_SWEEPS = 3


@dataclass
class Observation:
    """The distribution of one activation: exact zeros apart, everything else in BINS equal bins of [low, high]."""

    low: float = np.inf
    high: float = -np.inf
    zeros: int = 0
    counts: NDArray[np.int64] | None = None

    def see_range(self, values: Floats) -> None:
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def see_values(self, values: Floats) -> None:
        if self.high <= self.low:
            return
        flat = values.reshape(-1)
        nonzero = flat[flat != 0]
        self.zeros += flat.size - nonzero.size
        factor = np.float64(BINS) / (self.high - self.low)
        index = np.minimum(((nonzero - np.float64(self.low)) * factor).astype(np.int64), BINS - 1)
        counts = np.bincount(index, minlength=BINS)
        self.counts = counts if self.counts is None else self.counts + counts

    @property
    def centres(self) -> NDArray[np.float64]:
        return np.asarray(self.low + (np.arange(BINS) + 0.5) * ((self.high - self.low) / BINS))

    def range(self, method: str) -> tuple[float, float]:
        """Smallest and largest value that int8 shall represent: low <= 0 <= high."""
        if method == "minmax" or self.counts is None:
            low, high = self.low, self.high
        elif method == "mse":
            low, high = self._least_squares()
        else:
            low, high = self._percentile(float(method.removeprefix("percentile-")))
        return min(low, 0.0), max(high, 0.0)

    def _percentile(self, percent: float) -> tuple[float, float]:
        """Limits beyond each of which lie (100 - percent) % of all values."""
        assert self.counts is not None
        values = np.concatenate((self.centres, [0.0]))
        order = np.argsort(values, kind="stable")
        counts = np.concatenate((self.counts, [self.zeros]))[order]
        cumulated = np.cumsum(counts) / counts.sum()
        outside = 1 - percent / 100
        low, high = values[order][np.minimum(np.searchsorted(cumulated, [outside, 1 - outside]), BINS)]
        half = (self.high - self.low) / BINS / 2  # a bin is covered whole
        return max(self.low, float(low) - half), min(self.high, float(high) + half)

    def _least_squares(self) -> tuple[float, float]:
        """Limits with the least sum of squared errors of clipping and of rounding, each limit in turn.

        Rounding a value between the limits errs by scale**2 / 12 on average; exact zeros stay exact.
        """
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        for _ in range(_MAX_SWEEPS):
            before = low, high
            if self.high > 0:
                high = self._best([(low, self.high * part) for part in _CLIPPINGS])[1]
            if self.low < 0:
                low = self._best([(self.low * part, high) for part in _CLIPPINGS])[0]
            if (low, high) == before:
                break
        return low, high

    def _best(self, candidates: list[tuple[float, float]]) -> tuple[float, float]:
        return min(candidates, key=self._squared_error)

    def _squared_error(self, limits: tuple[float, float]) -> float:
        assert self.counts is not None
        low, high = limits
        beyond = np.maximum(self.centres - high, 0) + np.maximum(low - self.centres, 0)
        rounding = ((high - low) / _LEVELS) ** 2 / 12
        return float(np.sum(self.counts * np.where(beyond > 0, beyond**2, rounding)))


def observe(graph: Graph, calibration: Calibration, progress: Progress | None = None) -> dict[str, Observation]:
    """The distribution of every activation of a float graph over the samples.

    Raises ModelError naming the operator whose result is not finite.
    """
    observations = {tensor.name: Observation() for tensor in graph.activations()}
    for name, values in _every_activation(graph, calibration, "ranges", progress):
        if not np.isfinite(values).all():
            operator = graph.producer(name)
            where = f"{operator.source or name} {operator.kind}" if operator else name
            raise ModelError(f"{where}: the float model computes infinite or undefined values in tensor {name!r}")
        observations[name].see_range(values)
    for name, values in _every_activation(graph, calibration, "histograms", progress):
        observations[name].see_values(values)
    return observations


def chunks(graph: Graph, calibration: Calibration) -> Iterator[dict[str, Floats]]:
    """The samples in groups small enough that all activations of a group fit CHUNK_ELEMENTS."""
    size = max(1, CHUNK_ELEMENTS // sum(tensor.elements for tensor in graph.activations()))
    for start in range(0, calibration.samples, size):
        yield {
            name: array[start : start + size].reshape(-1, *graph.tensors[name].shape)
            for name, array in calibration.inputs.items()
        }


def _every_activation(
    graph: Graph, calibration: Calibration, stage: str, progress: Progress | None
) -> Iterator[tuple[str, Floats]]:
    done = 0
    for inputs in chunks(graph, calibration):
        values = starting_values(graph, inputs)
        yield from list(values.items())
        for operator, result in run_float_steps(graph, values):
            yield operator.output, result
        done += len(next(iter(inputs.values())))
        if progress is not None:
            progress(stage, done, calibration.samples)


def check_method(method: str) -> None:
    if method not in RANGE_METHODS:
        raise InputError(f"unknown calibration method {method!r}; there are: {', '.join(RANGE_METHODS)}")
