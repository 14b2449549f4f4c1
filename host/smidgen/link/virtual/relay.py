"""Carries bytes between a PTY and the firmware's process, and plays the parts a unix process lacks to be a board.

- Ctrl-C is an interrupt while code runs, and data otherwise (`firmware_process.py`).
- A soft reset ends the process. The relay starts another one, prints what a board prints, and brings it back to the
  raw REPL if that is where it was.
- At the friendly prompt a board ends lines with CR LF, the unix port with LF. In the raw REPL nothing is
  changed: what comes from there may be binary.
- When the process dies, the relay says so on the line, and keeps the last output for `failure`.
"""

from __future__ import annotations

import array
import fcntl
import os
import re
import select
import signal
import termios
import threading
import time
from collections.abc import Callable

from smidgen.link.virtual.firmware_process import FirmwareProcess

CTRL_A, CTRL_C = b"\x01", b"\x03"
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n"
FRIENDLY_PROMPT = b'Type "help()" for more information.\r\n>>> '
SOFT_RESET = b"MPY: soft reboot\r\n"
UNCAUGHT = b"FATAL: uncaught"  # MicroPython's own last words; it ends with a plain exit code then
LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")

INPUT_LIMIT = 4096  # bytes waiting for a board that does not read; then the host has to wait
OUTPUT_LIMIT = 65536  # bytes waiting for a host that does not read; then the board has to wait
TAIL_BYTES = 500  # last output kept for the report of a death
FAREWELL_SECONDS = 1.0  # how long a dead board's last output stays readable


class Relay:
    """`run` in a thread, `stop` from any other, `close` when the thread has ended.

    `master` and `slave` are the caller's and are left open.
    """

    def __init__(self, master: int, slave: int, boot: Callable[[], FirmwareProcess]) -> None:
        self.ready = threading.Event()  # set when the first prompt is on the line, or there will be none
        self.failure: str | None = None
        self._master = master
        self._slave = slave
        self._boot = boot
        self._wake_reader, self._wake_writer = os.pipe()
        self._stopping = False
        self._booting = True
        self._raw = False  # the board is in its raw REPL
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
        """From boot to soft reset, death or stop."""
        self._booting = True
        self._to_board.clear()
        if self._raw:
            self._to_board += CTRL_A
        process = self._boot()
        ended = False
        try:
            ended = self._carry(process)
        finally:
            if not ended:
                process.kill()
            code = process.close()
        if ended:
            self._reset_or_fail(code)

    def _carry(self, process: FirmwareProcess) -> bool:
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
            if process.output in readable and not self._take_output(process):
                return True
            if self._master in readable:
                self._take_input(process)
            if process.input in writable:
                _write(process.input, self._to_board)
            if self._master in writable:
                _write(self._master, self._to_host)
            if not self._booting and not self._to_host:
                self.ready.set()
        return False

    def _take_input(self, process: FirmwareProcess) -> None:
        for index, part in enumerate(os.read(self._master, INPUT_LIMIT).split(CTRL_C)):
            if index and not process.interrupt():
                self._to_board += CTRL_C
            self._to_board += part

    def _take_output(self, process: FirmwareProcess) -> bool:
        """False when the process has ended."""
        data = os.read(process.output, OUTPUT_LIMIT)
        before = self._tail[-1:]
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if self._booting:
            self._look_for_prompt()
        else:
            self._to_host += self._as_board(data, before)
            self._note_mode()
        return bool(data)

    def _as_board(self, data: bytes, before: bytearray) -> bytes:
        if self._raw:
            return data
        skip = 1 if before == b"\r" and data.startswith(b"\n") else 0
        return data[:skip] + LONE_LINE_FEED.sub(b"\r\n", data[skip:])

    def _look_for_prompt(self) -> None:
        """While booting output is held back: a board that was in the raw REPL shows only that prompt."""
        prompt = RAW_PROMPT + b">" if self._raw else FRIENDLY_PROMPT
        if self._tail.endswith(prompt):
            self._to_host += prompt if self._raw else self._tail
            self._booting = False

    def _note_mode(self) -> None:
        """The prompt printed last tells; while neither is in sight the mode has not changed."""
        raw, friendly = self._tail.rfind(RAW_PROMPT), self._tail.rfind(FRIENDLY_PROMPT)
        if raw != friendly:
            self._raw = raw > friendly

    def _reset_or_fail(self, code: int) -> None:
        if code < 0:
            self.failure = self._death(signal.Signals(-code).name)
        elif self._booting or UNCAUGHT in self._tail:
            self.failure = self._death(f"exit code {code}")
        else:
            self._to_host += SOFT_RESET
            self._tail.clear()

    def _death(self, cause: str) -> str:
        last_output = self._tail.decode(errors="replace").strip()
        return f"the virtual board died ({cause}); its last output: {last_output!r}"

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
