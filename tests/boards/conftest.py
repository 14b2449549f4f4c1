"""Virtual boards for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smidgen.errors import BoardError
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VIRTUAL_BOARDS, VirtualUnixBoard, create_virtual_board
from smidgen.link.virtual.unix import find_executable
from terminal import Terminal


@pytest.fixture(scope="session", autouse=True)
def unix_port() -> None:
    """Everything here needs the unix port; say so once instead of failing everywhere."""
    try:
        find_executable()
    except Exception as error:
        pytest.skip(str(error))


@pytest.fixture
def virtual_board() -> Iterator[VirtualUnixBoard]:
    with VirtualUnixBoard() as board:
        yield board


@pytest.fixture
def board() -> Iterator[Board]:
    with connect("sim:unix", timeout=5) as board:
        yield board


@pytest.fixture(params=VIRTUAL_BOARDS)
def board_name(request: pytest.FixtureRequest) -> str:
    """Each virtual board for which everything is here: firmware, QEMU, the emulator."""
    name = str(request.param)
    try:
        create_virtual_board(name)._prepare()
    except BoardError as error:
        pytest.skip(str(error))
    return name


@pytest.fixture
def terminal(virtual_board: VirtualUnixBoard) -> Iterator[Terminal]:
    terminal = Terminal(virtual_board.port)
    terminal.type(b"\x03")
    yield terminal
    terminal.serial.close()
