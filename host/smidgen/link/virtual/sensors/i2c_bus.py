"""An I2C bus of rp2040py's chip, with devices on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rp2040py.peripherals.i2c import R_TX_EMPTY

_BITS_PER_BYTE = 9  # with the acknowledgement


class BusDevice(Protocol):
    """A chip's end of the bus. Times are nanoseconds of the board's clock."""

    def begin(self, writes: bool) -> None:
        """It was addressed."""

    def take(self, value: int, now: float) -> None:
        """A byte was written."""

    def give(self, now: float) -> int:
        """A byte is read."""

    def bus_is_busy(self, busy: bool) -> None:
        """A transfer with any device begins or ends."""


class I2cBus:
    """Answers the chip's I2C controller, and takes as long as the bits do."""

    def __init__(self, mcu: Any, controller: Any) -> None:
        self._clock = mcu.clock
        self._hertz = mcu.clk_sys
        self._controller = controller
        self._devices: dict[int, BusDevice] = {}
        self._target: BusDevice | None = None
        controller.on_start = lambda repeated: self._after(1, controller.complete_start)
        controller.on_connect = self._connect
        controller.on_write_byte = self._write
        controller.on_read_byte = self._read
        controller.on_stop = self._stop

    def add(self, address: int, device: BusDevice) -> None:
        self._devices[address] = device

    def _connect(self, address: int, mode: int) -> None:
        for device in self._devices.values():
            device.bus_is_busy(True)
        self._target = self._devices.get(address)
        if self._target:
            self._target.begin(writes=mode == 0)
        self._after(_BITS_PER_BYTE, self._connected)

    def _connected(self) -> None:
        self._controller.complete_connect(self._target is not None)
        if self._target is None:
            # An abort empties the chip's transmit FIFO, and the chip says so, which rp2040py does not: the firmware
            # would wait for it until its time-out, and take the abort for that of its next transfer.
            self._controller._set_interrupts(R_TX_EMPTY)

    def _write(self, value: int) -> None:
        def complete() -> None:
            assert self._target
            self._target.take(value, self._clock.nanos)
            self._controller.complete_write(True)

        self._after(_BITS_PER_BYTE, complete)

    def _read(self, _: bool) -> None:
        assert self._target
        value = self._target.give(self._clock.nanos)
        self._after(_BITS_PER_BYTE, lambda: self._controller.complete_read(value))

    def _stop(self) -> None:
        for device in self._devices.values():
            device.bus_is_busy(False)
        self._controller.complete_stop()

    def _after(self, bits: int, complete: Callable[[], None]) -> None:
        period = (self._controller.scl_high_period + self._controller.scl_low_period) / self._hertz
        self._clock.create_alarm(complete).schedule(bits * period * 1e9)
