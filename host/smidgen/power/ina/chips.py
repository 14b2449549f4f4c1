"""The sensors that exist, by name."""

from __future__ import annotations

from collections.abc import Callable

from smidgen.power.ina import ina219, ina226, ina228
from smidgen.power.ina.settings import SensorSettings

Configure = Callable[[float, "float | None", float], SensorSettings]

CHIPS: dict[str, Configure] = {chip.NAME: chip.configure for chip in (ina219, ina226, ina228)}
DEFAULT_SHUNT_OHMS = {"ina219": 0.1, "ina226": 0.1, "ina228": 0.015}  # what common modules carry
ADDRESSES = range(0x40, 0x50)
