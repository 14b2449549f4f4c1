"""The MicroPython code that times inferences on a board. It lives in the link's helper `_smg` and goes with it.

`CODE` is executed once; then the expressions of board_timing.py are evaluated.
"""

from __future__ import annotations

CODE = """
class _SmgBench:
    import gc, time

    def load(key):
        gc, time = _smg.bench.gc, _smg.bench.time
        blob = _smg.models.pop(key)._blob
        gc.collect()
        start = time.ticks_us()
        _smg.models[key] = _smg.module().Model(blob)
        return time.ticks_diff(time.ticks_us(), start)

    def rates():
        time = _smg.bench.time
        cpu, start = time.ticks_cpu(), time.ticks_us()
        while time.ticks_diff(time.ticks_us(), start) < 20000:
            pass
        return time.ticks_diff(time.ticks_cpu(), cpu), time.ticks_diff(time.ticks_us(), start)

    def frequency():
        value = __import__('machine').freq()
        return value[0] if isinstance(value, tuple) else value

    def used():
        _smg.bench.gc.collect()
        return _smg.bench.gc.mem_alloc(), _smg.bench.gc.mem_free()

    def __init__(self, key):
        self.model = _smg.models[key]
        self.inputs = [bytes(view) for view in self.model.inputs]

    def use(self, cycles):
        self.ticks = self.time.ticks_cpu if cycles else self.time.ticks_us

    def restore(self):
        for view, data in zip(self.model.inputs, self.inputs):
            view[:] = data

    def peak(self):
        gc = self.gc
        self.restore()
        gc.collect()
        gc.disable()
        try:
            before = gc.mem_alloc()
            self.model.run()
            return gc.mem_alloc() - before
        finally:
            gc.enable()

    def inferences(self, count):
        ticks, diff, run = self.ticks, self.time.ticks_diff, self.model.run
        taken = [0] * count
        self.gc.collect()
        for number in range(count):
            self.restore()
            start = ticks()
            run()
            taken[number] = diff(ticks(), start)
        return taken

    def operators(self):
        ticks, diff, run = self.ticks, self.time.ticks_diff, self.model._engine.run
        taken = [0] * self.model._operators
        self.gc.collect()
        self.restore()
        for index in range(len(taken)):
            start = ticks()
            run(index)
            taken[index] = diff(ticks(), start)
        return taken

_smg.bench = _SmgBench
del _SmgBench
"""
