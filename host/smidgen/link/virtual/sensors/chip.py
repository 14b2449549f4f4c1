"""What INA219, INA226 and INA228 have in common: they convert by turns, and show registers on a bus.

Written from the chips' data sheets, and sharing nothing with the driver in smidgen.power, so that one checks the other.
Not modelled: noise, offsets, gain errors, limits of the bus voltage, triggered conversions, and alert pins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from smidgen.link.virtual.sensors.load import CurrentHistory


class Chip(ABC):
    """Times are nanoseconds of the board's clock. Between two register accesses, conversions go on."""

    def __init__(self, current: CurrentHistory, shunt_ohms: float, volts: float) -> None:
        self._current = current
        self._shunt_ohms = shunt_ohms
        self._volts = volts
        self._cycle_start = 0.0

    def read(self, register: int, now: float) -> bytes:
        """A register as it goes over the bus."""
        self._advance(now)
        return self._register(register)

    def write(self, register: int, value: int, now: float) -> None:
        self._advance(now)
        if self._set_register(register, value):
            self._cycle_start = now  # a new configuration starts a new conversion

    @abstractmethod
    def _durations(self) -> tuple[float, float, int] | None:
        """Of a conversion of the shunt and of the bus, and how many of both are averaged. None: it is powered down."""

    @abstractmethod
    def _converted(self, shunt_volts: float, bus_volts: float, seconds: float) -> None:
        """The results of a cycle of so many seconds."""

    @abstractmethod
    def _register(self, register: int) -> bytes: ...

    @abstractmethod
    def _set_register(self, register: int, value: int) -> bool:
        """Whether it restarts the conversion."""

    def _advance(self, now: float) -> None:
        durations = self._durations()
        if durations is None:
            self._cycle_start = now
            return
        shunt, bus, averages = durations
        cycle = (shunt + bus) * averages
        while self._cycle_start + cycle <= now:
            starts = [self._cycle_start + (shunt + bus) * number for number in range(averages)]
            amperes = sum(self._current.mean(start, start + shunt) for start in starts) / averages
            self._converted(amperes * self._shunt_ohms, self._volts, cycle * 1e-9)
            self._cycle_start += cycle
        self._current.forget_before(self._cycle_start)


def limit(value: int, bits: int) -> int:
    """A signed number that stops at its ends."""
    return max(-(1 << bits - 1), min((1 << bits - 1) - 1, value))
