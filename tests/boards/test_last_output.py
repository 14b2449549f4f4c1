"""What messages show of a board's output."""

from __future__ import annotations

import pytest

from smidgen.link.frames import Frame, Kind, encode
from smidgen.link.last_output import SHOWN_CHARACTERS, printable


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\r\n\ttext", "plain\r\n\ttext"),
        (b"R\x01\x80\x00\x01\x01\x01", ""),
        (b"R\x01\x80\x00\x01\x01\x04\x04\x04>R\x01\x80\x00\x01words", "words"),
        (b"\x01\x80\x00\x01\x01words", "words"),
        (b"\x80\x00\x01words", "words"),
        (b"R\x01\n\x00\x01\x01words", "words"),
        (b"a\x00b\x1b[1mc", "ab[1mc"),
        (
            encode(Frame(Kind.ACKNOWLEDGE, 0, 0x0101, 240), 7)
            + encode(Frame(Kind.END, 0, 0x0101, 0, b"a\0b"), 7)
            + b"words",
            "words",
        ),
        (b"\xffx", "\ufffdx"),
        (b"x" * 1000, "x" * SHOWN_CHARACTERS),
    ],
)
def test_printable(data: bytes, text: str) -> None:
    assert printable(data) == text
