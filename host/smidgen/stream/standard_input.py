"""Samples from standard input: raw numbers, or lines of comma-separated ones."""

from __future__ import annotations

import sys
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.stream.files import csv_row, is_heading

ENCODINGS = {"int16": ("<i2", 1 / 32768), "float32": ("<f4", 1.0)}  # type, and value of one step
CSV = "csv"
_LONGEST_LINE = 65_536


def open_standard_input() -> BinaryIO:
    """A reader of its own: Python aborts at its end when a thread still waits in that of `sys.stdin`.

    InputError if there is no standard input.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (AttributeError, OSError, ValueError) as error:  # sys.stdin is None when it is closed
        raise InputError("there is no standard input to read from") from error


class PipeSource:
    """encoding: int16 (audio, -1 to 1), float32, both little-endian with the channels interleaved, or csv."""

    is_live = True
    can_wait = True
    lost = 0

    def __init__(self, file: BinaryIO, encoding: str, channels: int, rate: float | None) -> None:
        if encoding not in (*ENCODINGS, CSV):
            raise InputError(f"there is no encoding {encoding!r}; there are {', '.join((*ENCODINGS, CSV))}")
        self.name = "standard input"
        self.rate = rate
        self.channels = channels
        self._file = file
        self._encoding = encoding
        self._rest = b""
        self._line = 0

    def read(self, count: int) -> NDArray[np.float32]:
        samples = self._lines(count) if self._encoding == CSV else self._numbers(count)
        if not np.isfinite(samples).all():
            raise InputError("standard input: a sample is not finite")
        return samples

    def next_recording(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def _numbers(self, count: int) -> NDArray[np.float32]:
        kind, step = ENCODINGS[self._encoding]
        size = np.dtype(kind).itemsize * self.channels
        data = self._rest
        while len(data) < size:
            more = self._some(count * size - len(data))
            if not more:
                data = b""  # what is left is no whole sample
                break
            data += more
        whole = len(data) // size * size
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], kind).reshape(-1, self.channels)
        with np.errstate(invalid="ignore"):  # `read` refuses what is not finite
            result: NDArray[np.float32] = samples.astype(np.float32) * np.float32(step)
        return result

    def _some(self, count: int) -> bytes:
        """What is there, at most so many bytes; waits for the first."""
        read = getattr(self._file, "read1", self._file.read)
        data: bytes = read(count)
        return data

    def _lines(self, count: int) -> NDArray[np.float32]:
        """One at a time: waiting for more would delay the first."""
        while True:
            line = self._file.readline(_LONGEST_LINE)
            if not line:
                return np.zeros((0, self.channels), np.float32)
            self._line += 1
            text = line.decode("utf-8", "replace").strip()
            if text and not (self._line == 1 and is_heading(text)):
                where = f"standard input, line {self._line}"
                row = csv_row(text, where, None)
                if len(row) != self.channels:
                    raise InputError(f"{where}: {len(row)} values, not {self.channels}: --channels says how many")
                with np.errstate(over="ignore"):
                    return np.array([row], np.float64).astype(np.float32)
