"""A board that dies or is reset while it is being sent code: the session says so."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import pytest

from smidgen.errors import BoardError, BoardReset
from smidgen.link.session import Board, connect
from smidgen.link.virtual import ProcessBoard
from test_virtual_boards import processes_in

DATA = random.Random(1).randbytes(200_000)

pytestmark = pytest.mark.parametrize("board_name", ["sim:unix", "sim:riscv"], indirect=True)


def virtual(board: Board) -> ProcessBoard:
    assert board._virtual
    return board._virtual


def kill(board: Board, number: signal.Signals) -> None:
    (process,) = processes_in(virtual(board).directory)
    os.kill(int(process.name), number)


def before_write(board: Board, number: int, action: Callable[[], None]) -> None:
    """Let `action` happen before the computer writes for the time `number` from now."""
    write = board._repl._write
    count = 0

    def counting(data: bytes) -> None:
        nonlocal count
        count += 1
        if count == number:
            action()
        write(data)

    board._repl._write = counting  # type: ignore[method-assign]


@pytest.mark.parametrize("raw_paste", [True, False])
def test_death(board_name: str, raw_paste: bool) -> None:
    with connect(board_name) as board:
        board._start_link()
        board._repl._raw_paste = raw_paste
        before_write(board, 60, lambda: kill(board, signal.SIGKILL))
        with pytest.raises(BoardError, match=r"^the virtual board died \(SIGKILL\); its last output: ") as caught:
            board.put_file("data.bin", DATA)
        assert "\\x" not in str(caught.value)


def test_death_on_termination(board_name: str) -> None:
    """QEMU then ends with exit code 0."""
    with connect(board_name) as board:
        before_write(board, 60, lambda: kill(board, signal.SIGTERM))
        with pytest.raises(BoardError, match=r"^the virtual board died \((SIGTERM|exit code 0)\)"):
            board.put_file("data.bin", DATA)


@pytest.mark.parametrize("write", [1, 8, 60])  # the request for raw paste, the helper, the file
@pytest.mark.parametrize("raw_paste", [True, False])
def test_reset(board_name: str, raw_paste: bool, write: int) -> None:
    with connect(board_name, timeout=4) as board:  # waited out where no code is asked for that was being sent
        relay = virtual(board)._relay
        assert relay
        relay._reset_exit_code = -signal.SIGKILL  # the relay boots the board again, as after a loss of power
        board._repl._raw_paste = raw_paste
        before_write(board, write, lambda: kill(board, signal.SIGKILL))
        with pytest.raises(BoardReset, match=r"was reset; its last output: "):
            board.put_file("data.bin", DATA)
        assert board.put_file("after.txt", b"after") is True
        assert board.eval("open('after.txt').read()") == "after"


def test_what_is_neither(board_name: str) -> None:
    """Something else writes to the line."""
    with connect(board_name) as board:
        before_write(board, 3, lambda: board._repl._received.extend(b"noise"))
        with pytest.raises(BoardError, match="stopped taking the code that it was being sent") as caught:
            board.exec("x = '%s'" % ("x" * 5000))
        assert not isinstance(caught.value, BoardReset)
        assert board.eval("6 * 7") == 42
