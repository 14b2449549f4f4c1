"""INA226: 16-bit registers; shunt voltage in 2.5 uV, bus voltage in 1.25 mV."""

from __future__ import annotations

from smidgen.link.virtual.sensors.chip import Chip, limit
from smidgen.link.virtual.sensors.load import CurrentHistory

_RESET = 1 << 15
_POWER_ON_CONFIGURATION = 0x4127
_CONVERSION_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)
_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
_SHUNT_AND_BUS_CONTINUOUS = 7
_MATH_OVERFLOW, _CONVERSION_READY = 1 << 2, 1 << 3


class Ina226(Chip):
    def __init__(self, current: CurrentHistory, shunt_ohms: float, volts: float) -> None:
        super().__init__(current, shunt_ohms, volts)
        self._reset()

    def _reset(self) -> None:
        self._configuration = _POWER_ON_CONFIGURATION
        self._calibration = self._shunt = self._bus = self._flags = 0

    def _durations(self) -> tuple[float, float, int] | None:
        if self._configuration & 7 != _SHUNT_AND_BUS_CONTINUOUS:
            return None
        shunt = _CONVERSION_US[self._configuration >> 3 & 7]
        bus = _CONVERSION_US[self._configuration >> 6 & 7]
        return shunt * 1e3, bus * 1e3, _AVERAGES[self._configuration >> 9 & 7]

    def _converted(self, shunt_volts: float, bus_volts: float, seconds: float) -> None:
        self._shunt = limit(round(shunt_volts / 2.5e-6), 16)
        self._bus = min(round(bus_volts / 1.25e-3), 0x7FFF)
        overflow = limit(self._current_steps, 16) != self._current_steps or self._power_steps > 0xFFFF
        self._flags = _CONVERSION_READY | (_MATH_OVERFLOW if overflow else 0)

    @property
    def _current_steps(self) -> int:
        return self._shunt * self._calibration // 2048

    @property
    def _power_steps(self) -> int:
        return abs(self._current_steps) * self._bus // 20_000

    def _register(self, register: int) -> bytes:
        values = {
            0: self._configuration,
            1: self._shunt,
            2: self._bus,
            3: self._power_steps,
            4: self._current_steps,
            5: self._calibration,
            6: self._flags,
            0xFE: 0x5449,
            0xFF: 0x2260,
        }
        value = values.get(register, 0)
        if register == 6:
            self._flags &= ~_CONVERSION_READY
        return (value & 0xFFFF).to_bytes(2, "big")

    def _set_register(self, register: int, value: int) -> bool:
        if register == 0 and value & _RESET:
            self._reset()
        elif register == 0:
            self._configuration = value
        elif register == 5:
            self._calibration = value & 0x7FFF
        return register == 0
