"""What is written into a sensor, and what its registers mean then. Figures are those of the chips' data sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from smidgen.errors import InputError

_OFFSET_VOLTS = 200e-6  # a shunt voltage below zero by less may be the sensor's offset


class ShuntRange(NamedTuple):
    """A range of the shunt's voltage: it reaches to `volts` either side; `bits` select it in the configuration."""

    volts: float
    bits: int


class ConversionTime(NamedTuple):
    """A setting of the converter: duration of one conversion of the shunt and one of the bus, all averages included."""

    seconds: float
    bits: int


_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)  # of INA226 and INA228


def averaged_conversions(
    microseconds: Sequence[int], shunt_shift: int, bus_shift: int, average_shift: int
) -> tuple[ConversionTime, ...]:
    """Settings of an INA226 or INA228, both of whose conversions take the same time. microseconds: of one, by code."""
    return tuple(
        ConversionTime(2e-6 * duration * average, code << shunt_shift | code << bus_shift | number << average_shift)
        for code, duration in enumerate(microseconds)
        for number, average in enumerate(_AVERAGES)
    )


class Register(NamedTuple):
    """Its address, and how many bytes it has."""

    address: int
    size: int


class Identity(NamedTuple):
    """A register that says which chip it is, by the bits in `mask`."""

    register: Register
    value: int
    mask: int


@dataclass(frozen=True)
class SensorSettings:
    """A sensor, set up for one shunt.

    writes: (register, 16-bit value), in this order. full_scale_amperes: where its reading stops following the current;
    full_scale_counts: what it reads then. cycle_seconds: from one reading to the next. `current` is signed.
    """

    chip: str
    writes: tuple[tuple[int, int], ...]
    identity: tuple[Identity, ...]
    cycle_seconds: float
    full_scale_amperes: float
    full_scale_counts: int
    amperes_per_count: float
    volts_per_count: float
    current: Register
    bus: Register
    bus_shift: int
    uncertainty: str


def choose_range(chip: str, ranges: Sequence[ShuntRange], shunt_ohms: float, max_amperes: float | None) -> ShuntRange:
    """The smallest range that `max_amperes` stays in; the widest for None. InputError when there is none."""
    widest = max(ranges)
    if max_amperes is None:
        return widest
    needed = max_amperes * shunt_ohms
    fitting = [candidate for candidate in ranges if candidate.volts >= needed * (1 - 1e-9)]
    if not fitting:
        raise InputError(
            f"{max_amperes:g} A through a shunt of {shunt_ohms:g} ohm are {needed:g} V, and {chip} measures up to "
            f"{widest.volts:g} V: take a shunt of at most {widest.volts / max_amperes:.3g} ohm, or a maximum of "
            f"{widest.volts / shunt_ohms:.3g} A"
        )
    return min(fitting)


def choose_conversion(chip: str, times: Sequence[ConversionTime], longest_seconds: float) -> ConversionTime:
    """The longest that takes at most `longest_seconds`: the least noise."""
    fitting = [time for time in times if time.seconds <= longest_seconds * (1 + 1e-9)]
    if not fitting:
        raise InputError(
            f"a reading of {chip} takes at least {min(times).seconds * 1000:g} ms, not {longest_seconds * 1000:g} ms: "
            "sample less often"
        )
    return max(fitting)


def check_calibration(chip: str, value: int, allowed: range, shunt_ohms: float, amperes: float) -> int:
    """`value` if the calibration register can hold it."""
    if value not in allowed:
        raise InputError(
            f"{chip} cannot be calibrated for a shunt of {shunt_ohms:g} ohm and {amperes:g} A: its calibration "
            f"register would be {value}, and it takes {allowed[0]} to {allowed[-1]}; take another shunt or maximum"
        )
    return value


def range_warnings(settings: SensorSettings, shunt_ohms: float, greatest: int, least: int) -> tuple[str, ...]:
    """What the extremes of the current, in steps, say about the figures made of it, in sentences."""
    warnings = []
    if greatest >= settings.full_scale_counts:
        warnings.append(
            f"the current left the range of {settings.chip}, {settings.full_scale_amperes:.3g} A with a shunt of "
            f"{shunt_ohms:g} ohm: the energy is too low; take a higher maximum (max=) or a smaller shunt"
        )
    if least * settings.amperes_per_count * shunt_ohms < -_OFFSET_VOLTS:
        warnings.append(
            f"the current was negative, {least * settings.amperes_per_count:.3g} A: if it is so all the time, swap "
            "the sensor's two sides"
        )
    return tuple(warnings)
