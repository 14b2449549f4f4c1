"""A ring that fills itself from a reader on the board, and one that only passes samples on.

A reader has `channels`, `rate` (samples a second), `units` (value of one step, for each channel), `lost` (samples that
were not taken in time, since the start) and `readinto(values)`: puts int16 of whole samples into an array, without
waiting long, and returns how many numbers it put there.
"""

import struct
from array import array


class SmidgenPuller:
    """room: samples that are taken from the reader at once."""

    def __init__(self, reader, room):
        self._reader = reader
        self._values = array("h", bytes(2 * room * reader.channels))

    def extend(self, data):
        pass

    def result(self):
        """Samples that were lost since the start, then those since the last call, as int16."""
        count = self._reader.readinto(self._values)
        return struct.pack("<I", self._reader.lost), bytes(memoryview(self._values)[:count])


class SmidgenSensorRing(SmidgenRing):
    """factors, offsets: for each channel, quantized = factor * value + offset."""

    def __init__(self, model, width, hop, capacity, reader, factors, offsets):
        SmidgenRing.__init__(self, model, width, hop, capacity)
        self._reader = reader
        self._factors = factors
        self._offsets = offsets
        self._lost = 0
        self._values = array("h", bytes(2 * hop * width))
        self._frames = memoryview(bytearray(hop * width))
        self._taken = 0

    def extend(self, data):
        pass

    def result(self):
        """What a ring's result is, then the samples lost since the start, and the frames that are new."""
        self._pull()
        answer = SmidgenRing.result(self)
        return answer + (struct.pack("<I", self._lost), self._frames[: self._taken])

    def _pull(self):
        count = self._taken = self._reader.readinto(self._values)
        lost = self._reader.lost - self._lost
        if lost:
            self.skip(lost)
            self._lost += lost
        width = self._width
        for k in range(count):
            channel = k % width
            # The half is added before the integer part is taken, of a number that is not negative.
            nearest = int(self._values[k] * self._factors[channel] + self._offsets[channel] + 32768.5) - 32768
            self._frames[k] = max(-128, min(127, nearest)) & 0xFF
        SmidgenRing.extend(self, self._frames[:count])
