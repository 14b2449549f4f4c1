"""An analog input, sampled by a timer. Values are 0 to 32767, of the reference voltage."""

from array import array

import machine


class SmidgenReader:
    """pin: number of the pin. rate: samples a second, up to about 1000. room: samples that wait at most."""

    channels = 1
    units = (1 / 32768,)

    def __init__(self, pin, rate=1000, room=512):
        self.rate = rate
        self.lost = 0
        self._read = machine.ADC(machine.Pin(pin)).read_u16
        self._room = room
        self._buffer = array("h", bytes(2 * room))
        self._written = self._taken = 0  # each changed on one side only: the timer may come at any time
        try:
            self._timer = machine.Timer(-1)
        except ValueError:  # a port without software timers
            self._timer = machine.Timer(0)
        self._timer.init(freq=rate, callback=self._sample)

    def _sample(self, _):
        if self._written - self._taken >= self._room:
            self.lost += 1
            return
        self._buffer[self._written % self._room] = self._read() >> 1
        self._written += 1

    def readinto(self, values):
        count = min(self._written - self._taken, len(values))
        for k in range(count):
            values[k] = self._buffer[(self._taken + k) % self._room]
        self._taken += count
        return count

    def close(self):
        self._timer.deinit()
