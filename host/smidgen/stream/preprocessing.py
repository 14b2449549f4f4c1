"""What is done to samples before a network sees them, as the blob's metadata says (docs/streaming.md)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.stream.features import FeatureExtractor, FeatureSettings

FloatArray = NDArray[np.float32]
_FEATURES = {"mfcc": FeatureSettings(), "log-mel": FeatureSettings(coefficients=0)}
NAMES = ("raw", *_FEATURES)
_LARGEST_RATE = 384_000
_LARGEST_WINDOW_SAMPLES = 65_536
_MOST_FILTERS = 512


@dataclass(frozen=True)
class Preprocessing:
    """value = scale * sample + offset, for all channels or for each; then features of that, if there are any."""

    kind: str = "raw"
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    features: FeatureSettings | None = None

    def width(self, channels: int) -> int:
        """Numbers in a frame. InputError if this cannot take so many channels."""
        for name, values in (("scale", self.scale), ("offset", self.offset)):
            if len(values) not in (1, channels):
                raise InputError(
                    f"the model's preprocessing has {len(values)} values of {name}, the source has {channels} channels"
                )
        if self.features is None:
            return channels
        if channels != 1:
            raise InputError(f"{self.kind} features need one channel of audio; the source has {channels}")
        return self.features.width

    def frame_rate(self, sample_rate: float) -> float:
        """Frames a second. InputError if features need another sample rate."""
        if self.features is None:
            return sample_rate
        if sample_rate != self.features.rate:
            raise InputError(
                f"the model's {self.kind} features need {self.features.rate} samples a second, the source has "
                f"{sample_rate:g}: convert it first (sox in.wav -r {self.features.rate} out.wav)"
            )
        return self.features.rate / self.features.stride


class Preprocessor:
    """Turns blocks of samples [count, channels] into frames [frames, width], real values."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._scale = np.array(preprocessing.scale, np.float32)
        self._offset = np.array(preprocessing.offset, np.float32)
        self._extractor = FeatureExtractor(preprocessing.features) if preprocessing.features else None

    def frames(self, samples: FloatArray) -> FloatArray:
        values: FloatArray = samples * self._scale + self._offset
        return self._extractor.frames(values[:, 0]) if self._extractor else values


def parse_preprocessing(value: Any) -> Preprocessing:
    """From metadata: None (raw), a name, or an object with `kind`. InputError says which key is wrong."""
    if value is None:
        return Preprocessing()
    settings = {"kind": value} if isinstance(value, str) else value
    if not isinstance(settings, dict):
        raise InputError(f"preprocessing is a name or an object with the key kind, not {value!r:.100}")
    kind = settings.get("kind")
    if kind not in NAMES:
        raise InputError(f"there is no preprocessing {kind!r}; there are {', '.join(NAMES)}")
    features = _FEATURES.get(kind)
    names = {field.name for field in fields(FeatureSettings)} if features else set()
    if unknown := sorted(set(settings) - {"kind", "scale", "offset"} - names):
        raise InputError(f"{kind} preprocessing has no setting {unknown[0]!r}")
    numbers = {name: _number(name, settings[name]) for name in names & set(settings)}
    return Preprocessing(
        kind,
        _numbers("scale", settings.get("scale", 1.0)),
        _numbers("offset", settings.get("offset", 0.0)),
        _checked(replace(features, **_typed(numbers))) if features else None,
    )


def load_preprocessing(name_or_file: str) -> Any:
    """What `pack --preprocessing` puts into the metadata: a name, or the object in a JSON file. It is checked."""
    value: Any = name_or_file
    if name_or_file not in NAMES:
        try:
            value = json.loads(Path(name_or_file).read_text("utf-8"))
        except FileNotFoundError:
            raise InputError(f"there is no preprocessing {name_or_file!r}, and no such file; "
                             f"there are {', '.join(NAMES)}") from None  # fmt: skip
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"cannot read the preprocessing {name_or_file}: {error}") from error
    parse_preprocessing(value)
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"the preprocessing's {name} is a number, not {value!r:.100}")
    return float(value)


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    if isinstance(value, list) and value:
        return tuple(_number(name, item) for item in value)
    return (_number(name, value),)


def _typed(numbers: dict[str, float]) -> dict[str, Any]:
    for name in ("rate", "filters", "coefficients"):
        if name in numbers and numbers[name] != int(numbers[name]):
            raise InputError(f"the preprocessing's {name} is a whole number, not {numbers[name]:g}")
    return {name: int(v) if name in ("rate", "filters", "coefficients") else v for name, v in numbers.items()}


def _checked(settings: FeatureSettings) -> FeatureSettings:
    if not 1 <= settings.rate <= _LARGEST_RATE:
        raise InputError(f"the preprocessing's rate is 1 to {_LARGEST_RATE}, not {settings.rate}")
    if not 1 <= settings.filters <= _MOST_FILTERS or not 0 <= settings.coefficients <= settings.filters:
        raise InputError(
            f"the preprocessing has 1 to {_MOST_FILTERS} filters and at most as many coefficients, "
            f"not {settings.filters} and {settings.coefficients}"
        )
    if not 0 <= settings.lower_hz < settings.upper_hz <= settings.rate / 2:
        raise InputError(
            f"the preprocessing's filters lie between 0 and {settings.rate / 2:g} Hz, half the rate, "
            f"not between {settings.lower_hz:g} and {settings.upper_hz:g}"
        )
    longest = _LARGEST_WINDOW_SAMPLES * 1000 / settings.rate
    if not (0 < settings.window_ms <= longest and 0 < settings.stride_ms <= longest):
        raise InputError(f"the preprocessing's window_ms and stride_ms are above 0 and at most {longest:g}")
    if settings.window < 2 or settings.stride < 1:
        raise InputError(f"the preprocessing's window has {settings.window} samples; it needs two, and a stride of one")
    return settings
