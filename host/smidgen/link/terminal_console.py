"""This computer's terminal while the board's prompt has it: keys as they are pressed, Ctrl-C among them."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smidgen.link.terminal_paste import BRACKETED_PASTE_OFF, BRACKETED_PASTE_ON

_POLL_SECONDS = 0.01  # Windows has no way to wait for a key and for time


class TerminalConsole:
    """mpremote's console, which knows POSIX terminals and Windows consoles; made by `raw_terminal`."""

    def __init__(self, console: Any) -> None:
        self._console = console

    def read_keys(self, timeout: float) -> bytes | None:
        """Keys pressed, b"" if there are none within `timeout` seconds, None when the terminal has been closed."""
        if not self._wait(timeout):
            return b""
        keys = bytearray()
        while (key := self._console.readchar()) is not None:
            if not key:
                return bytes(keys) or None
            keys += key
        return bytes(keys)

    def write(self, data: bytes) -> None:
        self._console.write(data)

    def _wait(self, timeout: float) -> bool:
        if os.name == "posix":
            return bool(select.select([self._console.infd], [], [], timeout)[0])
        deadline = time.monotonic() + timeout
        while not self._console.inWaiting():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


@contextmanager
def raw_terminal() -> Iterator[TerminalConsole]:
    """The terminal of standard input and output, in raw mode; as it was afterwards, however the block ends."""
    from mpremote.console import Console  # type: ignore[import-untyped]

    console = Console()
    try:
        console.enter()
        console.write(BRACKETED_PASTE_ON)
        yield TerminalConsole(console)
    finally:
        console.write(BRACKETED_PASTE_OFF)
        console.exit()
