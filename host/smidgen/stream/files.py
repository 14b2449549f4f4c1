"""Sources that are files: .wav, .csv, .npy and .npz."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.arrays import load_arrays
from smidgen.errors import InputError
from smidgen.stream.dataset import are_starts
from smidgen.stream.source import ArraySource

_INT16_FULL_SCALE = 32768.0


def open_wav(path: Path) -> ArraySource:
    """16 bits, mono, or stereo whose channels are averaged. Samples are int16 / 32768."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it is cut off"
        raise InputError(f"cannot read {path}: {reason}") from error
    if width != 2 or channels not in (1, 2):
        raise InputError(
            f"{path} has {8 * width} bits and {channels} channels; 16 bits and 1 or 2 channels are read: "
            f"convert it (sox in.wav -b 16 -c 1 out.wav)"
        )
    if rate <= 0:
        raise InputError(f"{path} claims {rate} samples a second")
    whole = len(data) // (2 * channels) * channels
    samples = np.frombuffer(data, "<i2", count=whole).reshape(-1, channels)
    mono = samples.astype(np.float32).mean(axis=1, keepdims=True) / np.float32(_INT16_FULL_SCALE)
    return ArraySource(str(path), _checked(mono, path), float(rate))


def open_csv(path: Path, rate: float | None) -> ArraySource:
    """A line for each sample, a number for each channel, separated by commas; the first line may be a heading."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == 1 and is_heading(line)):
            continue
        rows.append(csv_row(line, f"{path}, line {number}", len(rows[0]) if rows else None))
    return ArraySource(str(path), _checked(np.array(rows, np.float32), path), rate)


def is_heading(line: str) -> bool:
    """Whether no field is a number."""
    return not any(_is_number(field) for field in line.split(","))


def csv_row(line: str, where: str, expected: int | None) -> list[float]:
    """The numbers of one line. InputError names `where` it is."""
    fields = line.split(",")
    if expected is not None and len(fields) != expected:
        raise InputError(f"{where}: {len(fields)} values, the lines before it have {expected}")
    try:
        return [float(field) for field in fields]
    except ValueError:
        bad = next(field.strip() for field in fields if not _is_number(field))
        raise InputError(f"{where}: {bad[:40]!r} is not a number") from None


def open_array(path: Path, rate: float | None) -> ArraySource:
    """A .npy, or a .npz with the array `samples` (and perhaps `rate`), as `smidgen collect` writes, or only one array.

    [samples] or [samples, channels]. Recordings begin where an array `starts` beside `samples` says.
    """
    arrays = load_arrays(path)
    stored = arrays.pop("rate", None)
    if rate is None and stored is not None and stored.size == 1 and stored.dtype.kind in "iuf":
        rate = float(stored.reshape(-1)[0]) or None  # 0: not known
        if rate is not None and not (np.isfinite(rate) and rate > 0):
            raise InputError(f"{path}: the rate is {rate:g}; it must be above 0")
    if "samples" in arrays:
        samples = arrays["samples"]
    elif len(arrays) == 1:
        samples = next(iter(arrays.values()))
    else:
        raise InputError(f"{path} has the arrays {', '.join(sorted(arrays)) or '(none)'}; one must be called samples")
    if samples.dtype.kind not in "iuf" or samples.ndim not in (1, 2):
        raise InputError(
            f"{path}: samples are numbers of the shape [samples] or [samples, channels], "
            f"not {samples.dtype} {list(samples.shape)}"
        )
    values = _checked(samples[:, np.newaxis] if samples.ndim == 1 else samples, path)
    starts = arrays.get("starts", np.zeros(1, np.int64))
    if not are_starts(starts, len(values)):
        raise InputError(
            f"{path}: starts are rising int64, from 0 to at most {len(values)}, the number of samples; "
            f"they are {starts.dtype} {starts.tolist()!s:.60}"
        )
    return ArraySource(str(path), values, rate, starts.tolist())


def _checked(samples: NDArray[Any], path: Path) -> NDArray[np.float32]:
    if samples.size == 0:
        raise InputError(f"{path} has no samples")
    with np.errstate(over="ignore"):
        values = samples.astype(np.float32)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise InputError(f"{path}: sample {int(np.argmin(finite))} is not finite")
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
