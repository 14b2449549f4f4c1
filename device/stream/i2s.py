"""A digital microphone on I2S, such as an INMP441: 32-bit slots, of which the upper 16 bits are used."""

import struct
import time

import machine


class SmidgenReader:
    """sck, ws, sd: numbers of the pins. rate: samples a second. room: samples that the port's own buffer holds.

    The port does not tell when its buffer has overflowed. That follows from the board's clock; what waits in the buffer
    then is given up, too, because it does not belong together with what follows.
    """

    channels = 1
    units = (1 / 32768,)
    at_once = 256  # samples that are read in one go, at most

    def __init__(self, sck, ws, sd, rate=16000, room=4096, id=0):
        self.rate = rate
        self.lost = 0
        self._room = room
        self._waiting = 0  # samples times a million
        self._clock = None  # of the last call, in microseconds
        self._slots = memoryview(bytearray(4 * self.at_once))
        self._i2s = machine.I2S(
            id,
            sck=machine.Pin(sck),
            ws=machine.Pin(ws),
            sd=machine.Pin(sd),
            mode=machine.I2S.RX,
            bits=32,
            format=machine.I2S.MONO,
            rate=rate,
            ibuf=4 * room,
        )

    def readinto(self, values):
        start = time.ticks_us()
        if self._clock is None:
            self._empty()
            return 0
        self._waiting += time.ticks_diff(start, self._clock) * self.rate
        self._clock = start
        if self._waiting > self._room * 1000000:
            self.lost += self._waiting // 1000000
            self._empty()
            return 0
        count = self._i2s.readinto(self._slots[: 4 * min(self.at_once, len(values))]) // 4
        self._waiting -= count * 1000000
        if time.ticks_diff(time.ticks_us(), start) * self.rate > count * 250000:
            self._caught_up()  # it took so long because the last samples had to come first
        for k in range(count):
            values[k] = struct.unpack_from("<h", self._slots, 4 * k + 2)[0]
        return count

    def _empty(self):
        for _ in range(self._room // self.at_once):
            self._i2s.readinto(self._slots)
        self._caught_up()

    def _caught_up(self):
        self._waiting = 0
        self._clock = time.ticks_us()

    def close(self):
        self._i2s.deinit()
