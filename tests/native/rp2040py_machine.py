"""The machine of benchmarks.cortex_m0plus, executed by the emulator rp2040py: an independent second opinion."""

from __future__ import annotations

from collections import defaultdict
from itertools import repeat

from benchmarks.cortex_m0plus import CortexM0Plus, MachineError
from rp2040py.rp2040 import RP2040

_LIMIT = 10_000_000  # instructions of one call: some seconds


class _Strict:
    """The emulator's log: whatever it warns of must not happen."""

    def debug(self, component: str, message: str) -> None:
        pass

    info = debug

    def warning(self, component: str, message: str) -> None:
        raise MachineError(message)

    error = warning


class _Returned(Exception):
    pass


class Rp2040pyMachine(CortexM0Plus):
    """Slow: a million instructions a second. Cycles are as the emulator counts them."""

    def execute(self) -> dict[int, int]:
        chip = RP2040()
        chip.logger = _Strict()
        chip.on_break = self._stop
        chip.sram[:] = self.sram.tobytes()
        chip.flash[: len(self.flash)] = self.flash.tobytes()
        core = chip.core
        for number, value in enumerate(self.registers):
            core.registers[number] = value
        core.n, core.z, core.c, core.v = map(bool, self.flags)
        cycles_at: dict[int, int] = defaultdict(int)
        try:
            for _ in repeat(None, _LIMIT):
                address = core.registers[15]
                cycles_at[address] += core.execute_instruction()
        except _Returned:
            cycles_at.pop(address)  # the breakpoint
        else:
            raise MachineError(f"no end after {_LIMIT} instructions")
        self.sram[:] = list(chip.sram)
        self.registers = list(core.registers)
        self.flags = [int(flag) for flag in (core.n, core.z, core.c, core.v)]
        return dict(cycles_at)

    def _stop(self, code: int) -> None:
        raise _Returned
