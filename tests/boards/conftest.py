"""Virtual boards for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graph_builder import GraphBuilder

from availability import not_available
from smidgen import graph as g
from smidgen.errors import BoardError, InputError
from smidgen.link import natmod
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VIRTUAL_BOARDS, VirtualUnixBoard, create_virtual_board
from smidgen.link.virtual.unix import find_executable
from smidgen.packer import pack_graph
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


@pytest.fixture
def dense_blob(tmp_path: Path) -> Path:
    """For boards with the native module: [1, 6] -> [1, 3], fully connected, with labels."""
    try:
        natmod.find("x64")
    except InputError as error:
        not_available(str(error))
    b = GraphBuilder()
    b.tensor("x", (1, 6), 0.1, 3)
    b.tensor("y", (1, 3), 0.2, -4)
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 6), 0), activation=g.Activation.RELU))
    path = tmp_path / "dense.smg"
    path.write_bytes(pack_graph(b.finish(["x"], ["y"]), {"labels": ["left", "right", "up"]}))
    return path
