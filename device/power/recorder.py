"""Records a sensor while another board infers: a timer reads it, the computer fetches what is there now and then."""

import binascii
import struct
import time

import machine


class SmidgenRecorder:
    """One record every `period` milliseconds: ticks_us (32 bits, little-endian), the marker pin's level, the registers.

    registers: (register, bytes), read in this order. room: how many records fit; those beyond are counted as lost.
    """

    def __init__(self, sensor, registers, pin, period, room):
        self._sensor = sensor
        self._registers = registers
        self._marker = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN) if pin is not None else lambda: 0
        self._period = period
        self._size = 5 + sum(size for _, size in registers)
        self._room = room
        self._buffer = memoryview(bytearray(self._size * room))
        self._written = self._fetched = 0  # each changed on one side only: the timer may come at any time

    def start(self):
        self._fetched = self._written
        self.lost = self.failed = 0
        try:
            self._timer = machine.Timer(-1)
        except ValueError:  # a port without software timers
            self._timer = machine.Timer(0)
        self._timer.init(period=self._period, callback=self._record)

    def stop(self):
        self._timer.deinit()

    def _record(self, _):
        if self._written - self._fetched >= self._room:
            self.lost += 1
            return
        place = self._written % self._room * self._size
        struct.pack_into("<IB", self._buffer, place, time.ticks_us(), self._marker())
        place += 5
        try:
            for register, size in self._registers:
                self._sensor.i2c.readfrom_mem_into(self._sensor.address, register, self._buffer[place : place + size])
                place += size
        except OSError:
            self.failed += 1
            return
        self._written += 1

    def fetch(self):
        """Prints the records since the last call: lines of base64, and at the end "lost failed"."""
        end = self._written
        while self._fetched < end:
            place = self._fetched % self._room
            count = min(end - self._fetched, self._room - place, 32)
            print(
                str(binascii.b2a_base64(self._buffer[place * self._size : (place + count) * self._size]), "ascii"),
                end="",
            )
            self._fetched += count
        print(self.lost, self.failed)
