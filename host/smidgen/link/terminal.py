"""A person at the prompt of a board: keys go to the board, its output to the terminal, until a key that leaves.

Completion, history and editing of lines are the board's own. What is added here is pasting: text of several lines
goes through the board's paste mode, in which the prompt does not indent lines by itself.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Protocol

from smidgen.errors import BoardError
from smidgen.link.terminal_paste import InputParser, Pasted

LEAVING_KEYS = re.compile(rb"[\x1d\x18]")  # Ctrl-] and Ctrl-X
PROMPT = b">>> "
_BEGIN_PASTE_MODE, _END_PASTE_MODE = b"\x05", b"\x04"

_POLL_SECONDS = 0.1  # how often the keyboard is left to see whether the board is still there
_PASTE_CHUNK_BYTES = 128  # less than the smallest buffer of a board's serial input
_ECHO_SECONDS = 2.0  # for the board to echo a chunk, before the next is sent nevertheless


class Line(Protocol):
    """The way to the board."""

    def receive(self) -> bytes:
        """What has arrived, b"" if nothing comes for a moment. Raises BoardError when the board is gone."""

    def send(self, data: bytes) -> None: ...


class Console(Protocol):
    """The terminal of the person."""

    def read_keys(self, timeout: float) -> bytes | None:
        """Keys pressed, b"" if there are none within `timeout` seconds, None when the terminal has been closed."""

    def write(self, data: bytes) -> None: ...


class Terminal:
    def __init__(self, line: Line, console: Console) -> None:
        self._line, self._console = line, console
        self._parser = InputParser()
        self._received_bytes = 0
        self._last_output = b""
        self._left = threading.Event()
        self._failure: BoardError | None = None

    def talk(self) -> None:
        """Until Ctrl-] or Ctrl-X, or the terminal is closed. Raises BoardError when the board goes away."""
        self._show(PROMPT)
        reader = threading.Thread(target=self._read_board, name="smidgen terminal", daemon=True)
        reader.start()
        try:
            while not self._is_leaving(self._console.read_keys(_POLL_SECONDS)):
                if self._failure:
                    raise self._failure
        finally:
            self._left.set()
            reader.join()
            self._console.write(b"\r\n")

    def _read_board(self) -> None:
        """In a thread of its own, because not every kind of port can be waited for together with the keyboard."""
        try:
            while not self._left.is_set():
                self._show(self._line.receive())
        except BoardError as error:
            self._failure = error

    def _show(self, data: bytes) -> None:
        if data:
            self._console.write(data)
            self._last_output = (self._last_output + data)[-len(PROMPT) :]
            self._received_bytes += len(data)

    def _is_leaving(self, keys: bytes | None) -> bool:
        """Pass on what was typed and pasted; whether the key to leave was among it."""
        if keys is None:
            return True
        for event in self._parser.feed(keys):
            if isinstance(event, Pasted):
                self._paste(event)
                continue
            leaving = LEAVING_KEYS.search(event.keys)
            self._line.send(event.keys[: leaving.start()] if leaving else event.keys)
            if leaving:
                return True
        return False

    def _paste(self, pasted: Pasted) -> None:
        """In paste mode if it needs that, and the board shows its empty prompt, the only place where it can begin."""
        if pasted.needs_paste_mode and self._last_output == PROMPT:
            self._send_slowly(_BEGIN_PASTE_MODE + pasted.text.rstrip(b"\n") + b"\n" + _END_PASTE_MODE)
        else:
            self._send_slowly(pasted.text.replace(b"\n", b"\r"))

    def _send_slowly(self, data: bytes) -> None:
        """No faster than the board echoes: not every serial line makes the sender wait."""
        for start in range(0, len(data), _PASTE_CHUNK_BYTES):
            chunk = data[start : start + _PASTE_CHUNK_BYTES]
            echoed = self._received_bytes + len(chunk)
            self._line.send(chunk)
            deadline = time.monotonic() + _ECHO_SECONDS
            while self._received_bytes < echoed and time.monotonic() < deadline and not self._failure:
                time.sleep(0.001)
