"""A current sensor on I2C: registers of whole bytes, most significant byte first.

What the registers mean is known to the computer (host/smidgen/power/ina); the board only moves numbers.
"""

import machine


class SmidgenSensor:
    """bus: number of a machine.I2C. pins: () for its own pins, or (sda, scl)."""

    def __init__(self, bus, address, pins=()):
        named = {"sda": machine.Pin(pins[0]), "scl": machine.Pin(pins[1])} if pins else {}
        self.i2c = machine.I2C(bus, freq=400000, **named)
        self.address = address

    def write(self, register, value):
        self.i2c.writeto_mem(self.address, register, value.to_bytes(2, "big"))

    def read(self, register, size=2):
        return int.from_bytes(self.i2c.readfrom_mem(self.address, register, size), "big")
