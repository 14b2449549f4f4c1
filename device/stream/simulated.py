"""A sensor that does not exist, for trying things: each channel counts upwards, as int16, by the board's clock."""

import time


class SmidgenReader:
    """room: samples that wait at most; older ones are lost."""

    def __init__(self, rate=100, channels=6, room=100):
        self.rate = rate
        self.channels = channels
        self.units = (1 / 128,) * channels
        self.lost = 0
        self._room = room
        self._number = 0  # of the next sample
        self._clock = time.ticks_us()
        self._elapsed = 0  # microseconds times rate that are not samples yet

    def readinto(self, values):
        now = time.ticks_us()
        self._elapsed += time.ticks_diff(now, self._clock) * self.rate
        self._clock = now
        due = self._elapsed // 1000000
        excess = due - self._room
        if excess > 0:
            self.lost += excess
            self._number += excess
            due = self._room
            self._elapsed -= excess * 1000000
        count = min(due, len(values) // self.channels)
        self._elapsed -= count * 1000000
        for k in range(count * self.channels):
            number, channel = divmod(k, self.channels)
            level = ((self._number + number) * (channel + 1) * 64) & 0x3FFF
            values[k] = level - 0x2000
        self._number += count
        return count * self.channels
