"""Current sensors on the I2C bus of an emulated Pico, with a load of known current.

They show and test how power is measured. The current is the load's, made up: it is not that of the emulated chip.
"""

from __future__ import annotations

from smidgen.link.virtual.sensors.description import SENSOR_CHIPS, VirtualSensor

__all__ = ["SENSOR_CHIPS", "VirtualSensor"]
