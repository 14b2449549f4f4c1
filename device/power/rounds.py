"""Rounds of a power measurement: the board waits, then infers with its marker pin high.

Each class measures a round in its own way and has the same two methods. Both return a tuple that begins with the
duration in microseconds; the rest is for the computer that has chosen the class. A window is shorter than
2**29 microseconds, the reach of ticks_diff.
"""

import time

import machine


class SmidgenClock:
    """Only times the windows: something else measures. pin: number of the marker pin, or None."""

    def __init__(self, pin=None):
        self._mark = machine.Pin(pin, machine.Pin.OUT, value=0) if pin is not None else lambda level: None

    def idle(self, milliseconds):
        start = time.ticks_us()
        time.sleep_ms(milliseconds)
        return (time.ticks_diff(time.ticks_us(), start),)

    def run(self, model, count):
        run = model.run
        self._mark(1)
        start = time.ticks_us()
        for _ in range(count):
            run()
        duration = time.ticks_diff(time.ticks_us(), start)
        self._mark(0)
        return (duration,)


class SmidgenAccumulator(SmidgenClock):
    """A sensor that adds up energy by itself: it is cleared before a window and read after it, never within.

    reset: (register, value) to write. registers: (register, bytes) to read, energy first. Returns (duration of the
    window, duration between clearing and reading, values).
    """

    def __init__(self, sensor, reset, registers, pin=None):
        SmidgenClock.__init__(self, pin)
        self._sensor = sensor
        self._reset = reset
        self._registers = registers

    def _measured(self, window, *arguments):
        self._values()  # reading clears what the flags have latched
        self._sensor.write(*self._reset)
        start = time.ticks_us()
        (duration,) = window(self, *arguments)
        accumulated = time.ticks_diff(time.ticks_us(), start)
        return duration, accumulated, self._values()

    def _values(self):
        return tuple(self._sensor.read(*register) for register in self._registers)

    def idle(self, milliseconds):
        return self._measured(SmidgenClock.idle, milliseconds)

    def run(self, model, count):
        return self._measured(SmidgenClock.run, model, count)


class SmidgenSampler(SmidgenClock):
    """A sensor that is read between two operators.

    A reading is the mean of the sensor's last finished conversion. It is only taken once the board has computed for
    `settling` microseconds without a break, two conversions, so that no reading saw the one before. It stands for the
    time computed since then. How long inferences take is measured apart from that, with a tenth as many that nothing
    interrupts. current, bus: registers of two bytes. bus_shift: flags in the lowest bits of `bus`.

    Returns (duration, readings, the time they stand for, sum of current * bus * time, sum of bus * time, greatest and
    least current, all flags).
    """

    def __init__(self, sensor, current, bus, bus_shift, settling, pin=None):
        SmidgenClock.__init__(self, pin)
        self._sensor = sensor
        self._current = current
        self._bus = bus
        self._bus_shift = bus_shift
        self._settling = settling

    def idle(self, milliseconds):
        self._begin()
        start = self._resumed
        nap = self._settling // 1000 + 1
        for _ in range(max(1, milliseconds // nap)):
            time.sleep_ms(nap)
            self._read_if_settled()
        return self._result(time.ticks_diff(time.ticks_us(), start))

    def run(self, model, count):
        uninterrupted = max(1, count // 10)
        (duration,) = SmidgenClock.run(self, model, uninterrupted)
        step = model._engine.run
        operators = model._operators
        self._mark(1)
        self._begin()
        for _ in range(count):
            model._ran = 0
            for k in range(operators):
                step(k)
                self._read_if_settled()
        self._mark(0)
        return self._result(duration * count // uninterrupted)

    def _begin(self):
        self._count = self._covered = self._energy = self._charge = self._flags = 0
        self._greatest, self._least = -0x8000, 0x7FFF
        self._resumed = time.ticks_us()

    def _read_if_settled(self):
        computed = time.ticks_diff(time.ticks_us(), self._resumed)
        if computed < self._settling:
            return
        current = self._sensor.read(self._current)
        if current & 0x8000:
            current -= 0x10000
        bus = self._sensor.read(self._bus)
        self._flags |= bus & ((1 << self._bus_shift) - 1)
        bus >>= self._bus_shift
        self._count += 1
        self._covered += computed
        self._energy += current * bus * computed
        self._charge += bus * computed
        self._greatest = max(self._greatest, current)
        self._least = min(self._least, current)
        self._resumed = time.ticks_us()

    def _result(self, duration):
        return (duration, self._count, self._covered, self._energy, self._charge) + (
            self._greatest,
            self._least,
            self._flags,
        )
