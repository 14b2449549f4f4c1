"""How long closing a session can take, by what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smidgen.errors import BoardError, BoardTimeout
from smidgen.link.session import connect
from smidgen.link.transport import Patience, RawRepl
from smidgen.link.virtual import VirtualUnixBoard
from terminal import Terminal

HANG = "import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass"
SLOW = Patience(silence=0.3, interrupt=0.3, resynchronise=30, closing=30)


def recording(calls: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, and its last argument in `calls`."""

    def recorded(*arguments: Any) -> Any:
        calls.append(arguments[-1])
        return function(*arguments)

    return recorded


def test_the_session_s_own_virtual_board_is_not_talked_to(unix_port: None, monkeypatch: pytest.MonkeyPatch) -> None:
    board = connect("sim:unix", timeout=0.3)
    with pytest.raises(BoardTimeout):
        board.exec(HANG)
    virtual = board._virtual
    assert virtual and virtual.directory.exists()
    writes: list[bytes] = []
    monkeypatch.setattr(RawRepl, "_write", recording(writes, RawRepl._write))
    board.close()
    assert writes == []
    assert not virtual.directory.exists()


def test_a_hung_board_is_not_waited_for(virtual_board: VirtualUnixBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    board = connect(virtual_board.port, timeout=0.3)
    board._repl.patience = SLOW
    with pytest.raises(BoardTimeout):
        board.exec(HANG)
    writes: list[bytes] = []
    waits: list[float] = []
    monkeypatch.setattr(RawRepl, "_write", recording(writes, RawRepl._write))
    monkeypatch.setattr(RawRepl, "_read_until", recording(waits, RawRepl._read_until))
    board.close()
    assert (writes, waits) == ([b"\x03\x02"], [])


def test_no_wait_is_longer_than_the_time_out(virtual_board: VirtualUnixBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    board = connect(virtual_board.port, timeout=2.5)
    board._repl.patience = SLOW
    waits: list[float] = []
    monkeypatch.setattr(RawRepl, "_read_until", recording(waits, RawRepl._read_until))
    board.close()
    assert waits and max(waits) == 2.5


def test_a_board_that_was_interrupted_is_handed_back(virtual_board: VirtualUnixBoard) -> None:
    with connect(virtual_board.port, timeout=0.3) as board:
        board._start_link()
        with pytest.raises(BoardTimeout):
            board.exec("while True: pass")
        assert not board._repl.hung
    with connect(virtual_board.port) as board:
        assert board.eval("'_smg' in globals()") is False


def test_the_user_s_names_stay(virtual_board: VirtualUnixBoard) -> None:
    with connect(virtual_board.port) as board:
        board.exec("name, nonce, file = 1, 2, 3")
        board.evaluate("1")
    with connect(virtual_board.port) as board:
        assert board.eval("(name, nonce, file)") == (1, 2, 3)


def test_a_closed_session_says_so(unix_port: None) -> None:
    with connect("sim:unix") as board:
        pass
    for ask in (board.eval, board.evaluate):
        with pytest.raises(BoardError, match="is closed: connect again"):
            ask("1")


def test_a_session_that_is_detached_leaves_what_runs(virtual_board: VirtualUnixBoard) -> None:
    board = connect(virtual_board.port)
    prompt = board.friendly_prompt()
    prompt.send(b"answer = input('what' + '? ')\r")
    received = b""
    while b"what? " not in received:
        received += prompt.receive()
    board.detach()
    board.close()
    with pytest.raises(BoardError, match="closed"):
        board.eval("1")
    terminal = Terminal(virtual_board.port)
    terminal.type(b"nothing\r")
    terminal.serial.close()
    with connect(virtual_board.port) as other:
        assert other.eval("answer") == "nothing"


def test_a_virtual_board_of_a_session_ends_when_that_is_detached(unix_port: None) -> None:
    board = connect("sim:unix")
    virtual = board._virtual
    assert virtual
    board.detach()
    assert not virtual.directory.exists()
