"""Samples for a benchmark, from a NumPy file or, where none is given, from the blob."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.arrays import SINGLE, as_channels_last, load_arrays
from smidgen.errors import InputError
from smidgen.mlperf.candidate import Candidate

_LABELS = ("labels", "label", "y")
_NOISE_SAMPLES = 5


@dataclass(frozen=True)
class BenchmarkSamples:
    """samples: as the runner sends them. labels: the right class of each, for ad01 0 (normal) or 1; None: not known."""

    samples: list[bytes]
    labels: NDArray[np.int64] | None = None

    def first(self, count: int | None) -> BenchmarkSamples:
        return BenchmarkSamples(self.samples[:count], None if self.labels is None else self.labels[:count])


def load_samples(path: str | Path, candidate: Candidate) -> BenchmarkSamples:
    """From a .npy file, or a .npz file with samples (`input`, or the only array that fits) and perhaps `labels`.

    Samples are int8 as the network takes them, or real values; uint8 pixels for vww01 and ic01. Raises InputError.
    """
    arrays = load_arrays(path)
    name = _samples_name(arrays, candidate.benchmark.elements, path)
    array = arrays[name]
    if own_shape := candidate.network.metadata.get("channels_first", {}).get("0"):
        array = as_channels_last(array, own_shape)
    samples = candidate.benchmark.encode(array, candidate.input)
    labels = next((arrays[key] for key in _LABELS if key in arrays), None)
    return BenchmarkSamples(samples, None if labels is None else _checked(labels, len(samples), candidate, path))


def samples_of_blob(candidate: Candidate) -> BenchmarkSamples:
    """Of the golden vectors; noise, always the same, if the blob has none."""
    shape = candidate.input.shape
    arrays = [vector.inputs[0] for vector in candidate.golden]
    if not arrays:
        arrays = [np.random.default_rng(0).integers(-128, 128, (_NOISE_SAMPLES, *shape), np.int8)]
    return BenchmarkSamples(candidate.benchmark.encode(np.stack(arrays), candidate.input))


def _samples_name(arrays: dict[str, NDArray[Any]], elements: int, path: str | Path) -> str:
    if SINGLE in arrays:
        return SINGLE
    fitting = [
        name for name, array in arrays.items()
        if name not in _LABELS and array.dtype.kind in "iuf" and array.size and array.size % elements == 0
    ]  # fmt: skip
    if len(fitting) != 1:
        raise InputError(
            f"{path} has no array named {SINGLE!r}, and {len(fitting)} with a multiple of {elements} elements: "
            f"name the samples {SINGLE!r}"
        )
    return fitting[0]


def _checked(labels: NDArray[Any], samples: int, candidate: Candidate, path: str | Path) -> NDArray[np.int64]:
    classes = 2 if candidate.benchmark.is_anomaly_detection else candidate.benchmark.outputs
    labels = labels.reshape(-1)
    if len(labels) != samples:
        raise InputError(f"{path} holds {len(labels)} labels and {samples} samples")
    if labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.rint(labels)):
        raise InputError(f"{path}: the labels must be whole numbers, the index of the right class of each sample")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"{path}: labels are {labels.min()} to {labels.max()}; they must be 0 to {classes - 1}")
    return labels.astype(np.int64)
