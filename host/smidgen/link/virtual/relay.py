"""Carries bytes between a PTY and the process of a virtual board.

When the process dies, the relay says so on the line, and keeps the last output for `failure`.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from smidgen.link.last_output import printable
from smidgen.link.virtual.firmware_process import FirmwareProcess, cause_of_death

FRIENDLY_PROMPT = b">>> "

INPUT_LIMIT = 4096  # bytes waiting for a board that does not read; then the host has to wait
OUTPUT_LIMIT = 65536  # bytes waiting for a host that does not read; then the board has to wait
TAIL_BYTES = 500  # last output kept for the report of a death
FAREWELL_SECONDS = 1.0  # how long a dead board's last output stays readable

Process = TypeVar("Process", bound=FirmwareProcess)


class Relay(Generic[Process]):
    """`run` in a thread, `stop` from any other, `close` when the thread has ended.

    `master` and `slave` are the caller's and are left open. Until the board's first prompt its input has to wait.
    A process that ends with `reset_exit_code` is a board that resets: it is started again.
    """

    def __init__(
        self, master: int, slave: int, boot: Callable[[], Process], reset_exit_code: int | None = None
    ) -> None:
        self.ready = threading.Event()  # set when the first prompt is on the line, or there will be none
        self.failure: str | None = None
        self._master = master
        self._slave = slave
        self._boot = boot
        self._reset_exit_code = reset_exit_code
        self._wake_reader, self._wake_writer = os.pipe()
        self._stopping = False
        self._booting = True
        self._to_board = bytearray()
        self._to_host = bytearray()
        self._tail = bytearray()
        os.set_blocking(master, False)

    def stop(self) -> None:
        self._stopping = True
        os.write(self._wake_writer, b"x")

    def close(self) -> None:
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def run(self) -> None:
        try:
            while not self._stopping and self.failure is None:
                self._live()
        except OSError as error:
            self.failure = f"the virtual board could not be run: {error}"
        finally:
            self.ready.set()
        if self.failure and not self._stopping:
            self._say_farewell(self.failure)

    def _live(self) -> None:
        """From boot to the end of the process, or stop."""
        self._booting = True
        self._to_board[:] = self._input_after_boot()
        process = self._boot()
        ended = False
        try:
            ended = self._carry(process)
        finally:
            if not ended:
                process.kill()
            code = process.close()
        if ended:
            self._ended(code)

    def _carry(self, process: Process) -> bool:
        """Pass bytes until the process ends (True) or `stop` is called (False)."""
        while not self._stopping:
            readers = [self._wake_reader]
            writers = []
            if not self._booting and len(self._to_board) < INPUT_LIMIT:
                readers.append(self._master)
            if len(self._to_host) < OUTPUT_LIMIT:
                readers.append(process.output)
            if self._to_board:
                writers.append(process.input)
            if self._to_host:
                writers.append(self._master)
            readable, writable, _ = select.select(readers, writers, [])
            if process.output in readable:
                data = os.read(process.output, OUTPUT_LIMIT)
                if not data:
                    return True
                self._take_output(data)
            if self._master in readable:
                self._take_input(process, os.read(self._master, INPUT_LIMIT))
            if process.input in writable:
                _write(process.input, self._to_board)
            if self._master in writable:
                _write(self._master, self._to_host)
            if not self._booting and not self._to_host:
                self.ready.set()
        return False

    def _input_after_boot(self) -> bytes:
        """What the board gets before anything from the host."""
        return b""

    def _take_input(self, process: Process, data: bytes) -> None:
        """From the host, for the board."""
        self._to_board += data

    def _take_output(self, data: bytes) -> None:
        """From the board, for the host."""
        self._remember(data)
        self._to_host += data
        if self._tail.endswith(FRIENDLY_PROMPT):
            self._booting = False

    def _remember(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def _ended(self, code: int) -> None:
        """The process has ended with this exit code, and nobody asked it to."""
        if code == self._reset_exit_code and not self._booting:
            self._tail.clear()
        else:
            self.failure = self._death(cause_of_death(code))

    def _death(self, cause: str) -> str:
        return f"the virtual board died ({cause}); its last output: {printable(self._tail).strip()!r}"

    def _say_farewell(self, failure: str) -> None:
        """Tell whoever reads the line; `close` then ends the line."""
        self._to_host += f"\r\nsmidgen: {failure}\r\n".encode()
        deadline = time.monotonic() + FAREWELL_SECONDS
        while not self._stopping and time.monotonic() < deadline and (self._to_host or _unread(self._slave)):
            _write(self._master, self._to_host)
            time.sleep(0.01)


def _write(descriptor: int, data: bytearray) -> None:
    """Write what fits, and remove it from `data`."""
    try:
        del data[: os.write(descriptor, data)]
    except BlockingIOError:
        pass
    except BrokenPipeError:
        data.clear()  # the process has ended; its output says so too


def _unread(slave: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(slave, termios.FIONREAD, count)
    return count[0]
