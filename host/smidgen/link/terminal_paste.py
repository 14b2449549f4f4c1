"""What a terminal sends, taken apart into keys and pasted text (bracketed paste).

A terminal that was sent BRACKETED_PASTE_ON puts pasted text between two escape sequences, so that a program can tell
it from typing.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

BRACKETED_PASTE_ON, BRACKETED_PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
BEGIN, END = b"\x1b[200~", b"\x1b[201~"

_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")  # all but tab and line feed: a paste presses no control keys


@dataclass(frozen=True)
class Typed:
    keys: bytes


@dataclass(frozen=True)
class Pasted:
    """Lines end with a line feed."""

    text: bytes

    @property
    def needs_paste_mode(self) -> bool:
        """Whether typing it would go wrong: the prompt indents lines, and takes a tab for a wish to complete."""
        return b"\n" in self.text.rstrip(b"\n") or b"\t" in self.text


class InputParser:
    """Takes bytes as they come from the terminal, in any pieces."""

    def __init__(self) -> None:
        self._waiting = b""  # the beginning of a sequence, or of a paste whose end has not come
        self._pasting = False

    def feed(self, data: bytes) -> list[Typed | Pasted]:
        """What is complete by now. An escape key is held back until the next key, as it may begin a sequence."""
        events: list[Typed | Pasted] = []
        self._waiting += data
        while (found := self._waiting.find(self._boundary)) >= 0:
            content = self._waiting[:found]
            self._waiting = self._waiting[found + len(self._boundary) :]
            if content:
                events.append(_pasted(content) if self._pasting else Typed(content))
            self._pasting = not self._pasting
        if not self._pasting:
            keys = self._waiting[: len(self._waiting) - _beginning_at_end(self._waiting, BEGIN)]
            self._waiting = self._waiting[len(keys) :]
            if keys:
                events.append(Typed(keys))
        return events

    @property
    def _boundary(self) -> bytes:
        return END if self._pasting else BEGIN


def _pasted(content: bytes) -> Pasted:
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = _CONTROL.sub(b"", lines).decode(errors="replace")
    return Pasted(textwrap.dedent(text).encode())


def _beginning_at_end(data: bytes, sequence: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `sequence`."""
    return next((size for size in range(len(sequence) - 1, 0, -1) if data.endswith(sequence[:size])), 0)
