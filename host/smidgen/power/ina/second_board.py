"""A sensor read by a second board, which also watches the marker pin of the board that infers."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable

import numpy as np

from smidgen.errors import BoardError
from smidgen.link.session import Board, connect
from smidgen.power.device_code import device_code, remove_code
from smidgen.power.ina import ina228
from smidgen.power.ina.bus import SENSOR, BusAddress, install_sensor
from smidgen.power.ina.records import Records, parse_records
from smidgen.power.ina.settings import Register, SensorSettings, range_warnings
from smidgen.power.source import RecordingSource, SourceInfo
from smidgen.power.trace import FloatArray, PowerTrace

RECORDER = "_smg_recorder"
_ROOM_SECONDS = 3.0  # of samples the board keeps until they are fetched
_FETCH_SECONDS = 0.3


class SecondBoardSensor(RecordingSource):
    """port: of the board that measures. marker: its pin to which the other board's marker pin is wired.

    The samples are taken by a timer of the board and carried here by a thread of this process.
    """

    def __init__(
        self,
        settings: SensorSettings,
        where: BusAddress,
        shunt_ohms: float,
        port: str,
        marker: int,
        rate_hz: float,
        connect_board: Callable[[str], Board] = connect,
    ) -> None:
        self._settings = settings
        self._where = where
        self._shunt_ohms = shunt_ohms
        self._port = port
        self._marker = marker
        self._period_milliseconds = max(1, round(1000 / rate_hz))
        self._connect = connect_board
        self._board: Board | None = None
        self._collector: _Collector | None = None
        self._overflows: tuple[str, ...] = ()

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            name=f"{self._settings.chip} on a second board ({self._port}), shunt {self._shunt_ohms:g} ohm, "
            f"{self._where}",
            sample_rate_hz=1000 / self._period_milliseconds,
            uncertainty=self._settings.uncertainty,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*super().warnings, *self._overflows)

    def open(self) -> None:
        self._board = self._connect(self._port)
        install_sensor(self._board.exec, self._where, self._settings)
        registers = self._registers()
        size = 5 + sum(register.size for register in registers)
        room = round(_ROOM_SECONDS * 1000 / self._period_milliseconds)
        self._board.exec(device_code("recorder"))
        self._board.exec(
            f"{RECORDER} = SmidgenRecorder({SENSOR}, {[tuple(register) for register in registers]}, {self._marker}, "
            f"{self._period_milliseconds}, {room})"
        )
        self._collector = _Collector(self._board, size)

    def close(self) -> None:
        board, self._board = self._board, None
        if board:
            try:
                if self._collector:
                    self._collector.abandon()
                board.exec(remove_code(SENSOR, RECORDER))
            except BoardError:
                pass  # the board is gone, or has been reset: nothing is left on it
            finally:
                board.close()

    def start(self) -> None:
        assert self._collector, "open it first"
        self._trace, self._overflows = None, ()
        self._collector.start()

    def stop(self) -> None:
        assert self._collector, "start it first"
        data, lost = self._collector.stop()
        records = parse_records(data, self._registers())
        if len(records.microseconds) < 2:
            raise BoardError(
                f"the board on {self._port} took {len(records.microseconds)} samples in all; it needs two at least: "
                "measure for a longer time"
            )
        self._trace, self._overflows = _trace(records, self._settings, self._shunt_ohms, lost)

    def _registers(self) -> tuple[Register, ...]:
        if self._settings.chip == ina228.NAME:
            return (ina228.ENERGY, self._settings.bus, ina228.DIAGNOSIS)
        return (self._settings.current, self._settings.bus)


def _trace(
    records: Records, settings: SensorSettings, shunt_ohms: float, lost: int
) -> tuple[PowerTrace, tuple[str, ...]]:
    """The trace, and warnings. A reading is about the time before it, so it gives the sample that ends with it."""
    first, bus, *rest = records.values
    edges = (records.microseconds - records.microseconds[0]) * 1e-6
    volts = (bus[1:] >> settings.bus_shift) * settings.volts_per_count
    step = 0.0
    if settings.chip == ina228.NAME:
        step = ina228.joules_per_count(settings.amperes_per_count)
        joules = np.diff(first) % (1 << ina228.ENERGY_BITS) * step
        amperes = _quotient(joules / np.diff(edges), volts)
        warnings = ina228.overflow_warnings(int(np.bitwise_or.reduce(rest[0][1:])), settings)
    else:
        steps = (first ^ 0x8000) - 0x8000
        amperes = steps[1:] * settings.amperes_per_count
        warnings = range_warnings(settings, shunt_ohms, int(steps.max()), int(steps.min()))
    return PowerTrace(edges, volts, amperes, records.markers[:-1], lost, step), warnings


def _quotient(watts: FloatArray, volts: FloatArray) -> FloatArray:
    """Current of a power; zero without a voltage, where there is no power either."""
    return np.divide(watts, volts, out=np.zeros_like(watts), where=volts > 0)


class _Collector:
    """Fetches the records that the board's timer takes, in a thread, from start to stop."""

    def __init__(self, board: Board, record_bytes: int) -> None:
        self._board = board
        self._record_bytes = record_bytes
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._data = bytearray()
        self._lost = 0
        self._error: BaseException | None = None

    def start(self) -> None:
        self._data.clear()
        self._stopping.clear()
        self._error = None
        self._board.exec(f"{RECORDER}.start()")
        self._thread = threading.Thread(target=self._run, name="smidgen power", daemon=True)
        self._thread.start()

    def stop(self) -> tuple[bytes, int]:
        """Every record since start, and how many were lost."""
        self._join()
        self._board.exec(f"{RECORDER}.stop()")
        if self._error:
            raise self._error
        self._fetch()
        return bytes(self._data), self._lost

    def abandon(self) -> None:
        """Stop without a result, if it runs."""
        if self._thread:
            self._join()
            self._board.exec(f"{RECORDER}.stop()")

    def _join(self) -> None:
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread:
            thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(_FETCH_SECONDS):
                self._fetch()
        except Exception as error:  # told by `stop`, in the thread of the caller
            self._error = error

    def _fetch(self) -> None:
        text = self._board.exec(f"{RECORDER}.fetch()")
        try:
            *lines, counts = text.splitlines()
            lost, failed = map(int, counts.split())
            data = b"".join(base64.b64decode(line, validate=True) for line in lines)
        except ValueError:
            raise BoardError(f"the board that measures sent no samples, but: {text[-200:]!r}") from None
        if len(data) % self._record_bytes:
            raise BoardError(f"the board sent {len(data)} bytes, no multiple of a record's {self._record_bytes}")
        self._lost = lost + failed
        self._data += data
