"""What a board sent last, as text for messages."""

from __future__ import annotations

import re

SHOWN_CHARACTERS = 500
# The board's part of raw paste: yes, the size of a window (below 256), a byte for each window granted. The beginning of
# the first may be cut off.
_RAW_PASTE = rb"R\x01.\x00\x01*|\A\x01?.\x00\x01+"
_RAW_PROMPT = rb"\x04>"
_FRAME = re.compile(rb"[^\x00][ANRE][^\x00]{11,252}\x00")  # of the binary link, from the board
_PROTOCOL = re.compile(_RAW_PASTE + b"|" + _RAW_PROMPT, re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all but tab and line ends


def printable(data: bytes | bytearray) -> str:
    """The end of `data` without what only the computer and the board have to understand."""
    text = _PROTOCOL.sub(b"", _FRAME.sub(b"", data)).decode(errors="replace")
    return _CONTROL.sub("", text)[-SHOWN_CHARACTERS:]
