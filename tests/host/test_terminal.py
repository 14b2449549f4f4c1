"""Keys and pastes on their way to a board, and its output on the way back, without a board."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.errors import BoardError
from smidgen.link.prompt import _statements
from smidgen.link.terminal import PROMPT, Terminal
from smidgen.link.terminal_paste import BEGIN, END, InputParser, Pasted, Typed


def parse(*pieces: bytes) -> list[Typed | Pasted]:
    parser = InputParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_keys_pass_unchanged() -> None:
    assert parse(b"a\x1b[A\x03\t\r") == [Typed(b"a\x1b[A\x03\t\r")]


def test_a_paste_among_keys() -> None:
    assert parse(b"x" + BEGIN + b"a\r\nb\rc" + END + b"y") == [Typed(b"x"), Pasted(b"a\nb\nc"), Typed(b"y")]


def test_control_keys_in_a_paste_are_not_pressed() -> None:
    assert parse(BEGIN + b"a\x03\x04\x18\x1d\x1b[A\tb" + END) == [Pasted(b"a[A\tb")]


def test_a_paste_loses_its_common_indent() -> None:
    assert parse(BEGIN + b"    if x:\n        y()\n" + END) == [Pasted(b"if x:\n    y()\n")]


def test_text_that_is_not_utf8() -> None:
    assert parse(BEGIN + b"\xff" + END) == [Pasted("\ufffd".encode())]


@pytest.mark.parametrize(
    ("text", "needed"), [(b"a", False), (b"a\n", False), (b"a\nb", True), (b"\ta", True), (b"", False)]
)
def test_what_needs_paste_mode(text: bytes, needed: bool) -> None:
    assert Pasted(text).needs_paste_mode is needed


@given(st.lists(st.sampled_from([BEGIN, END, b"\x1b", b"[", b"2", b"key", b"~"])), st.data())
def test_pieces_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts) + b"."
    pieces = []
    rest = whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:size])
        rest = rest[size:]
    assert merged(parse(*pieces)) == merged(parse(whole))


def merged(events: list[Typed | Pasted]) -> list[Typed | Pasted]:
    result: list[Typed | Pasted] = []
    for event in events:
        if isinstance(event, Typed) and result and isinstance(result[-1], Typed):
            result[-1] = Typed(result[-1].keys + event.keys)
        else:
            result.append(event)
    return result


class Echo:
    """A board that echoes, or one that is gone."""

    def __init__(self, failure: BoardError | None = None) -> None:
        self.sent = b""
        self._pending = b""
        self._failure = failure
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        with self._lock:
            self.sent += data
            self._pending += data

    def receive(self) -> bytes:
        if self._failure:
            raise self._failure
        with self._lock:
            pending, self._pending = self._pending, b""
        return pending


class Script:
    """A terminal whose keys are known; it stays silent when they are used up."""

    def __init__(self, *keys: bytes | None) -> None:
        self._keys = list(keys)
        self.written = b""

    def read_keys(self, timeout: float) -> bytes | None:
        return self._keys.pop(0) if self._keys else b""

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.mark.parametrize("key", [b"\x1d", b"\x18"])
def test_what_is_typed_before_the_leaving_key_is_sent(key: bytes) -> None:
    line, console = Echo(), Script(b"a", b"b" + key + b"c")
    Terminal(line, console).talk()
    assert line.sent == b"ab"
    assert console.written.startswith(PROMPT)
    assert console.written.endswith(b"\r\n")


def test_a_closed_terminal_leaves() -> None:
    Terminal(Echo(), Script(b"a", None)).talk()


def test_a_leaving_key_in_a_paste_does_not_leave() -> None:
    line = Echo()
    Terminal(line, Script(BEGIN + b"a\x1db" + END, b"c\x1d")).talk()
    assert line.sent == b"abc"


def test_paste_mode_needs_an_empty_prompt() -> None:
    pasted = BEGIN + b"if 1:\n    pass\n" + END
    line = Echo()
    Terminal(line, Script(pasted, b"\x1d")).talk()
    assert line.sent == b"\x05if 1:\n    pass\n\x04"
    line = Echo()
    Terminal(line, Script(BEGIN + b"x" + END, pasted, b"\x1d")).talk()  # the first is echoed before the second is sent
    assert line.sent == b"xif 1:\r    pass\r"


def test_a_board_that_is_gone() -> None:
    with pytest.raises(BoardError, match="gone"):
        Terminal(Echo(BoardError("gone")), Script()).talk()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("# nothing\n\n", []),
        ("a\nb\n", [(1, "a\n"), (2, "b\n")]),
        ("a; b\nc", [(1, "a; b\n"), (2, "c\n")]),
        ("if a:\n b\nelse:\n c\nd", [(1, "if a:\n b\nelse:\n c\n"), (5, "d\n")]),
        ("\n@x\ndef f():\n pass\n", [(2, "@x\ndef f():\n pass\n")]),
        ("x = '''a\nb'''; y\nz", [(1, "x = '''a\nb'''; y\n"), (3, "z\n")]),
        ("x = (\n", [(1, "x = (\n")]),
        ("a\0", [(1, "a\0")]),
        ("(" * 5000, [(1, "(" * 5000)]),
    ],
)
def test_statements(source: str, expected: list[tuple[int, str]]) -> None:
    assert list(_statements(source)) == expected
