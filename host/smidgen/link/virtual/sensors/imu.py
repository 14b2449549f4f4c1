"""MPU-6050 and LSM6DSO: registers of one byte, which a transfer walks through one after the other.

Written from the chips' register maps, and sharing nothing with the readers in device/stream, so that one checks the
other. What they feel is `motion`. Not modelled: noise, filters, temperature, interrupts, and self-tests.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections import deque

Motion = tuple[float, float, float, float, float, float]
AXES = 6
_MOTION_PERIOD = 4000  # samples


def motion(number: int) -> Motion:
    """Of sample `number`: accelerations in g, rotations in degrees a second. Each sample differs from the next."""
    ramp = number % _MOTION_PERIOD / _MOTION_PERIOD  # 0 to 1
    return (4 * ramp - 2, 1 - ramp, 0.5 + ramp, 400 * ramp - 200, 100 - 150 * ramp, 30 * ramp)


class Imu(ABC):
    """A chip's end of the bus: a register pointer, which every byte moves on."""

    def __init__(self) -> None:
        self.registers = bytearray(128)
        self._pointer: int | None = None

    def begin(self, writes: bool) -> None:
        if writes:
            self._pointer = None

    def take(self, value: int, now: float) -> None:
        if self._pointer is None:
            self._pointer = value & 0x7F
            return
        self.update(now)
        self.written(self._pointer, value, now)
        self._pointer = (self._pointer + 1) & 0x7F

    def give(self, now: float) -> int:
        register = self._pointer or 0
        self.update(now)
        value = self.read(register)
        self._pointer = register if self.stays(register) else (register + 1) & 0x7F
        return value

    def bus_is_busy(self, busy: bool) -> None:
        """Does not matter to it."""
        return

    def stays(self, register: int) -> bool:
        """Whether the pointer stays there, however much is read."""
        return False

    @abstractmethod
    def update(self, now: float) -> None:
        """Take the samples that have become due. now: nanoseconds of the board's clock."""

    @abstractmethod
    def read(self, register: int) -> int: ...

    @abstractmethod
    def written(self, register: int, value: int, now: float) -> None: ...


class Mpu6050(Imu):
    """Its buffer holds 1024 bytes; when it is full the oldest are lost."""

    _SMPLRT_DIV, _CONFIG, _GYRO_CONFIG, _ACCEL_CONFIG, _FIFO_EN = 0x19, 0x1A, 0x1B, 0x1C, 0x23
    _INT_STATUS, _USER_CTRL, _PWR_MGMT_1, _FIFO_COUNT, _FIFO_R_W, _WHO_AM_I = 0x3A, 0x6A, 0x6B, 0x72, 0x74, 0x75
    _ASLEEP, _FIFO_ON, _FIFO_RESET, _OVERFLOW = 0x40, 0x40, 0x04, 0x10
    _FIFO_BYTES = 1024

    def __init__(self) -> None:
        super().__init__()
        self.registers[self._PWR_MGMT_1] = self._ASLEEP
        self.registers[self._WHO_AM_I] = 0x68
        self._fifo: deque[int] = deque(maxlen=self._FIFO_BYTES)
        self._number = 0
        self._next = 0.0  # when the next sample is due

    def update(self, now: float) -> None:
        if self.registers[self._PWR_MGMT_1] & self._ASLEEP:
            self._next = now + self._period()
        while self._next <= now:
            self._sample()
            self._next += self._period()

    def _period(self) -> float:
        filtered = self.registers[self._CONFIG] & 7 not in (0, 7)
        return (1 + self.registers[self._SMPLRT_DIV]) / (1000 if filtered else 8000) * 1e9

    def _sample(self) -> None:
        felt = motion(self._number)
        self._number += 1
        a_step = (2 << (self.registers[self._ACCEL_CONFIG] >> 3 & 3)) / 32768
        g_step = 1 / (131.0, 65.5, 32.8, 16.4)[self.registers[self._GYRO_CONFIG] >> 3 & 3]
        chosen = self.registers[self._FIFO_EN]
        if not self.registers[self._USER_CTRL] & self._FIFO_ON:
            return
        data = b""
        if chosen & 0x08:
            data += struct.pack(">3h", *(round(value / a_step) for value in felt[:3]))
        for axis in range(3):
            if chosen & 0x40 >> axis:
                data += struct.pack(">h", round(felt[3 + axis] / g_step))
        if len(self._fifo) + len(data) > self._FIFO_BYTES:
            self.registers[self._INT_STATUS] |= self._OVERFLOW
        self._fifo.extend(data)

    def stays(self, register: int) -> bool:
        return register == self._FIFO_R_W

    def read(self, register: int) -> int:
        if register in (self._FIFO_COUNT, self._FIFO_COUNT + 1):
            return len(self._fifo).to_bytes(2, "big")[register - self._FIFO_COUNT]
        if register == self._FIFO_R_W:
            return self._fifo.popleft() if self._fifo else 0xFF
        value = self.registers[register]
        if register == self._INT_STATUS:
            self.registers[register] = 0
        return value

    def written(self, register: int, value: int, now: float) -> None:
        if register == self._USER_CTRL and value & self._FIFO_RESET:
            self._fifo.clear()
            value &= ~self._FIFO_RESET
        if register not in (self._WHO_AM_I, self._INT_STATUS):
            self.registers[register] = value


class Lsm6ds(Imu):
    """Its output registers hold the newest sample."""

    _WHO_AM_I, _CTRL1_XL, _CTRL2_G, _CTRL3_C, _STATUS, _OUTPUT = 0x0F, 0x10, 0x11, 0x12, 0x1E, 0x22
    _HERTZ = (0.0, 12.5, 26.0, 52.0, 104.0, 208.0, 416.0, 833.0)
    _G = (2, 16, 4, 8)
    _MILLIDEGREES = (8.75, 17.5, 35.0, 70.0)  # a step of the four ranges

    def __init__(self) -> None:
        super().__init__()
        self.registers[self._WHO_AM_I] = 0x6C
        self.registers[self._CTRL3_C] = 0x04
        self._number = 0
        self._next: float | None = None

    def update(self, now: float) -> None:
        hertz = self._HERTZ[self.registers[self._CTRL1_XL] >> 4 & 7]
        if not hertz or self.registers[self._CTRL2_G] >> 4 != self.registers[self._CTRL1_XL] >> 4:
            self._next = None
            return
        if self._next is None:
            self._next = now + 1e9 / hertz
        while self._next <= now:
            self._sample()
            self._next += 1e9 / hertz

    def _sample(self) -> None:
        felt = motion(self._number)
        self._number += 1
        a_step = self._G[self.registers[self._CTRL1_XL] >> 2 & 3] * 0.061e-3 / 2
        g_step = self._MILLIDEGREES[self.registers[self._CTRL2_G] >> 2 & 3] / 1000
        steps = [value / g_step for value in felt[3:]] + [value / a_step for value in felt[:3]]
        struct.pack_into("<6h", self.registers, self._OUTPUT, *map(round, steps))
        self.registers[self._STATUS] = 3

    def read(self, register: int) -> int:
        """Reading the upper byte of an output clears its flag; here that of the last axis of either sensor."""
        if register == self._OUTPUT + 5:
            self.registers[self._STATUS] &= ~2
        if register == self._OUTPUT + 11:
            self.registers[self._STATUS] &= ~1
        return self.registers[register]

    def written(self, register: int, value: int, now: float) -> None:
        if register not in (self._WHO_AM_I, self._STATUS):
            self.registers[register] = value


IMUS: dict[str, type[Imu]] = {"mpu6050": Mpu6050, "lsm6ds": Lsm6ds}
