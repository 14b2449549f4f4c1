"""The parts that a unix process lacks to be a board.

- Ctrl-C is an interrupt while code runs, and data otherwise (`unix_process.py`).
- A soft reset ends the process. The relay starts another one, prints what a board prints, and brings it back to the
  raw REPL if that is where it was.
- At the friendly prompt a board ends lines with CR LF, the unix port with LF. In the raw REPL nothing is
  changed: what comes from there may be binary.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from smidgen.link.virtual.relay import Relay
from smidgen.link.virtual.unix_process import UnixProcess

CTRL_A, CTRL_C = b"\x01", b"\x03"
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n"
BANNER = b'Type "help()" for more information.\r\n>>> '
SOFT_RESET = b"MPY: soft reboot\r\n"
UNCAUGHT = b"FATAL: uncaught"  # MicroPython's own last words; it ends with a plain exit code then
LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class UnixRelay(Relay[UnixProcess]):
    def __init__(self, master: int, slave: int, boot: Callable[[], UnixProcess]) -> None:
        super().__init__(master, slave, boot)
        self._raw = False  # the board is in its raw REPL

    def _input_after_boot(self) -> bytes:
        return CTRL_A if self._raw else b""

    def _take_input(self, process: UnixProcess, data: bytes) -> None:
        for index, part in enumerate(data.split(CTRL_C)):
            if index and not process.interrupt():
                self._to_board += CTRL_C
            self._to_board += part

    def _take_output(self, data: bytes) -> None:
        before = self._tail[-1:]
        self._remember(data)
        if self._booting:
            self._look_for_prompt()
        else:
            self._to_host += self._as_board(data, before)
            self._note_mode()

    def _as_board(self, data: bytes, before: bytearray) -> bytes:
        if self._raw:
            return data
        skip = 1 if before == b"\r" and data.startswith(b"\n") else 0
        return data[:skip] + LONE_LINE_FEED.sub(b"\r\n", data[skip:])

    def _look_for_prompt(self) -> None:
        """While booting output is held back: a board that was in the raw REPL shows only that prompt."""
        prompt = RAW_PROMPT + b">" if self._raw else BANNER
        if self._tail.endswith(prompt):
            self._to_host += prompt if self._raw else self._tail
            self._booting = False

    def _note_mode(self) -> None:
        """The prompt printed last tells; while neither is in sight the mode has not changed."""
        raw, friendly = self._tail.rfind(RAW_PROMPT), self._tail.rfind(BANNER)
        if raw != friendly:
            self._raw = raw > friendly

    def _ended(self, code: int) -> None:
        if code < 0 or self._booting or UNCAUGHT in self._tail:
            super()._ended(code)
        else:
            self._to_host += SOFT_RESET
            self._tail.clear()
