"""A Power Profiler Kit II on a PTY: it speaks the serial protocol of the real one, and plays a trace made up.

The protocol is Nordic's, as its own program uses it: one-byte commands with fixed arguments; the meta data as lines of
text that end with END; while it measures, 100,000 samples a second of four bytes, little-endian: 14 bits of the
converter, 3 of the range, one unused, 6 that count samples, 8 logic inputs. It sends as fast as it is read.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

SAMPLE_RATE_HZ = 100_000

_AVERAGE_START, _AVERAGE_STOP, _META_DATA = 0x06, 0x07, 0x19
_ARGUMENTS = {0x0C: 1, 0x0D: 2, 0x11: 1}  # supply on or off, its voltage, mode; other commands have none
_ADC_VOLTS = 1.8 / 163840
_RANGE_LIMITS = (50e-6, 500e-6, 5e-3, 60e-3)  # amperes, of the ranges but the last
_COUNTER_PERIOD = 64
_BLOCK_BYTES = 4096


@dataclass(frozen=True)
class Segment:
    """A stretch of the trace with constant current and logic levels (D0 in bit 0)."""

    seconds: float
    amperes: float
    logic: int = 0


@dataclass(frozen=True)
class Range:
    """Calibration of one range: x = (4 * adc - o) * 1.8 V / 163840 / r; I = ug * (x * (gs * x + gi) + s * V + i)."""

    r: float
    gs: float
    gi: float
    o: float
    s: float
    i: float
    ug: float

    def converter_value(self, amperes: float, volts: float) -> int:
        """What the converter shows for this current."""
        wanted = amperes / self.ug - self.s * volts - self.i
        x = wanted / self.gi
        for _ in range(50):  # x = wanted / (gs * x + gi) converges, as gs * x is small beside gi
            x = wanted / (self.gs * x + self.gi)
        value = round((x * self.r / _ADC_VOLTS + self.o) / 4)
        assert 0 <= value < 1 << 14, f"{amperes} A is not in this range"
        return value


RANGES = (
    Range(1003.3506, 3.1, 1.0015, 160.3, 1.2e-8, -8.0e-8, 1.0),
    Range(101.5865, 1.7, 0.9817, 163.0, 6.7e-8, -2.4e-7, 1.0),
    Range(10.2772, 0.6, 0.9683, 160.1, 6.0e-7, -3.5e-6, 1.0),
    Range(0.9499, 0.05, 0.9594, 159.4, 5.6e-6, -2.1e-5, 1.0),
    Range(0.0445, 0.007, 0.9463, 155.2, 7.2e-5, -2.8e-4, 1.0),
)


class VirtualPpk2:
    """A context manager. lose: numbers of samples that are counted but never sent. `finished` is set when the trace is
    over. `commands` is what it was told, byte strings."""

    def __init__(self, trace: Sequence[Segment], volts: float = 3.3, lose: range = range(0)) -> None:
        self._samples = _samples(trace, volts, lose)
        self.commands: list[bytes] = []
        self.finished = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> VirtualPpk2:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _run(self) -> None:
        received = bytearray()
        outgoing = bytearray()
        position: int | None = None
        while not self._stopping.is_set():
            if not outgoing and position is not None:
                outgoing += self._samples[position : position + _BLOCK_BYTES]
                position += _BLOCK_BYTES
                if not outgoing:
                    position = None
                    self.finished.set()
            ready, writable, _ = select.select([self._master], [self._master] if outgoing else [], [], 0.02)
            if ready:
                received += os.read(self._master, 256)
            while command := _take_command(received):
                self.commands.append(command)
                if command[0] == _META_DATA:
                    outgoing += _meta_data()
                elif command[0] == _AVERAGE_START:
                    position = 0
                elif command[0] == _AVERAGE_STOP:
                    position = None
                    outgoing.clear()
            if writable:
                del outgoing[: os.write(self._master, outgoing)]


def _take_command(received: bytearray) -> bytes:
    """Removes a whole command from what was received; empty if there is none yet."""
    size = 1 + _ARGUMENTS.get(received[0], 0) if received else 1
    if len(received) < size:
        return b""
    command = bytes(received[:size])
    del received[:size]
    return command


def _meta_data() -> bytes:
    lines = ["Calibrated: 0"]
    for key in ("r", "gs", "gi", "o", "s", "i", "ug"):
        lines += [f"{key.upper()}{number}: {getattr(scale, key):.10f}" for number, scale in enumerate(RANGES)]
    return "\n".join([*lines, "VDD: 3300", "HW: 9173", "mode: 2", "IA: 56", "END"]).encode()


def _samples(trace: Sequence[Segment], volts: float, lose: range) -> bytes:
    data = bytearray()
    number = 0
    for segment in trace:
        chosen = sum(segment.amperes > limit for limit in _RANGE_LIMITS)
        word = RANGES[chosen].converter_value(segment.amperes, volts) | chosen << 14 | segment.logic << 24
        for _ in range(round(segment.seconds * SAMPLE_RATE_HZ)):
            if number not in lose:
                data += (word | number % _COUNTER_PERIOD << 18).to_bytes(4, "little")
            number += 1
    return bytes(data)
