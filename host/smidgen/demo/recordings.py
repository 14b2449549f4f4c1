"""The watch recordings of the seglearn package, and the windows cut from them.

140 recordings of ten people, each doing each of seven shoulder exercises once with a smartwatch on the left and once on
the right wrist: 50 Hz, accelerometer in g and gyroscope in rad/s. People are either in training or in test, never in
both: what counts is how well the network knows the movements of somebody it has never seen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError

LABELS = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
AXES = ("ax", "ay", "az", "wx", "wy", "wz")  # g and rad/s, inferred from gravity and the size of the movements

WINDOW = 128  # samples, 2.56 s: one to two and a half repetitions of an exercise
HOP = 64  # samples between the starts of windows

SUBJECTS = tuple(range(1, 11))
TEST_SUBJECTS = (8, 9, 10)
CALIBRATION_SUBJECTS = (5,)  # trains too; its windows show a packager the range of the activations

Windows = NDArray[np.float32]  # [windows, WINDOW, 1, 6]: TFLite's layout, time as height
Labels = NDArray[np.int64]


class DatasetError(InputError):
    """The recordings are not there, or are not what they should be."""


@dataclass(frozen=True)
class Recording:
    """One set of repetitions of one exercise."""

    signal: NDArray[np.float32]  # [samples, 6], in the order of AXES
    label: int  # index into LABELS
    subject: int  # 1..10


@dataclass(frozen=True)
class Split:
    """Recordings by use. The calibration recordings are some of the training recordings."""

    train: list[Recording]
    calibration: list[Recording]
    test: list[Recording]


def data_file() -> Path:
    """Where seglearn keeps the recordings; found without importing it, so without its dependencies."""
    specification = importlib.util.find_spec("seglearn")
    if specification is None or not specification.submodule_search_locations:
        raise DatasetError("the recordings come with the package seglearn: pip install --no-deps seglearn")
    path = Path(specification.submodule_search_locations[0]) / "data" / "watch_dataset.npy"
    if not path.is_file():
        raise DatasetError(
            f"seglearn is installed, but {path} is not there; try: pip install --force-reinstall seglearn"
        )
    return path


def load_recordings(path: Path | None = None) -> list[Recording]:
    """All recordings, in the order of the file."""
    path = path or data_file()
    # The file is a pickled dictionary: reading it trusts the package as much as importing it would.
    content: dict[str, Any] = np.load(path, allow_pickle=True).item()
    if tuple(content["y_labels"]) != LABELS or tuple(content["X_labels"]) != AXES:
        raise DatasetError(f"{path} has other exercises or axes than this example knows")
    fields = zip(content["X"], content["y"], content["subject"], strict=True)
    return [Recording(np.asarray(x, np.float32), int(label), int(subject)) for x, label, subject in fields]


def split_by_subject(recordings: Sequence[Recording], test_subjects: Iterable[int] = TEST_SUBJECTS) -> Split:
    """Recordings of `test_subjects` for the test, all others for training."""
    test = set(test_subjects)
    train = [recording for recording in recordings if recording.subject not in test]
    return Split(
        train,
        [recording for recording in train if recording.subject in CALIBRATION_SUBJECTS],
        [recording for recording in recordings if recording.subject in test],
    )


def cut_windows(recordings: Iterable[Recording], hop: int = HOP) -> tuple[Windows, Labels]:
    """Every whole window of the recordings, `hop` samples apart, in raw units, and its label."""
    windows, labels = [], []
    for recording in recordings:
        for start in range(0, len(recording.signal) - WINDOW + 1, hop):
            windows.append(recording.signal[start : start + WINDOW, np.newaxis, :])
            labels.append(recording.label)
    if not windows:
        raise DatasetError(f"no recording is as long as a window of {WINDOW} samples")
    return np.stack(windows), np.array(labels, np.int64)


def mean_and_deviation(recordings: Iterable[Recording]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each axis over all samples, each [6]."""
    samples = np.concatenate([recording.signal for recording in recordings])
    return samples.mean(axis=0), samples.std(axis=0)
