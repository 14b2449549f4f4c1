"""Spectral features of audio as keyword spotting networks take them, frame by frame.

The definition is that of MLPerf Tiny's keyword spotting: magnitudes of a short-time Fourier transform with a periodic
Hann window, triangular filters on the mel scale 1127 ln(1 + f / 700), the natural logarithm, and for MFCC the type II
discrete cosine transform scaled by sqrt(2 / filters) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
_LOG_OFFSET = 1e-6  # so that silence has a logarithm


@dataclass(frozen=True)
class FeatureSettings:
    """rate: samples a second. window, stride: milliseconds. coefficients: 0 for the logarithms themselves (log-mel)."""

    rate: int = 16_000
    window_ms: float = 40.0
    stride_ms: float = 20.0
    filters: int = 40
    coefficients: int = 10
    lower_hz: float = 20.0
    upper_hz: float = 4000.0

    @property
    def window(self) -> int:
        """In samples."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def stride(self) -> int:
        """In samples."""
        return round(self.rate * self.stride_ms / 1000)

    @property
    def width(self) -> int:
        """Numbers in a frame."""
        return self.coefficients or self.filters


class FeatureExtractor:
    """Takes samples as they come and gives the frames that they complete."""

    def __init__(self, settings: FeatureSettings) -> None:
        self._settings = settings
        self._fft_size = 1 << (settings.window - 1).bit_length()
        turns = np.arange(settings.window) / settings.window
        self._hann = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
        self._mel = mel_filters(settings, self._fft_size)
        self._cosines = _cosine_transform(settings) if settings.coefficients else None
        self._rest = np.zeros(0, np.float32)

    def frames(self, samples: FloatArray) -> FloatArray:
        """samples: [count], real values. The new frames: [frames, width], perhaps none."""
        self._rest = np.concatenate((self._rest, samples))
        count = max(0, (len(self._rest) - self._settings.window) // self._settings.stride + 1)
        if not count:
            return np.zeros((0, self._settings.width), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._rest, self._settings.window)
        spectra = np.abs(np.fft.rfft(windows[:: self._settings.stride][:count] * self._hann, self._fft_size, axis=1))
        self._rest = self._rest[count * self._settings.stride :].copy()
        logarithms = np.log(spectra @ self._mel + _LOG_OFFSET)
        frames = logarithms if self._cosines is None else logarithms @ self._cosines
        result: FloatArray = frames.astype(np.float32)
        return result


def mel_filters(settings: FeatureSettings, fft_size: int) -> NDArray[np.float64]:
    """[bins of the spectrum, filters]. The bin of 0 Hz belongs to no filter."""
    bins = _mel(np.arange(fft_size // 2 + 1) * settings.rate / fft_size)[:, np.newaxis]
    edges = np.linspace(_mel(settings.lower_hz), _mel(settings.upper_hz), settings.filters + 2)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0, np.minimum((bins - lower) / (center - lower), (upper - bins) / (upper - center)))
    weights[0] = 0
    result: NDArray[np.float64] = weights
    return result


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(hertz / 700.0)


def _cosine_transform(settings: FeatureSettings) -> NDArray[np.float64]:
    """[filters, coefficients]"""
    positions = np.arange(settings.filters)[:, np.newaxis] + 0.5
    angles = np.pi / settings.filters * positions * np.arange(settings.coefficients)
    result: NDArray[np.float64] = 2 * np.cos(angles) / np.sqrt(2 * settings.filters)
    return result
