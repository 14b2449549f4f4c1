"""Ctrl-C on the computer, anywhere in an exchange: the board is given back as it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from smidgen.link.session import Board, connect
from smidgen.link.transport import RawRepl
from smidgen.link.virtual import VirtualUnixBoard
from terminal import Terminal
from test_session import make_blob, put_stand_in

ENDLESS = "text = '%s'\nwhile True: pass" % ("x" * 2000)  # sent in eight windows or more


def interrupt_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, and a KeyboardInterrupt after its call number `call`, once."""
    calls = 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        result = function(*arguments)
        if calls == call:
            raise KeyboardInterrupt
        return result

    return interrupted


def free_bytes(terminal: Terminal) -> int:
    return int(terminal.type(b"import gc; gc.collect(); gc.mem_free()\r").split(b"\r\n")[1])


def is_gone(terminal: Terminal, name: bytes) -> bool:
    return b"False\r\n>>> " in terminal.type(b"'" + name + b"' in globals()\r")


def check_handed_back(terminal: Terminal, free_before: int) -> None:
    """To a terminal that opens the port after the session."""
    terminal.serial.open()
    assert terminal.type(b"\r").endswith(b"\r\n>>> ")
    assert is_gone(terminal, b"_smg")
    assert free_bytes(terminal) > free_before - 8_000  # the module stays imported


@pytest.mark.parametrize("write", [1, 2, 3, 5])  # the request for raw paste, then windows
def test_while_code_is_sent(
    write: int, virtual_board: VirtualUnixBoard, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = free_bytes(terminal)
    terminal.serial.close()
    board = connect(virtual_board.port)
    put_stand_in(board, 4)
    board.load(make_blob(4, padding=80_000))
    monkeypatch.setattr(board._repl, "_write", interrupt_at(write, board._repl._write))
    with pytest.raises(KeyboardInterrupt):
        board.exec(ENDLESS)
    start = time.monotonic()
    board.close()
    assert time.monotonic() - start < 6  # against the time-out of 10 s
    check_handed_back(terminal, before)


def test_while_code_runs(virtual_board: VirtualUnixBoard, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = free_bytes(terminal)
    terminal.serial.close()
    board = connect(virtual_board.port)
    put_stand_in(board, 4)
    model = board.load(make_blob(4, padding=80_000))
    board.exec("def endless(until=None):\n while True: pass\n_smg.models[0].run = endless")
    # Asked when nothing has arrived for a while: then the board is running.
    monkeypatch.setattr(board._repl, "_failure", interrupt_at(2, lambda: None))
    with pytest.raises(KeyboardInterrupt):
        model.run(np.zeros(4, np.int8))
    start = time.monotonic()
    board.close()
    assert time.monotonic() - start < 6  # against the time-out of 10 s
    check_handed_back(terminal, before)


def test_while_the_helper_is_sent(
    virtual_board: VirtualUnixBoard, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board has it all, and the session does not know."""
    before = free_bytes(terminal)
    terminal.serial.close()
    board = connect(virtual_board.port)
    execute = RawRepl.execute
    monkeypatch.setattr(RawRepl, "execute", interrupt_at(2, execute))  # the first is a collection
    with pytest.raises(KeyboardInterrupt):
        board.put_file("data.bin", b"data")
    monkeypatch.setattr(RawRepl, "execute", execute)
    board.close()
    check_handed_back(terminal, before)


def test_the_session_can_go_on(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(board._repl, "_failure", interrupt_at(1, lambda: None))
        with pytest.raises(KeyboardInterrupt):
            board.exec("print('x' * 20_000)\nwhile True: pass")
    assert board.eval("6 * 7") == 42


def test_no_half_a_file_is_left(board: Board) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        board.put_file("data.bin", bytes(9_000), interrupt)
    assert board.eval("__import__('os').listdir()") == []


def test_a_board_that_does_not_react_holds_nobody_up(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board._repl, "_failure", interrupt_at(1, lambda: None))
    with pytest.raises(KeyboardInterrupt):
        board.exec("import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass")
    start = time.monotonic()
    board.close()
    assert time.monotonic() - start < 8
