"""What `--source` means."""

from __future__ import annotations

from pathlib import Path

from smidgen.errors import InputError
from smidgen.stream.files import open_array, open_csv, open_wav
from smidgen.stream.microphone import MicrophoneSource
from smidgen.stream.source import Source
from smidgen.stream.standard_input import PipeSource, open_standard_input

STANDARD_INPUT = "-"
MICROPHONE = "microphone"
_DEFAULT_MICROPHONE_RATE = 16_000.0
_LEAST_RATE, _LARGEST_RATE = 1e-3, 1e7


def open_source(text: str, rate: float | None = None, encoding: str = "int16", channels: int = 1) -> Source:
    """A file (.wav, .csv, .npy, .npz), "-" (standard input), or "microphone", "microphone:DEVICE".

    rate: samples a second, for what does not say it. encoding, channels: of standard input. Raises InputError.
    """
    source = _open(text, rate, encoding, channels)
    if source.rate is not None and not _LEAST_RATE <= source.rate <= _LARGEST_RATE:
        source.close()
        raise InputError(
            f"{source.name}: {source.rate:g} samples a second; {_LEAST_RATE:g} to {_LARGEST_RATE:.0f} are possible"
        )
    return source


def _open(text: str, rate: float | None, encoding: str, channels: int) -> Source:
    if text == STANDARD_INPUT:
        return PipeSource(open_standard_input(), encoding, channels, rate)
    name, _, device = text.partition(":")
    if name == MICROPHONE:
        return MicrophoneSource(rate or _DEFAULT_MICROPHONE_RATE, device or None)
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix == ".wav":
        source = open_wav(path)
        if rate is not None and rate != source.rate:
            raise InputError(f"{path} has {source.rate:g} samples a second, not {rate:g}: leave --rate away")
        return source
    if suffix == ".csv":
        return open_csv(path, rate)
    if suffix in (".npy", ".npz"):
        return open_array(path, rate)
    raise InputError(
        f"{text} is no source: give a file (.wav, .csv, .npy, .npz), - (standard input), {MICROPHONE}, "
        f"or board:READER (a sensor of the board)"
    )
