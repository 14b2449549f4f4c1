"""An LSM6DS3 or LSM6DSO on I2C: acceleration in g and rotation in rad/s, read when the chip says that they are new."""

import struct
import time

import machine


class SmidgenReader:
    """sda, scl: numbers of the pins. rate: 26, 52, 104 or 208 samples a second. Ranges: 8 g, 1000 deg/s.

    The chip keeps one sample: whoever asks less often than `rate` misses some. How many follows from the board's clock.
    """

    channels = 6
    units = (0.000244,) * 3 + (3.14159265 / 180 * 0.035,) * 3

    def __init__(self, sda, scl, rate=104, address=0x6A, id=0):
        self.rate = rate
        self.lost = 0
        self._i2c = machine.I2C(id, sda=machine.Pin(sda), scl=machine.Pin(scl), freq=400000)
        self._address = address
        speed = (26, 52, 104, 208).index(rate) + 2 << 4
        for register, value in ((0x10, speed | 0x0C), (0x11, speed | 0x08), (0x12, 0x44)):
            self._i2c.writeto_mem(address, register, bytes((value,)))
        self._last = None  # time of the last sample, in microseconds

    def readinto(self, values):
        if self._i2c.readfrom_mem(self._address, 0x1E, 1)[0] & 3 != 3:
            return 0
        now = time.ticks_us()
        if self._last is not None:
            periods = (time.ticks_diff(now, self._last) * self.rate + 500000) // 1000000
            self.lost += max(0, periods - 1)
        self._last = now
        gyroscope = struct.unpack("<6h", self._i2c.readfrom_mem(self._address, 0x22, 12))
        for channel in range(6):
            values[channel] = gyroscope[(channel + 3) % 6]
        return 6
