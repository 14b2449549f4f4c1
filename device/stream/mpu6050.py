"""An MPU-6050 on I2C: acceleration in g and rotation in rad/s. The chip samples by its own clock into a buffer."""

import struct
import time

import machine


class SmidgenReader:
    """sda, scl: numbers of the pins. rate: 4 to 1000 samples a second, a divisor of 1000. Ranges: 8 g, 1000 deg/s.

    The chip's buffer holds 85 samples. How many are lost when it overflows follows from the board's clock.
    """

    channels = 6
    units = (1 / 4096,) * 3 + (3.14159265 / 180 / 32.8,) * 3

    def __init__(self, sda, scl, rate=100, address=0x68, id=0):
        if not 4 <= rate <= 1000 or 1000 % rate:
            raise ValueError("rate is a divisor of 1000 from 4 to 1000, not %d" % rate)
        self.rate = rate
        self.lost = 0
        self._i2c = machine.I2C(id, sda=machine.Pin(sda), scl=machine.Pin(scl), freq=400000)
        self._address = address
        self._set(0x6B, 1)  # PWR_MGMT_1: awake, clock of the gyroscope
        self._set(0x1A, 3)  # CONFIG: low-pass 44 Hz, internal rate 1 kHz
        self._set(0x19, 1000 // rate - 1)  # SMPLRT_DIV
        self._set(0x1B, 0x10)  # GYRO_CONFIG
        self._set(0x1C, 0x10)  # ACCEL_CONFIG
        self._set(0x23, 0x78)  # FIFO_EN: three axes of each
        self._restart()

    def readinto(self, values):
        waiting = struct.unpack(">H", self._get(0x72, 2))[0] // 12  # FIFO_COUNT
        if self._get(0x3A, 1)[0] & 0x10:  # INT_STATUS: the buffer has overflowed
            elapsed = time.ticks_diff(time.ticks_us(), self._looked)
            self.lost += max(waiting, self._left + elapsed * self.rate // 1000000)
            self._restart()
            return 0
        count = min(waiting, len(values) // 6)
        self._left = waiting - count  # in the buffer
        self._looked = time.ticks_us()
        for k in range(count):
            for channel, value in enumerate(struct.unpack(">6h", self._get(0x74, 12))):
                values[6 * k + channel] = value
        return 6 * count

    def _restart(self):
        self._set(0x6A, 0x04)  # USER_CTRL: empty the buffer
        self._set(0x6A, 0x40)  # and use it
        self._left = 0
        self._looked = time.ticks_us()

    def _set(self, register, value):
        self._i2c.writeto_mem(self._address, register, bytes((value,)))

    def _get(self, register, size):
        return self._i2c.readfrom_mem(self._address, register, size)
