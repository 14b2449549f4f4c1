"""A power trace from a text file: of an oscilloscope, a bench meter, or Nordic's Power Profiler."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.power.source import RecordingSource, SourceInfo
from smidgen.power.specification import CsvSpec
from smidgen.power.trace import PowerTrace

_UNITS = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "current": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9},
    "voltage": {"V": 1.0, "mV": 1e-3},
}
_NAMES = {"time": "time", "timestamp": "time", "current": "current", "voltage": "voltage", "marker": "marker"}
_HEADING = re.compile(r"\s*(?P<name>[^\s(\[]+)\s*(?:[(\[]\s*(?P<unit>[^)\]]*?)\s*[)\]])?\s*")
_EXAMPLE = "time(s),current(A),voltage(V),marker"


class CsvTrace(RecordingSource):
    """The file must have been recorded while the board made the same rounds."""

    def __init__(self, spec: CsvSpec) -> None:
        self._spec = spec
        self._marker_bit = spec.marker

    @property
    def info(self) -> SourceInfo:
        rate = self._trace.sample_rate_hz if self._trace else None
        return SourceInfo(f"file {self._spec.path}", rate, "that of the meter which wrote the file")

    def open(self) -> None:
        self._trace = read_csv(self._spec.path, self._spec.volts)


def read_csv(path: Path, volts: float | None = None) -> PowerTrace:
    """Read a file with a line of headings: time, current, and perhaps voltage and marker, with units in brackets.

    `Timestamp(ms),Current(uA),D0,...,D7`, what Nordic's Power Profiler exports, is one such file: D0 to D7 are marker
    bits, which it also writes as one column D0-D7 of eight digits, D0 first. A column `marker` is a whole number, the
    byte of all bits. volts: needed for a file without voltages, and refused for one with. InputError names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            heading = next(rows, None)
            if heading is None:
                raise InputError(f"{path} is empty; it must begin with a line such as {_EXAMPLE}")
            columns = _Columns(path, heading)
            columns.require_voltage(volts)
            for row in rows:
                if row:
                    columns.add(rows.line_num, row)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text file with comma-separated values: {error}") from error
    return columns.trace(volts)


class _Columns:
    """The columns of a file, as they fill up."""

    def __init__(self, path: Path, heading: Sequence[str]) -> None:
        self._path = path
        self._width = len(heading)
        self._scales: dict[str, tuple[int, float]] = {}  # column and factor, by quantity
        self._bits: list[tuple[int, int]] = []  # column and marker bit
        self._bit_string: int | None = None
        for index, text in enumerate(heading):
            self._read_heading(index, text)
        for quantity in ("time", "current"):
            if quantity not in self._scales:
                raise InputError(f"{path}, line 1: there is no column {quantity!r}; an example is {_EXAMPLE}")
        self._times: list[float] = []
        self._currents: list[float] = []
        self._voltages: list[float] = []
        self._markers: list[int] = []

    def _read_heading(self, index: int, text: str) -> None:
        match = _HEADING.fullmatch(text)
        name = match["name"].lower() if match else ""
        if re.fullmatch(r"d[0-7]", name):
            self._bits.append((index, int(name[1])))
        elif name == "d0-d7":
            self._bit_string = index
        elif name in _NAMES and match:
            quantity = _NAMES[name]
            if quantity in self._scales:
                raise InputError(f"{self._path}, line 1: there are two columns {quantity!r}")
            self._scales[quantity] = index, self._factor(quantity, match["unit"])

    def _factor(self, quantity: str, unit: str | None) -> float:
        if quantity == "marker":
            return 1.0
        units = _UNITS[quantity]
        found = (unit or "").replace("µ", "u").replace("μ", "u")
        if found not in units:
            raise InputError(
                f"{self._path}, line 1: the unit of {quantity} is {unit or 'missing'}; write one of "
                f"{', '.join(units)} in brackets, as in {quantity}({next(iter(units))})"
            )
        return units[found]

    def require_voltage(self, volts: float | None) -> None:
        if "voltage" in self._scales and volts is not None:
            raise InputError(f"{self._path} has voltages of its own: leave out volts={volts:g}")
        if "voltage" not in self._scales and volts is None:
            raise InputError(f"{self._path} has no column 'voltage': give the supply's (csv:FILE,volts=3.3)")

    def add(self, line: int, row: Sequence[str]) -> None:
        if len(row) != self._width:
            raise InputError(f"{self._path}, line {line}: it has {len(row)} values, the first line has {self._width}")
        time = self._number(line, row, "time")
        if self._times and time <= self._times[-1]:
            raise InputError(
                f"{self._path}, line {line}: the time is {time:g} s, not after {self._times[-1]:g} s in the line before"
            )
        self._times.append(time)
        self._currents.append(self._number(line, row, "current"))
        if "voltage" in self._scales:
            self._voltages.append(self._number(line, row, "voltage"))
        self._markers.append(self._marker(line, row))

    def _number(self, line: int, row: Sequence[str], quantity: str) -> float:
        index, factor = self._scales[quantity]
        try:
            value = float(row[index])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{self._path}, line {line}: the {quantity} {row[index]!r} is not a number")
        return value * factor

    def _marker(self, line: int, row: Sequence[str]) -> int:
        levels = 0
        if "marker" in self._scales:
            text = row[self._scales["marker"][0]].strip()
            if not (text.isascii() and text.isdigit()) or int(text) > 255:
                raise InputError(f"{self._path}, line {line}: the marker {text!r} is not a whole number from 0 to 255")
            levels = int(text)
        if self._bit_string is not None:
            text = row[self._bit_string].strip()
            if not re.fullmatch("[01]{8}", text):
                raise InputError(f"{self._path}, line {line}: D0-D7 is {text!r}, not eight digits 0 or 1")
            levels |= int(text[::-1], 2)
        for index, bit in self._bits:
            if row[index].strip() not in ("0", "1"):
                raise InputError(f"{self._path}, line {line}: D{bit} is {row[index]!r}, not 0 or 1")
            levels |= int(row[index]) << bit
        return levels

    def trace(self, volts: float | None) -> PowerTrace:
        if len(self._times) < 2:
            raise InputError(f"{self._path} has {len(self._times)} samples; a power trace needs two at least")
        times = np.array(self._times)
        edges = np.append(times, 2 * times[-1] - times[-2])  # the last sample is as long as the one before
        voltages: NDArray[np.float64] = (
            np.full(len(times), volts, np.float64) if volts is not None else np.array(self._voltages)
        )
        return PowerTrace(edges, voltages, np.array(self._currents), np.array(self._markers, np.uint8))
