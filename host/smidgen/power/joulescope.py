"""Joulescope JS220 and its relatives, by the package pyjoulescope_driver (an optional extra)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import BoardError, InputError
from smidgen.power.source import RecordingSource, SourceInfo
from smidgen.power.specification import JoulescopeSpec
from smidgen.power.trace import FloatArray, PowerTrace


class Joulescope(RecordingSource):
    """Current, voltage and one input, streamed. The driver calls back from a thread of its own."""

    def __init__(self, spec: JoulescopeSpec) -> None:
        self._spec = spec
        self._driver: Any = None
        self._device = ""
        self._streams: dict[str, _Stream] = {}

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            name=f"Joulescope {self._device or self._spec.serial or ''}".rstrip(),
            sample_rate_hz=self._spec.rate_hz,
            uncertainty="some 0.1 % of the value and an offset that depends on its range (see the maker's data sheet)",
        )

    def open(self) -> None:
        try:
            from pyjoulescope_driver import Driver
        except ImportError:
            raise InputError(
                "joulescope needs the package pyjoulescope_driver: pip install 'smidgen[joulescope]'"
            ) from None
        self._driver = Driver()
        self._device = self._find()
        try:
            self._driver.open(self._device, mode="defaults")
            self._driver.publish(f"{self._device}/h/fs", self._spec.rate_hz)
            self._driver.publish(f"{self._device}/s/i/range/mode", "auto")
        except Exception as error:  # the driver raises what it likes
            raise BoardError(
                f"cannot open the Joulescope {self._device}: {error}; is another program using it?"
            ) from error

    def close(self) -> None:
        driver, self._driver = self._driver, None
        if driver:
            try:
                if self._device:
                    driver.close(self._device)
            finally:
                driver.finalize()

    def start(self) -> None:
        self._trace = None
        names = {"current": "s/i", "voltage": "s/v", "marker": f"s/gpi/{self._spec.marker}"}
        self._streams = {name: _Stream(f"{self._device}/{topic}") for name, topic in names.items()}
        for stream in self._streams.values():
            self._driver.subscribe(f"{stream.topic}/!data", ["pub"], stream.on_data)
        for stream in self._streams.values():
            self._driver.publish(f"{stream.topic}/ctrl", 1)

    def stop(self) -> None:
        for stream in self._streams.values():
            self._driver.publish(f"{stream.topic}/ctrl", 0)
            self._driver.unsubscribe(f"{stream.topic}/!data", stream.on_data)
        self._trace = _trace(self._streams["current"], self._streams["voltage"], self._streams["marker"])

    def _find(self) -> str:
        found = [path for path in self._driver.device_paths() if path.startswith("u/js")]
        wanted = [path for path in found if self._spec.serial is None or path.endswith(f"/{self._spec.serial}")]
        if len(wanted) != 1:
            which = f" with serial number {self._spec.serial}" if self._spec.serial else ""
            raise BoardError(
                f"{len(wanted)} Joulescopes{which} are plugged in; there are: {', '.join(found) or 'none'}; "
                "check the cable, or say which (joulescope:SERIAL)"
            )
        return str(wanted[0])


class _Stream:
    """The blocks of one signal. The instrument numbers samples at its own rate, of which each signal is a fraction."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._blocks: list[tuple[int, NDArray[Any]]] = []  # number of the first sample, at the signal's own rate
        self._lock = threading.Lock()
        self.on_data = self._receive  # one object, by which the driver knows it again
        self.factor = 1
        self.instrument_hz = 0.0

    def _receive(self, topic: str, value: Any) -> None:
        data = np.asarray(value["data"])
        if data.dtype == np.uint8:  # eight levels in a byte, the first in its lowest bit
            data = np.unpackbits(data, bitorder="little")
        with self._lock:
            self.factor = int(value["decimate_factor"])
            self.instrument_hz = float(value["sample_rate"])
            self._blocks.append((int(value["sample_id"]) // self.factor, data.astype(np.float32)))

    def samples(self) -> tuple[int, FloatArray]:
        """Number of the first sample, and all of them; those that did not arrive are NaN."""
        with self._lock:
            if not self._blocks:
                raise BoardError(f"the Joulescope sent nothing on {self.topic}: unplug it and plug it in again")
            first = self._blocks[0][0]
            last, block = self._blocks[-1]
            samples = np.full(last + len(block) - first, np.nan, np.float32)
            for number, data in self._blocks:
                samples[number - first : number - first + len(data)] = data
        return first, samples

    def at(self, numbers: NDArray[np.int64]) -> FloatArray:
        """Values at the instrument's sample numbers; NaN where there is none."""
        first, samples = self.samples()
        places = numbers // self.factor - first
        inside = (places >= 0) & (places < len(samples))
        values = np.full(len(numbers), np.nan, np.float32)
        values[inside] = samples[places[inside]]
        return values


def _trace(current: _Stream, voltage: _Stream, marker: _Stream) -> PowerTrace:
    """The time that all three signals have in common, in steps of the current's samples."""
    first, amperes = current.samples()
    numbers = (first + np.arange(len(amperes), dtype=np.int64)) * current.factor
    volts, levels = voltage.at(numbers), marker.at(numbers)
    arrived = np.flatnonzero(np.isfinite(amperes) & np.isfinite(volts) & np.isfinite(levels))
    if not len(arrived):
        raise BoardError("the Joulescope's current, voltage and input have no time in common: measure for longer")
    edges = np.append(arrived, arrived[-1] + 1) - arrived[0]
    return PowerTrace(
        edges=edges * (current.factor / current.instrument_hz),
        volts=volts[arrived],
        amperes=amperes[arrived],
        markers=levels[arrived].astype(np.uint8),
        lost=int(edges[-1] - len(arrived)),
    )
