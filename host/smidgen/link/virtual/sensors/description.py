"""Emulated sensors as data, because they live in another process than the one that asks for them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

SENSOR_CHIPS = ("ina219", "ina226", "ina228")


@dataclass(frozen=True)
class VirtualSensor:
    """chip: one of SENSOR_CHIPS, at `address` on I2C bus `bus`, measuring a load at `volts` through `shunt_ohms`.

    The load takes `idle_amperes`, and `active_amperes` while GPIO `pin` of the board is high. With a `period_seconds`
    the load is another's: it is active for `active_seconds` of each period and drives the pin itself, for as long as
    the board runs. `bus_amperes` come on top while the I2C bus is busy.
    """

    chip: str
    bus: int = 0
    address: int = 0x40
    shunt_ohms: float = 0.1
    volts: float = 5.0
    idle_amperes: float = 0.020
    active_amperes: float = 0.045
    pin: int = 2
    period_seconds: float = 0.0
    active_seconds: float = 0.0
    bus_amperes: float = 0.0


@dataclass(frozen=True)
class VirtualImu:
    """chip: "mpu6050" or "lsm6ds", at `address` on I2C bus `bus`, moved as `imu.motion` says."""

    chip: str
    address: int
    bus: int = 0


@dataclass(frozen=True)
class VirtualAnalog:
    """A voltage at an analog `pin` that rises from 0 to the reference voltage in each period, from the start on."""

    pin: int = 26
    period_seconds: float = 1.0


VirtualDevice = VirtualSensor | VirtualImu | VirtualAnalog
_KINDS: dict[str, type[VirtualDevice]] = {kind.__name__: kind for kind in (VirtualSensor, VirtualImu, VirtualAnalog)}


def to_json(device: VirtualDevice) -> str:
    return json.dumps([type(device).__name__, asdict(device)])


def from_json(text: str) -> VirtualDevice:
    kind, values = json.loads(text)
    return _KINDS[kind](**values)
