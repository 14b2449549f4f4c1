"""Sensors on the pins and the I2C bus of an emulated Pico: of a current, of a motion, of a voltage.

They show and test how power is measured and sensors are read. What they feel is made up, and known exactly.
"""

from __future__ import annotations

from smidgen.link.virtual.sensors.description import (
    SENSOR_CHIPS,
    VirtualAnalog,
    VirtualDevice,
    VirtualImu,
    VirtualSensor,
)

__all__ = ["SENSOR_CHIPS", "VirtualAnalog", "VirtualDevice", "VirtualImu", "VirtualSensor"]
