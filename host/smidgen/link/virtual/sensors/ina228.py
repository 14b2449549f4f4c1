"""INA228: 16-, 24- and 40-bit registers; adds up energy and charge after every conversion."""

from __future__ import annotations

from smidgen.link.virtual.sensors.chip import Chip, limit
from smidgen.link.virtual.sensors.load import CurrentHistory

_RESET, _RESET_ACCUMULATORS, _SMALL_RANGE = 1 << 15, 1 << 14, 1 << 4
_POWER_ON_CONVERSION = 0xFB68
_CONVERSION_US = (50, 84, 150, 280, 540, 1052, 2074, 4120)
_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
_SHUNT_AND_BUS_CONTINUOUS = 0xB
_LATCH = 1 << 15
_ENERGY_OVERFLOW, _MATH_OVERFLOW, _SHUNT_ABOVE, _SHUNT_BELOW = 1 << 11, 1 << 9, 1 << 6, 1 << 5
_READY, _MEMORY_GOOD = 1 << 1, 1
_LATCHED = _SHUNT_ABOVE | _SHUNT_BELOW
_SIZES = {4: 3, 5: 3, 7: 3, 8: 3, 9: 5, 10: 5}  # bytes; the others have two


class Ina228(Chip):
    def __init__(self, current: CurrentHistory, shunt_ohms: float, volts: float) -> None:
        super().__init__(current, shunt_ohms, volts)
        self._reset()

    def _reset(self) -> None:
        self._configuration = self._shunt = self._bus = self._power = 0
        self._conversion, self._calibration = _POWER_ON_CONVERSION, 0x1000
        self._upper_limit, self._lower_limit = 0x7FFF, 0x8000
        self._energy = self._charge = 0.0  # in steps of power times seconds, of current times seconds
        self._settings, self._flags = 0, _MEMORY_GOOD

    def _durations(self) -> tuple[float, float, int] | None:
        if self._conversion >> 12 != _SHUNT_AND_BUS_CONTINUOUS:
            return None
        bus = _CONVERSION_US[self._conversion >> 9 & 7]
        shunt = _CONVERSION_US[self._conversion >> 6 & 7]
        return shunt * 1e3, bus * 1e3, _AVERAGES[self._conversion & 7]

    def _converted(self, shunt_volts: float, bus_volts: float, seconds: float) -> None:
        step = 78.125e-9 if self._configuration & _SMALL_RANGE else 312.5e-9
        self._shunt = limit(round(shunt_volts / step), 20)
        self._bus = limit(round(bus_volts / 195.3125e-6), 20)
        # The current register is the shunt's where the calibration is 0x1000.
        exact = self._shunt * 4096 / self._calibration if self._calibration else 0.0
        self._current_steps = limit(int(exact), 20)
        # A step of power is 3.2 steps of current times a volt.
        self._power = int(abs(self._current_steps) * (self._bus * 195.3125e-6) / 3.2)
        overflow = int(exact) != self._current_steps or self._power >= 1 << 24
        self._power = min(self._power, (1 << 24) - 1)
        self._energy += self._power * seconds
        self._charge += self._current_steps * seconds
        self._flag(_MATH_OVERFLOW, overflow)
        self._flag(_READY, True)
        self._flag(_SHUNT_ABOVE, self._shunt >> 4 > _signed(self._upper_limit))
        self._flag(_SHUNT_BELOW, self._shunt >> 4 < _signed(self._lower_limit))
        if int(self._energy / 16) >= 1 << 40:
            self._energy -= float(16 << 40)
            self._flags |= _ENERGY_OVERFLOW

    _current_steps = 0

    def _flag(self, flag: int, level: bool) -> None:
        if level:
            self._flags |= flag
        elif not (self._settings & _LATCH and flag & _LATCHED):
            self._flags &= ~flag

    def _register(self, register: int) -> bytes:
        values = {
            0: self._configuration,
            1: self._conversion,
            2: self._calibration,
            4: self._shunt << 4,
            5: self._bus << 4,
            6: 25 * 128,  # die temperature in 1/128 degree
            7: self._current_steps << 4,
            8: self._power,
            9: int(self._energy / 16),
            10: int(self._charge),
            11: self._settings | self._flags,
            12: self._upper_limit,
            13: self._lower_limit,
            0x3E: 0x5449,
            0x3F: 0x2281,
        }
        size = _SIZES.get(register, 2)
        data = (values.get(register, 0) & (1 << 8 * size) - 1).to_bytes(size, "big")
        if register == 11:
            self._flags &= ~(_LATCHED | _READY)
        if register == 9:
            self._flags &= ~_ENERGY_OVERFLOW
        return data

    def _set_register(self, register: int, value: int) -> bool:
        if register == 0 and value & _RESET:
            self._reset()
            return True
        if register == 0:
            if value & _RESET_ACCUMULATORS:
                self._energy = self._charge = 0.0
                self._flags &= ~(_ENERGY_OVERFLOW | _MATH_OVERFLOW)
            self._configuration = value & ~_RESET_ACCUMULATORS
        elif register == 1:
            self._conversion = value
        elif register == 2:
            self._calibration = value & 0x7FFF
        elif register == 11:
            self._settings = value & 0xF000
        elif register == 12:
            self._upper_limit = value
        elif register == 13:
            self._lower_limit = value
        return register == 1


def _signed(value: int) -> int:
    return value - 0x10000 if value & 0x8000 else value
