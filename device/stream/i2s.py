"""A digital microphone on I2S, such as an INMP441: 32-bit slots, of which the upper 16 bits are used."""

import struct

import machine


class SmidgenReader:
    """sck, ws, sd: numbers of the pins. rate: samples a second. room: samples that the port's own buffer holds."""

    channels = 1
    units = (1 / 32768,)

    def __init__(self, sck, ws, sd, rate=16000, room=4096, id=0):
        self.rate = rate
        self.lost = 0  # the port overwrites what is not taken in time, and does not tell
        self._slots = memoryview(bytearray(4 * 256))
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
        size = self._i2s.readinto(self._slots[: 4 * min(256, len(values))])
        for k in range(size // 4):
            values[k] = struct.unpack_from("<h", self._slots, 4 * k + 2)[0]
        return size // 4

    def close(self):
        self._i2s.deinit()
