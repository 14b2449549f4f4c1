"""Sensors on the I2C buses of rp2040py's chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rp2040py.gpio_pin import GPIOPinState
from rp2040py.peripherals.i2c import R_TX_EMPTY

from smidgen.link.virtual.sensors.chip import Chip
from smidgen.link.virtual.sensors.description import VirtualSensor
from smidgen.link.virtual.sensors.ina219 import Ina219
from smidgen.link.virtual.sensors.ina226 import Ina226
from smidgen.link.virtual.sensors.ina228 import Ina228
from smidgen.link.virtual.sensors.load import CurrentHistory

_CHIPS: dict[str, type[Chip]] = {"ina219": Ina219, "ina226": Ina226, "ina228": Ina228}
_BITS_PER_BYTE = 9  # with the acknowledgement


def attach_sensors(mcu: Any, sensors: Iterable[VirtualSensor]) -> None:
    """Before the chip runs. Sensors on one bus need different addresses."""
    buses: dict[int, _Bus] = {}
    for sensor in sensors:
        load = _Load(mcu, sensor)
        chip = _CHIPS[sensor.chip](load.history, sensor.shunt_ohms, sensor.volts)
        bus = buses.setdefault(sensor.bus, _Bus(mcu, mcu.i2c[sensor.bus]))
        bus.add(sensor.address, chip, load.bus_is_busy)


class _Load:
    """The load's current, as the pin, its own rhythm and the bus make it."""

    def __init__(self, mcu: Any, sensor: VirtualSensor) -> None:
        self._mcu = mcu
        self._sensor = sensor
        self._active = self._busy = False
        self.history = CurrentHistory(sensor.idle_amperes)
        if sensor.period_seconds:
            self._alarm = mcu.clock.create_alarm(self._toggle)
            self._alarm.schedule(self._phase_nanos())
        else:
            mcu.gpio[sensor.pin].add_listener(self._pin_changed)

    def bus_is_busy(self, busy: bool) -> None:
        self._busy = busy
        self._update()

    def _pin_changed(self, state: GPIOPinState, _: GPIOPinState) -> None:
        self._active = state == GPIOPinState.HIGH
        self._update()

    def _toggle(self) -> None:
        self._active = not self._active
        self._mcu.gpio[self._sensor.pin].set_input_value(self._active)
        self._update()
        self._alarm.schedule(self._phase_nanos())

    def _phase_nanos(self) -> float:
        active = self._sensor.active_seconds
        return (active if self._active else self._sensor.period_seconds - active) * 1e9

    def _update(self) -> None:
        amperes = self._sensor.active_amperes if self._active else self._sensor.idle_amperes
        self.history.change(self._mcu.clock.nanos, amperes + (self._sensor.bus_amperes if self._busy else 0.0))


class _Bus:
    """Answers the chip's I2C controller, and takes as long as the bits do."""

    def __init__(self, mcu: Any, controller: Any) -> None:
        self._clock = mcu.clock
        self._hertz = mcu.clk_sys
        self._controller = controller
        self._devices: dict[int, _Device] = {}
        self._target: _Device | None = None
        controller.on_start = lambda repeated: self._after(1, controller.complete_start)
        controller.on_connect = self._connect
        controller.on_write_byte = self._write
        controller.on_read_byte = self._read
        controller.on_stop = self._stop

    def add(self, address: int, chip: Chip, bus_is_busy: Callable[[bool], None]) -> None:
        self._devices[address] = _Device(chip, bus_is_busy)

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


class _Device:
    """A chip's end of the bus: a register pointer, then two bytes to write or any number to read."""

    def __init__(self, chip: Chip, bus_is_busy: Callable[[bool], None]) -> None:
        self._chip = chip
        self.bus_is_busy = bus_is_busy
        self._pointer = 0
        self._taken: bytearray | None = None
        self._to_give: bytes | None = None

    def begin(self, writes: bool) -> None:
        self._taken = bytearray() if writes else None
        self._to_give = None

    def take(self, value: int, now: float) -> None:
        assert self._taken is not None
        self._taken.append(value)
        self._pointer = self._taken[0]
        if len(self._taken) == 3:
            self._chip.write(self._pointer, int.from_bytes(self._taken[1:], "big"), now)

    def give(self, now: float) -> int:
        """The whole register is taken when its first byte is read, so that its bytes belong together."""
        if not self._to_give:
            self._to_give = self._chip.read(self._pointer, now)
        value, self._to_give = self._to_give[0], self._to_give[1:]
        return value
