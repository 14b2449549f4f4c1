"""Sensors on the pins and I2C buses of rp2040py's chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rp2040py.gpio_pin import GPIOPinState

from smidgen.link.virtual.sensors.analog import attach_analog
from smidgen.link.virtual.sensors.chip import Chip
from smidgen.link.virtual.sensors.description import VirtualAnalog, VirtualDevice, VirtualImu, VirtualSensor
from smidgen.link.virtual.sensors.i2c_bus import BusDevice, I2cBus
from smidgen.link.virtual.sensors.imu import IMUS
from smidgen.link.virtual.sensors.ina219 import Ina219
from smidgen.link.virtual.sensors.ina226 import Ina226
from smidgen.link.virtual.sensors.ina228 import Ina228
from smidgen.link.virtual.sensors.load import CurrentHistory

_CHIPS: dict[str, type[Chip]] = {"ina219": Ina219, "ina226": Ina226, "ina228": Ina228}


def attach_sensors(mcu: Any, sensors: Iterable[VirtualDevice]) -> None:
    """Before the chip runs. Sensors on one bus need different addresses."""
    buses: dict[int, I2cBus] = {}
    for sensor in sensors:
        if isinstance(sensor, VirtualAnalog):
            attach_analog(mcu, sensor)
            continue
        bus = buses.setdefault(sensor.bus, I2cBus(mcu, mcu.i2c[sensor.bus]))
        bus.add(sensor.address, IMUS[sensor.chip]() if isinstance(sensor, VirtualImu) else _current_sensor(mcu, sensor))


def _current_sensor(mcu: Any, sensor: VirtualSensor) -> BusDevice:
    load = _Load(mcu, sensor)
    return _CurrentSensor(_CHIPS[sensor.chip](load.history, sensor.shunt_ohms, sensor.volts), load.bus_is_busy)


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


class _CurrentSensor:
    """A register pointer, then two bytes to write or any number to read."""

    def __init__(self, chip: Chip, bus_is_busy: Callable[[bool], None]) -> None:
        self._chip = chip
        self._load_sees_bus = bus_is_busy
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

    def bus_is_busy(self, busy: bool) -> None:
        self._load_sees_bus(busy)
