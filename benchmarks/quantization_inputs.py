"""Real inputs for the comparison of quantisation methods, in the real numbers that the float models take.

Each model gets calibration and evaluation inputs that share no recording, image or spectrogram frame. Where the
folder of reference models holds few real inputs, they are derived from real recordings and images of another kind:
docs/quantization.md says how.
"""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SAMPLE_RATE = 16_000
_FRAME, _STEP = 480, 320  # 30 ms every 20 ms
_MEL_BINS, _LOWEST_HERTZ, _HIGHEST_HERTZ, _COEFFICIENTS = 40, 20.0, 4000.0, 10
_KWS_CALIBRATION, _KWS_EVALUATION = 100, 100
_KWS_SCALE, _KWS_ZERO_POINT = np.float32(0.5847029), 83  # of the sample input, which is int8
_AD_ROWS = 5  # spectrogram frames in one input


@dataclass(frozen=True)
class Inputs:
    """calibration and evaluation: [samples, ...] float32."""

    calibration: Floats
    evaluation: Floats


def models_folder() -> Path | None:
    """The folder of reference models: $SMIDGEN_MODELS, or shared/models beside the checkout; None if absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "models"
    folder = Path(os.environ.get("SMIDGEN_MODELS", beside))
    return folder if (folder / "mlperf-tiny").is_dir() else None


# Keyword spotting: MFCC of one second of sound


def _read_wave(path: Path) -> Floats:
    with wave.open(str(path)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2").astype(np.float32)
    return samples[:_SAMPLE_RATE]


def _mel_weights(size: int) -> NDArray[np.float64]:
    """Triangles on the mel scale, [FFT bins, mel bins], as tf.signal.linear_to_mel_weight_matrix. size: of the FFT."""

    def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log(1.0 + hertz / 700.0))

    bins = mel(np.linspace(0.0, _SAMPLE_RATE / 2, size // 2 + 1)[1:])[:, None]  # the bin of 0 Hz has no weight
    lowest, highest = mel(np.array([_LOWEST_HERTZ, _HIGHEST_HERTZ]))
    edges = np.linspace(lowest, highest, _MEL_BINS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    return np.vstack((np.zeros((1, _MEL_BINS)), triangles))


def mfcc(sound: Floats, frame: int = _FRAME) -> Floats:
    """The 49 x 10 features of MLPerf Tiny's keyword model for 16000 samples with a largest value of about 1.

    frame: samples of a window, 480 (30 ms) or 640 (40 ms).
    """
    starts = np.arange(0, _SAMPLE_RATE - frame + 1, _STEP)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    frames = sound.astype(np.float64)[starts[:, None] + np.arange(frame)] * hann
    bins = 1 << (frame - 1).bit_length()
    log_mel = np.log(np.abs(np.fft.rfft(frames, bins)) @ _mel_weights(bins) + 1e-6)
    angles = np.pi / _MEL_BINS * (np.arange(_MEL_BINS) + 0.5)[:, None] * np.arange(_COEFFICIENTS)
    coefficients = log_mel @ np.cos(angles) * np.sqrt(2.0 / _MEL_BINS)
    return np.asarray(coefficients[:, :, None], np.float32)


def _mixtures(word: Floats, backgrounds: list[Floats], count: int, seed: int) -> Floats:
    """The word moved by up to 100 ms, at several volumes, with and without background sound.

    This is the augmentation with which MLPerf Tiny trains the model; what the move leaves empty is exact silence.
    """
    random = np.random.default_rng(seed)
    results = []
    for _ in range(count):
        sound = _moved(word / np.abs(word).max(), int(random.integers(-1600, 1601))) * random.uniform(0.3, 1.0)
        if random.random() < 0.8:
            background = backgrounds[random.integers(len(backgrounds))]
            background = np.roll(background / np.abs(background).max(), random.integers(_SAMPLE_RATE))
            sound = sound + background * random.uniform(0.0, 0.1)
        results.append(mfcc(np.clip(sound, -1.0, 1.0)))
    return np.array(results)


def _moved(sound: Floats, by: int) -> Floats:
    moved = np.zeros_like(sound)
    moved[max(by, 0) : _SAMPLE_RATE + min(by, 0)] = sound[max(-by, 0) : _SAMPLE_RATE - max(by, 0)]
    return moved


def keyword_inputs(folder: Path) -> Inputs:
    """Calibration from the word `no` and half of `noise`; evaluation from `yes`, `silence` and the other half.

    To the evaluation comes the model's own sample input.
    """
    names = ("yes", "no", "noise", "silence")
    sounds = {name: _read_wave(folder / f"tflite-micro/{name}_1000ms.wav") for name in names}
    halves = [np.tile(half, 2) for half in np.split(sounds["noise"], 2)]
    calibration = _mixtures(sounds["no"], halves[:1], _KWS_CALIBRATION, 1)
    evaluation = _mixtures(sounds["yes"], [halves[1], sounds["silence"]], _KWS_EVALUATION - 1, 2)
    sample = np.load(folder / "mlperf-tiny/kws_input_data.npy").astype(np.float32)
    return Inputs(calibration, np.concatenate((evaluation, (sample - _KWS_ZERO_POINT) * _KWS_SCALE)))


# Images


def person_inputs(folder: Path) -> Inputs:
    """Photographs: the first half for calibration, the second for evaluation; pixels from 0 to 1."""
    pixels = np.load(folder / "vww200.npz")["images"].astype(np.float32) / np.float32(255)
    return Inputs(pixels[0::2], pixels[1::2])


def image_inputs(folder: Path) -> Inputs:
    """The same photographs averaged over 3 x 3 pixels to 32 x 32; pixels from 0 to 255."""
    pixels = np.load(folder / "vww200.npz")["images"].astype(np.float32)
    small = np.rint(pixels.reshape(-1, 32, 3, 32, 3, 3).mean(axis=(2, 4))).astype(np.float32)
    return Inputs(small[0::2], small[1::2])


# Machine sound


def sound_inputs(folder: Path) -> Inputs:
    """Windows of 5 frames of one spectrogram; calibration from its first half, evaluation from its second."""
    frames = np.fromfile(folder / "mlperf-tiny/normal_id_01_00000000_hist_librosa.bin", "<f4").reshape(200, 128)
    windows = np.array([frames[i : i + _AD_ROWS].reshape(-1) for i in range(len(frames) - _AD_ROWS + 1)])
    return Inputs(windows[:96], windows[100:])


LOADERS: dict[str, Callable[[Path], Inputs]] = {
    "kws": keyword_inputs,
    "vww": person_inputs,
    "ic": image_inputs,
    "ad": sound_inputs,
}
