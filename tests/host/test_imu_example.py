"""The exercise example: its data, its split by subject, and the committed model on people it was not trained on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import demo
from smidgen.demo import recordings as dataset

MODEL = Path(demo.__file__).with_name("imu_exercises.tflite")
MEASURED_ACCURACY = 0.9048  # of the committed model on windows of the test subjects, as train.py printed it


@pytest.fixture(scope="module")
def recordings() -> Any:
    try:
        return dataset.load_recordings()
    except dataset.DatasetError as error:
        pytest.skip(f"no IMU recordings: {error}")


def test_recordings(recordings: Any) -> None:
    assert len(recordings) == 140
    for recording in recordings:
        samples, axes = recording.signal.shape
        assert axes == len(dataset.AXES) and samples >= 5 * dataset.WINDOW
        assert recording.signal.dtype == np.float32 and np.isfinite(recording.signal).all()
    assert {recording.subject for recording in recordings} == set(dataset.SUBJECTS)
    assert np.bincount([recording.label for recording in recordings]).tolist() == [20] * len(dataset.LABELS)


def test_no_subject_is_in_training_and_test(recordings: Any) -> None:
    split = dataset.split_by_subject(recordings)
    train, calibration, test = (
        {recording.subject for recording in part} for part in (split.train, split.calibration, split.test)
    )
    assert test == set(dataset.TEST_SUBJECTS)
    assert not train & test
    assert calibration and calibration <= train
    assert len(split.train) + len(split.test) == len(recordings)


def test_windows(recordings: Any) -> None:
    recording = recordings[0]
    windows, labels = dataset.cut_windows([recording])
    count = (len(recording.signal) - dataset.WINDOW) // dataset.HOP + 1
    assert windows.shape == (count, dataset.WINDOW, 1, 6) and windows.dtype == np.float32
    assert labels.tolist() == [recording.label] * count
    np.testing.assert_array_equal(windows[1, :, 0], recording.signal[dataset.HOP : dataset.HOP + dataset.WINDOW])


def test_too_short_recordings_are_refused() -> None:
    short = dataset.Recording(np.zeros((dataset.WINDOW - 1, 6), np.float32), 0, 1)
    with pytest.raises(dataset.DatasetError, match="128 samples"):
        dataset.cut_windows([short])


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(dataset.DatasetError, match="pip install --no-deps seglearn"):
        dataset.data_file()


def scores_in_tflm(model: bytes, windows: np.ndarray) -> np.ndarray:
    tflite_micro = pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(model)
    scores = []
    for window in windows:
        interpreter.set_input(window[np.newaxis], 0)
        interpreter.invoke()
        scores.append(interpreter.get_output(0)[0].copy())
    return np.stack(scores)


def test_committed_model_on_unseen_subjects(recordings: Any) -> None:
    windows, labels = dataset.cut_windows(dataset.split_by_subject(recordings).test)
    scores = scores_in_tflm(MODEL.read_bytes(), windows)
    assert scores.shape == (len(windows), len(dataset.LABELS))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores.argmax(axis=1) == labels).mean() >= MEASURED_ACCURACY - 0.005


def test_committed_model_is_small() -> None:
    assert MODEL.stat().st_size < 60_000
