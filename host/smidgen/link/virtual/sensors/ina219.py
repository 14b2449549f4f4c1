"""INA219: 16-bit registers; shunt voltage in 10 uV, bus voltage in 4 mV."""

from __future__ import annotations

from smidgen.link.virtual.sensors.chip import Chip
from smidgen.link.virtual.sensors.load import CurrentHistory

_RESET = 1 << 15
_POWER_ON_CONFIGURATION = 0x399F
_RESOLUTION_US = (84, 148, 276, 532)
_SHUNT_AND_BUS_CONTINUOUS = 7


class Ina219(Chip):
    def __init__(self, current: CurrentHistory, shunt_ohms: float, volts: float) -> None:
        super().__init__(current, shunt_ohms, volts)
        self._reset()

    def _reset(self) -> None:
        self._configuration = _POWER_ON_CONFIGURATION
        self._calibration = self._shunt = self._bus = self._overflow = self._ready = 0

    def _durations(self) -> tuple[float, float, int] | None:
        if self._configuration & 7 != _SHUNT_AND_BUS_CONTINUOUS:
            return None
        return _conversion_time(self._configuration >> 3 & 15), _conversion_time(self._configuration >> 7 & 15), 1

    def _converted(self, shunt_volts: float, bus_volts: float, seconds: float) -> None:
        full_scale = 4000 << (self._configuration >> 11 & 3)
        self._shunt = max(-full_scale, min(full_scale, round(shunt_volts / 10e-6)))
        self._bus = min(round(bus_volts / 4e-3), 0x1FFF)
        self._ready = 1
        self._overflow = int(not (-0x8000 <= self._current_steps <= 0x7FFF and self._power_steps <= 0xFFFF))

    @property
    def _current_steps(self) -> int:
        return self._shunt * self._calibration // 4096

    @property
    def _power_steps(self) -> int:
        return abs(self._current_steps) * self._bus // 5000

    def _register(self, register: int) -> bytes:
        if register == 3:
            self._ready = 0  # reading the power clears it
        values = {
            0: self._configuration,
            1: self._shunt,
            2: self._bus << 3 | self._ready << 1 | self._overflow,
            3: self._power_steps,
            4: self._current_steps,
            5: self._calibration,
        }
        return (values.get(register, 0) & 0xFFFF).to_bytes(2, "big")

    def _set_register(self, register: int, value: int) -> bool:
        if register == 0 and value & _RESET:
            self._reset()
        elif register == 0:
            self._configuration = value
        elif register == 5:
            self._calibration = value & 0xFFFE
        return register == 0


def _conversion_time(code: int) -> float:
    """Nanoseconds: codes 0 to 7 are resolutions, 8 to 15 numbers of 12-bit samples, by powers of two."""
    if code < 8:
        return _RESOLUTION_US[code & 3] * 1e3
    samples = 1 << (code & 7)
    return 532e3 if samples == 1 else {2: 1060e3, 4: 2130e3, 8: 4260e3, 16: 8510e3}.get(samples, samples * 531.9e3)
