"""The emulated RP2040, as a process of its own: its USB console is standard input and output.

    python -m smidgen.link.virtual.pico_process firmware.uf2 [filesystem.img] [--sensor JSON]...

The emulator executes instructions all the time, which would slow down the host program if it shared its process. Time
on the board is counted in cycles at 125 MHz: while code runs it passes more slowly than real time, and
deterministically; while the board sleeps (WFI, WFE) it is real time, and the process sleeps too.

The image of a file system fills the end of the flash. A sensor is a `VirtualDevice`.
`machine.reset()` restarts the chip, with its flash as it was. The process ends when its standard input does.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rp2040py.boards import BOARDS
from rp2040py.device.base_device import BaseDevice
from rp2040py.execute_batch import execute_batch
from rp2040py.memory_map import FLASH_START_ADDRESS

from smidgen.link.virtual.sensors import VirtualDevice
from smidgen.link.virtual.sensors.attach import attach_sensors
from smidgen.link.virtual.sensors.description import from_json

STDIN, STDOUT = 0, 1
FLASH_BYTES = 2 * 1024 * 1024
LOOK_NANOSECONDS = 1_000_000  # how often, in the board's time, to look whether it sleeps
FAULT_EXIT_CODE = 3


class Console:
    """The host's end of the board's USB serial port.

    rp2040py answers every request for input at once, with nothing if there is none, and the firmware asks again:
    it would never sleep. A host has no transaction with a device that it has nothing to send to, so here the request
    waits until there is input.
    """

    def __init__(self, device: BaseDevice) -> None:
        self._cdc = device.cdc
        self._usb = device.mcu.usb_ctrl
        self._answer = self._usb.on_endpoint_read
        self._usb.on_endpoint_read = self._read
        self._unanswered: dict[int, int] = {}  # bytes wanted, by endpoint
        self._forget = self._usb.on_reset
        self._usb.on_reset = self._reset
        self._cdc.on_device_connected = self._connected
        self._cdc.on_serial_data = _write

    @property
    def is_idle(self) -> bool:
        """Whether the board has taken all input."""
        return self._cdc.tx_fifo.item_count == 0

    def send(self, data: bytes) -> None:
        for byte in data:
            self._cdc.send_serial_byte(byte)
        unanswered, self._unanswered = self._unanswered, {}
        for endpoint, size in unanswered.items():
            self._read(endpoint, size)

    def _read(self, endpoint: int, size: int) -> None:
        """The board is ready to take `size` bytes."""
        if endpoint and self.is_idle:
            self._unanswered[endpoint] = size
        elif self._answer:
            self._answer(endpoint, size)

    def _connected(self) -> None:
        """After boot or reset. The firmware keeps its banner until it has something else to print."""
        self.send(b"\r")

    def _reset(self) -> None:
        self._unanswered.clear()
        if self._forget:
            self._forget()


class Emulator:
    def __init__(self, firmware: str, file_system: bytes = b"", sensors: Iterable[VirtualDevice] = ()) -> None:
        self._device = BaseDevice(board=replace(BOARDS["pico"], image=firmware))
        self._device.mcu.flash[FLASH_BYTES - len(file_system) : FLASH_BYTES] = file_system
        attach_sensors(self._device.mcu, sensors)
        self._core = self._device.mcu.core
        self._simulator = self._device.simulator
        self._clock = self._simulator.clock
        self._look = self._clock.create_alarm(self._look_whether_it_sleeps)
        self._sleeps = False
        self._console = Console(self._device)

    def run(self) -> int:
        """Until standard input ends, or the processor stops: the exit code."""
        self._core.pc = FLASH_START_ADDRESS
        self._look.schedule(LOOK_NANOSECONDS)
        while True:
            self._sleeps = self._simulator.stopped = False
            execute_batch(self._simulator, 1)  # returns after some milliseconds, or when it is stopped
            if self._simulator.stopped and not self._sleeps:
                _write(f"\r\nthe processor stopped at a breakpoint or fault, pc 0x{self._core.pc:08x}\r\n".encode())
                return FAULT_EXIT_CODE
            if not self._exchange():
                return 0

    def _exchange(self) -> bool:
        """Take input from the host; wait for it if the board sleeps. False when the host is gone."""
        start = time.monotonic()
        ready, _, _ = select.select([STDIN] if self._console.is_idle else [], [], [], self._seconds_to_sleep())
        if self._sleeps:
            # The time that has passed here passes there when it goes on.
            self._look.schedule((time.monotonic() - start) * 1e9)
        if not ready:
            return True
        data = os.read(STDIN, self._device.cdc.tx_fifo.size)
        self._console.send(data)
        return bool(data)

    def _seconds_to_sleep(self) -> float | None:
        """Until the next alarm of the chip's timers; None if there is none."""
        if not self._sleeps:
            return 0
        return self._clock.nanos_to_next_alarm / 1e9 if self._clock.has_scheduled_alarm else None

    def _look_whether_it_sleeps(self) -> None:
        if self._core.waiting:
            self._sleeps = self._simulator.stopped = True
        else:
            self._look.schedule(LOOK_NANOSECONDS)


def _write(data: bytes | bytearray) -> None:
    """All of it to the host; waits while the host does not read."""
    view = memoryview(data)
    while view:
        view = view[os.write(STDOUT, view) :]


def _emulator() -> Emulator:
    parser = argparse.ArgumentParser()
    parser.add_argument("firmware")
    parser.add_argument("file_system", type=Path, nargs="?")
    parser.add_argument("--sensor", type=from_json, action="append", default=[])
    given = parser.parse_args()
    return Emulator(given.firmware, given.file_system.read_bytes() if given.file_system else b"", given.sensor)


if __name__ == "__main__":
    try:
        sys.exit(_emulator().run())
    except BrokenPipeError:
        sys.exit(0)
