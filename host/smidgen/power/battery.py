"""How long a battery lasts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from smidgen.errors import InputError

SECONDS_PER_DAY = 86_400.0
_SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY


@dataclass(frozen=True)
class Battery:
    """capacity_mah: rated. usable_share: of it, before the voltage is too low for a board. volts: mean until then.

    self_discharge_per_year: share of the charge lost in a year. pulse_amperes: what it can give in short pulses; None:
    not known. docs/power.md has the sources.
    """

    name: str
    capacity_mah: float
    volts: float
    usable_share: float
    self_discharge_per_year: float
    pulse_amperes: float | None = None

    @property
    def usable_joules(self) -> float:
        return self.capacity_mah * 3.6 * self.volts * self.usable_share


BATTERIES = {
    battery.name: battery
    for battery in (
        Battery("CR2032", 225, 2.9, 0.8, 0.01, pulse_amperes=0.015),
        Battery("AA", 2500, 1.25, 0.8, 0.03, pulse_amperes=1.0),
        Battery("18650", 2600, 3.6, 0.9, 0.2, pulse_amperes=5.0),
    )
}

_CUSTOM = re.compile(r"(?P<mah>\d+(\.\d+)?)mAh(@(?P<volts>\d+(\.\d+)?)V?)?", re.IGNORECASE)
_SERIES = re.compile(r"(?P<count>[1-9]\d?)x(?P<name>(?!\d+x).+)", re.IGNORECASE)
_DEFAULT_VOLTS = 3.7
_CUSTOM_USABLE, _CUSTOM_SELF_DISCHARGE = 0.8, 0.1


def parse_battery(text: str) -> Battery:
    """`CR2032`, `AA`, `18650`, `2xAA` (in series), `1200mAh` (at 3.7 V), `1200mAh@3.0`."""
    series = _SERIES.fullmatch(text)
    if series:
        cell = parse_battery(series["name"])
        count = int(series["count"])
        return replace(cell, name=f"{count}x{cell.name}", volts=count * cell.volts)
    for name, battery in BATTERIES.items():
        if text.lower() == name.lower():
            return battery
    custom = _CUSTOM.fullmatch(text)
    if not custom:
        raise InputError(
            f"there is no battery {text!r}; there are: {', '.join(BATTERIES)}, several in series such as 2xAA, and any "
            "capacity with or without a voltage, such as 1200mAh@3.7"
        )
    capacity, volts = float(custom["mah"]), float(custom["volts"] or _DEFAULT_VOLTS)
    if not (0 < capacity <= 1e6 and 0.5 <= volts <= 60):
        raise InputError(
            f"a battery has more than 0, at most 1000000 mAh, and 0.5 to 60 V, not {capacity:g} mAh and {volts:g} V"
        )
    return Battery(text, capacity, volts, _CUSTOM_USABLE, _CUSTOM_SELF_DISCHARGE)


def battery_seconds(battery: Battery, average_watts: float) -> float:
    """Until the usable energy E is gone, by `average_watts` P and by self-discharge at a constant rate k of what is
    left: dE/dt = -P - kE, so it lasts ln(1 + kE/P) / k."""
    if not average_watts > 0:
        raise InputError(f"the average power is {average_watts:g} W; it must be more than nothing")
    rate = -math.log1p(-battery.self_discharge_per_year) / _SECONDS_PER_YEAR
    if rate == 0:
        return battery.usable_joules / average_watts
    return math.log1p(rate * battery.usable_joules / average_watts) / rate


def battery_warnings(battery: Battery, active_watts: float) -> tuple[str, ...]:
    """Whether it can give the power that inferring takes, in sentences."""
    amperes = active_watts / battery.volts
    if battery.pulse_amperes is None or amperes <= battery.pulse_amperes:
        return ()
    return (
        f"inferring takes {amperes * 1000:.3g} mA from a {battery.name}, which gives "
        f"{battery.pulse_amperes * 1000:g} mA in short pulses: its life will be much shorter, or the board will not "
        "start",
    )
