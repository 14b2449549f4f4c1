"""Virtual boards for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from availability import not_available
from smidgen.errors import BoardError
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VIRTUAL_BOARDS, VirtualUnixBoard, create_virtual_board
from smidgen.link.virtual.unix import find_executable
from terminal import Terminal


@pytest.fixture
def unix_port() -> None:
    """For tests that use sim:unix without a fixture that does."""
    try:
        find_executable()
    except BoardError as error:
        not_available(str(error))


@pytest.fixture
def virtual_board(unix_port: None) -> Iterator[VirtualUnixBoard]:
    with VirtualUnixBoard() as board:
        yield board


@pytest.fixture
def board(unix_port: None) -> Iterator[Board]:
    with connect("sim:unix", timeout=5) as board:
        yield board


@pytest.fixture(params=VIRTUAL_BOARDS)
def board_name(request: pytest.FixtureRequest) -> str:
    """Each virtual board for which everything is here: firmware, QEMU, the emulator."""
    name = str(request.param)
    try:
        create_virtual_board(name)._prepare()
    except BoardError as error:
        not_available(str(error))
    return name


@pytest.fixture
def terminal(virtual_board: VirtualUnixBoard) -> Iterator[Terminal]:
    terminal = Terminal(virtual_board.port)
    terminal.type(b"\x03")
    yield terminal
    terminal.serial.close()
