"""An analog input, sampled by a timer. Values are 0 to 32767, of the reference voltage."""

import time
from array import array

import machine


class SmidgenReader:
    """pin: number of the pin. rate: samples a second, up to about 1000. room: samples that wait at most.

    The timer's calls wait while an operator of the network runs. Samples that were due meanwhile are lost, and so are
    those that waited before them, since they do not belong together with what follows.
    """

    channels = 1
    units = (1 / 32768,)

    def __init__(self, pin, rate=1000, room=512):
        self.rate = rate
        self.lost = 0
        self._read = machine.ADC(machine.Pin(pin)).read_u16
        self._room = room
        self._buffer = array("h", bytes(2 * room))
        self._written = self._missed = self._gap = 0  # changed by the timer, which may come at any time
        self._taken = self._told = 0  # changed by readinto
        self._phase = 0  # microseconds times rate since the last sample was due
        self._clock = time.ticks_us()
        try:
            self._timer = machine.Timer(-1)
        except ValueError:  # a port without software timers
            self._timer = machine.Timer(0)
        self._timer.init(freq=rate, callback=self._sample)

    def _sample(self, _):
        now = time.ticks_us()
        self._phase += time.ticks_diff(now, self._clock) * self.rate
        self._clock = now
        periods = (self._phase + 500000) // 1000000
        if periods < 1:
            return  # a call that had to wait: its sample has been counted
        self._phase -= periods * 1000000
        is_full = self._written - self._taken >= self._room
        if periods > 1 or is_full:
            self._gap = self._written
            self._missed += periods - 1 + is_full
        if not is_full:
            self._buffer[self._written % self._room] = self._read() >> 1
            self._written += 1

    def readinto(self, values):
        missed = self._missed
        if missed != self._told:
            gap = self._gap
            self.lost += missed - self._told + gap - self._taken
            self._told = missed
            self._taken = gap
        count = min(self._written - self._taken, len(values))
        for k in range(count):
            values[k] = self._buffer[(self._taken + k) % self._room]
        self._taken += count
        return count

    def close(self):
        self._timer.deinit()
