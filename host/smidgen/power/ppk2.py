"""Nordic's Power Profiler Kit II, by the package ppk2-api (an optional extra)."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from typing import Any

import numpy as np
import serial

from smidgen.errors import BoardError, InputError
from smidgen.power.source import RecordingSource, SourceInfo
from smidgen.power.specification import Ppk2Spec
from smidgen.power.trace import PowerTrace

SAMPLE_RATE_HZ = 100_000
_SAMPLE_BYTES = 4
_COUNTER_SHIFT, _COUNTER_PERIOD = 18, 64  # a counter in every sample shows what was lost
_POLL_SECONDS = 0.01
_SETTLE_SECONDS = 0.2  # after switching the supply on
_LONGEST_SECONDS = 600  # what is kept until it is evaluated: 240 MB
_CHUNK_BYTES = 400_000


class Ppk2(RecordingSource):
    """The samples are kept as they come, by a thread, and turned into amperes at the end: that takes longer."""

    def __init__(self, spec: Ppk2Spec) -> None:
        self._spec = spec
        self._marker_bit = spec.marker
        self._meter: Any = None
        self._port = spec.port
        self._reader: _Reader | None = None

    @property
    def info(self) -> SourceInfo:
        mode = "source meter" if self._spec.source else "ampere meter"
        return SourceInfo(
            name=f"PPK2 as {mode} at {self._spec.volts:g} V",
            sample_rate_hz=SAMPLE_RATE_HZ,
            uncertainty="10 % typically for 50 uA and more (the maker's figure); "
            + ("its own voltage is set, not measured" if self._spec.source else "the voltage is what you said it is"),
        )

    def open(self) -> None:
        api = _import_api()
        port = self._port = self._spec.port or _only_port(api)
        try:
            self._meter = api.PPK2_API(port, timeout=1, write_timeout=1, exclusive=True)
        except (serial.SerialException, OSError) as error:
            raise BoardError(f"cannot open the PPK2 on {port}: {error}; is another program using it?") from error
        if not self._call("get_modifiers"):
            raise BoardError(f"the device on {port} does not answer as a PPK2: check the port, plug it in again")
        self._call("set_source_voltage", round(self._spec.volts * 1000))
        self._call("use_source_meter" if self._spec.source else "use_ampere_meter")
        self._call("toggle_DUT_power", "ON")
        time.sleep(_SETTLE_SECONDS)

    def close(self) -> None:
        """As source meter it goes on supplying the board: cutting its power is not for a measurement to decide."""
        if self._reader:
            self._reader.stop()
        meter, self._meter = self._meter, None
        if meter:
            with contextlib.suppress(serial.SerialException, OSError):
                meter.stop_measuring()
            meter.ser.close()

    def start(self) -> None:
        self._trace = None
        self._meter.ser.reset_input_buffer()
        self._reader = _Reader(self._meter)
        self._call("start_measuring")
        self._reader.start()

    def stop(self) -> None:
        assert self._reader, "start it first"
        reader, self._reader = self._reader, None
        data = reader.stop()
        self._call("stop_measuring")
        if reader.error:
            raise BoardError(f"the PPK2 on {self._port} stopped answering: {reader.error}") from reader.error
        self._trace = self._convert(data)

    def _convert(self, data: bytes) -> PowerTrace:
        words = np.frombuffer(data[: len(data) // _SAMPLE_BYTES * _SAMPLE_BYTES], "<u4")
        if not len(words):
            raise BoardError(f"the PPK2 on {self._port} sent no samples: unplug it and plug it in again")
        microamperes: list[float] = []
        for start in range(0, words.nbytes, _CHUNK_BYTES):
            chunk = data[start : min(start + _CHUNK_BYTES, words.nbytes)]
            values, _ = self._call("get_samples", chunk)
            microamperes += values
        if len(microamperes) != len(words):
            raise BoardError(
                f"ppk2-api understood {len(microamperes)} of {len(words)} samples: update it, or plug the PPK2 in again"
            )
        counter = (words >> _COUNTER_SHIFT & _COUNTER_PERIOD - 1).astype(np.int64)
        steps = 1 + (np.diff(counter) - 1) % _COUNTER_PERIOD
        edges = np.concatenate([[0], np.cumsum(np.append(steps, 1))]) / SAMPLE_RATE_HZ
        return PowerTrace(
            edges=edges,
            volts=np.full(len(words), self._spec.volts, np.float32),
            amperes=np.array(microamperes, np.float32) * np.float32(1e-6),
            markers=(words >> 24).astype(np.uint8),
            lost=int(np.sum(steps - 1)),
        )

    def _call(self, method: str, *arguments: object) -> Any:
        """ppk2-api prints; what it prints is no result of ours."""
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return getattr(self._meter, method)(*arguments)
            except (serial.SerialException, OSError) as error:
                raise BoardError(f"the PPK2 on {self._port} does not answer: {error}; plug it in again") from error


class _Reader:
    """Takes what the meter sends off the port, in a thread, so that nothing is lost while the board infers."""

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._data = bytearray()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="smidgen ppk2", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bytes:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        return bytes(self._data)

    def _run(self) -> None:
        try:
            stopping = False
            while not stopping:
                stopping = self._stopping.wait(_POLL_SECONDS)  # what has come by then is still taken
                self._data += self._meter.get_data()
                if len(self._data) > _LONGEST_SECONDS * SAMPLE_RATE_HZ * _SAMPLE_BYTES:
                    raise InputError(f"a measurement with the PPK2 takes at most {_LONGEST_SECONDS} s")
        except Exception as error:  # told by the source's `stop`, in the thread of the caller
            self.error = error


def _import_api() -> Any:
    try:
        from ppk2_api import ppk2_api
    except ImportError:
        raise InputError("ppk2 needs the package ppk2-api: pip install 'smidgen[ppk2]'") from None
    return ppk2_api


def _only_port(api: Any) -> str:
    """Newer versions list (port, serial number), older ones ports."""
    found = [device if isinstance(device, str) else device[0] for device in api.PPK2_API.list_devices()]
    if len(found) != 1:
        raise BoardError(
            f"{len(found)} PPK2 are plugged in{': ' + ', '.join(found) if found else ''}; "
            + ("say which (ppk2:PORT)" if found else "check the cable, or give its port (ppk2:PORT)")
        )
    return found[0]
