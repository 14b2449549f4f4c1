"""Ctrl-C on the computer, anywhere in an exchange: the board is given back as it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import blob_builder as b
from smidgen.link.session import Board, connect
from smidgen.link.transport import Patience, RawRepl
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


def test_a_board_that_does_not_react_holds_nobody_up(
    virtual_board: VirtualUnixBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = connect(virtual_board.port)
    board._repl.patience = Patience()  # that of a board on a cable
    monkeypatch.setattr(board._repl, "_failure", interrupt_at(1, lambda: None))
    with pytest.raises(KeyboardInterrupt):
        board.exec("import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass")
    start = time.monotonic()
    board.close()
    assert time.monotonic() - start < 8


# An operator is a 32x32x16 average pool with a window of this size. Of 60 of them, Ctrl-C comes during one of the first
# while all take half a second or more.
WINDOWS = {"sim:unix": 21, "sim:pico": 1, "sim:cortex-m3": 9, "sim:cortex-m4": 9, "sim:riscv": 9}
OPERATORS = 60


def long_model(window: int) -> bytes:
    shape = (1, 32, 32, 16)
    tensors = [b.Tensor(shape, offset=16384 * (number % 2)) for number in (0, OPERATORS, *range(1, OPERATORS))]
    position = {0: 0, OPERATORS: 1, **{number: number + 1 for number in range(1, OPERATORS)}}
    parameters = b.window((window, window), pad=(window // 2, window // 2))
    operators = [
        b.Operator(b.AVERAGE_POOL_2D, position[number], position[number + 1], parameters=parameters)
        for number in range(OPERATORS)
    ]
    return bytes(b.build(tensors, operators).data)


def test_an_inference_stops_between_operators(board_name: str) -> None:
    """On every virtual board; the REPL and the model can be used afterwards."""
    with connect(board_name) as board:
        board.install()
        model = board.load(long_model(WINDOWS[board_name]))
        # Over and over: Ctrl-C comes neither before the first run nor after the last, however busy this computer is.
        code = b"print('running')\nwhile True: _smg.models[0].run()"
        board._end_service()
        board._repl._send(code, 60)
        board._repl._read_until(b"running", 60)
        time.sleep(0.2)
        board._repl._write(b"\x03")
        board._repl._read_until(b"\x04", 60)
        traceback = board._repl._read_until(b"\x04>", 60)
        assert b"in run" in traceback
        assert b"KeyboardInterrupt" in traceback
        model.close()
        assert board.eval("6 * 7") == 42
