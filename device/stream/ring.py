"""The board's side of `smidgen stream`: frames go into a ring, windows are cut from it.

A frame is `width` int8 values of one instant. Window k is the frames from k * hop on. What is dropped is counted.
"""

import struct
import time

_NONE = 0xFFFFFFFF  # instead of the number of a window


class SmidgenRing:
    """capacity: frames that it holds, at least as many as the model's input takes."""

    def __init__(self, model, width, hop, capacity):
        self._model = model
        self._input = model.inputs[0]
        self._window = len(self._input) // width
        self._width = width
        self._hop = hop
        self._capacity = capacity
        self._ring = memoryview(bytearray(capacity * width))
        self.restart()

    def restart(self):
        """Forget all frames: the next one is the first of another recording, and of window 0."""
        self._written = 0  # bytes since the start
        self._missing = 0  # the frames before this one are not all there
        self._next = self._dropped = 0  # windows

    def extend(self, data):
        at = 0
        while at < len(data):
            place = self._written % len(self._ring)
            count = min(len(data) - at, len(self._ring) - place)
            self._ring[place : place + count] = data[at : at + count]
            self._written += count
            at += count

    def skip(self, frames):
        """So many frames will never come: every window that begins before their end is dropped."""
        self._written += frames * self._width
        self._missing = self._written // self._width

    def result(self):
        """Infers the oldest window that is complete.

        Its number, how many were dropped so far, how many are complete and still wait, microseconds; then the outputs.
        """
        frames = self._written // self._width
        self._drop_before(max(self._missing, frames - self._capacity))
        waiting = (frames - self._window) // self._hop - self._next
        if waiting < 0:
            return (struct.pack("<4I", _NONE, self._dropped, 0, 0),)
        self._fill()
        start = time.ticks_us()
        self._model.run()
        duration = time.ticks_diff(time.ticks_us(), start)
        self._next += 1
        return (struct.pack("<4I", self._next - 1, self._dropped, waiting, duration),) + self._outputs()

    def _drop_before(self, frame):
        late = (frame + self._hop - 1) // self._hop - self._next
        if late > 0:
            self._next += late
            self._dropped += late

    def _fill(self):
        size = len(self._input)
        start = self._next * self._hop * self._width % len(self._ring)
        count = min(size, len(self._ring) - start)
        self._input[:count] = self._ring[start : start + count]
        if count < size:
            self._input[count:] = self._ring[: size - count]

    def _outputs(self):
        return tuple(self._model.outputs)
