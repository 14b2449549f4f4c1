"""Labelled samples in a .npz file, to which recordings are added.

samples: float32 [samples, channels], all recordings one after the other. starts: int64 [recordings], the sample each
begins with. labels: int64 [recordings], indices into names. rate: samples a second (0: not known).
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.arrays import load_arrays
from smidgen.errors import InputError
from smidgen.packer import save

FloatArray = NDArray[np.float32]
_ARRAYS = ("samples", "starts", "labels", "names", "rate")


@dataclass(frozen=True)
class Dataset:
    """See the module."""

    samples: FloatArray
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    rate: float

    def added(self, samples: FloatArray, label: str) -> Dataset:
        """With one recording more."""
        names = self.names if label in self.names else (*self.names, label)
        return replace(
            self,
            samples=np.concatenate((self.samples, samples.astype(np.float32))),
            starts=np.append(self.starts, len(self.samples)),
            labels=np.append(self.labels, names.index(label)),
            names=names,
        )

    def recordings(self) -> list[tuple[str, FloatArray]]:
        """Label and samples of each."""
        parts = np.split(self.samples, self.starts[1:]) if len(self.starts) else []
        return [(self.names[label], part) for label, part in zip(self.labels, parts, strict=True)]


def load_dataset(path: Path, channels: int, rate: float | None) -> Dataset:
    """To add recordings to; an empty one if there is no such file. InputError if it holds other channels or rates."""
    if not path.exists():
        empty = np.zeros(0, np.int64)
        return Dataset(np.zeros((0, channels), np.float32), empty, empty, (), rate or 0.0)
    arrays = load_arrays(path)
    if missing := [name for name in _ARRAYS if name not in arrays]:
        raise InputError(f"{path} is no data set of smidgen collect: it has no array {missing[0]!r}; take another name")
    samples, starts, labels = arrays["samples"], arrays["starts"], arrays["labels"]
    names = tuple(map(str, arrays["names"].reshape(-1)))
    if (
        samples.ndim != 2
        or samples.dtype.kind != "f"
        or arrays["rate"].size != 1
        or arrays["rate"].dtype.kind not in "if"
    ):
        raise InputError(f"{path} is no data set of smidgen collect: its samples or its rate have another form")
    if not _are_recordings(starts, labels, len(samples), len(names)):
        raise InputError(f"{path} is damaged: its labels or starts do not belong to its samples")
    stored = float(arrays["rate"].reshape(-1)[0])
    if samples.shape[1] != channels:
        raise InputError(f"{path} has {samples.shape[1]} channels, the source has {channels}: take another file")
    if stored != (rate or 0.0):
        raise InputError(f"{path} has {stored:g} samples a second, the source has {rate or 0.0:g}: take another file")
    return Dataset(samples.astype(np.float32), starts, labels, names, stored)


def save_dataset(dataset: Dataset, path: Path) -> None:
    """Whole or not at all. Raises InputError."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        samples=dataset.samples,
        starts=dataset.starts,
        labels=dataset.labels,
        names=np.array(dataset.names, np.str_),
        rate=np.array(dataset.rate),
    )
    save(buffer.getvalue(), path)


def are_starts(starts: NDArray[Any], samples: int) -> bool:
    """Whether recordings of so many samples in all can begin there; without samples there may be no recording."""
    if starts.dtype != np.int64 or starts.ndim != 1:
        return False
    if not len(starts):
        return samples == 0
    return bool(starts[0] == 0 and (np.diff(starts) >= 0).all() and starts[-1] <= samples)


def _are_recordings(starts: NDArray[np.int64], labels: NDArray[np.int64], samples: int, names: int) -> bool:
    if labels.dtype != np.int64 or starts.shape != labels.shape or not are_starts(starts, samples):
        return False
    return not len(labels) or bool(labels.min() >= 0 and labels.max() < names)
