"""Boards behind a network address: socket:// and rfc2217://."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from network_port import serve
from smidgen.errors import BoardError
from smidgen.link.session import connect
from smidgen.link.socket_port import SocketPort
from smidgen.link.virtual import VirtualUnixBoard
from smidgen.ports.probe import probe
from test_session import make_blob, put_stand_in

SCHEMES = ("socket", "rfc2217")


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(virtual_board: VirtualUnixBoard, scheme: str) -> Iterator[str]:
    with serve(virtual_board.port, telnet=scheme == "rfc2217") as (address, _):
        yield f"{scheme}://{address}"


def test_a_model_runs_behind_an_address(address: str) -> None:
    with connect(address, timeout=10) as board:
        assert board.exec("print('x' * 20000)") == "x" * 20000 + "\n"
        data = bytes(range(256)) * 20  # with 0x03, and 0xff, which means something to telnet
        assert board.put_file("data.bin", data)
        assert board.eval("open('data.bin', 'rb').read()[200:520]") == data[200:520]
        put_stand_in(board, 300)
        model = board.load(make_blob(300))
        samples = (np.arange(300) % 128).astype(np.int8)
        assert (model.run(samples)[0].reshape(-1) == (samples * 2).astype(np.int8)).all()


def test_bytes_that_wait_are_counted() -> None:
    """Else a long answer would be read two bytes at a time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = SocketPort(f"socket://127.0.0.1:{server.getsockname()[1]}", timeout=5)
        client, _ = server.accept()
        with client:
            assert port.in_waiting == 0
            client.sendall(b"abcde")
            assert port.read(1) == b"a"
            assert port.in_waiting == 4
            assert port.read(4) == b"bcde"
        port.close()


def test_one_session_after_another(address: str) -> None:
    for _ in range(2):
        with connect(address, timeout=10) as board:
            assert board.eval("6 * 7") == 42
    identity = probe(address)
    assert identity is not None and identity.natmod_arch == "x64"


def test_a_connection_that_is_cut(virtual_board: VirtualUnixBoard, scheme: str) -> None:
    with serve(virtual_board.port, telnet=scheme == "rfc2217") as (address, cut):
        board = connect(f"{scheme}://{address}", timeout=10)
        cut()
        with pytest.raises(BoardError, match=r"is gone: .*; check the (cable|network)"):
            board.exec("print(1)")
        board.close()


def test_nobody_listens(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(BoardError, match=rf"^cannot open {address}: .*refused; is the server running") as caught:
        connect(address)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("port", ["socket://nowhere", "socket://:x", "rfc2217://h", "rfc2217://h:99999999"])
def test_addresses_that_are_none(port: str) -> None:
    with pytest.raises(BoardError, match=f"^cannot open {port}: .*is the address right"):
        connect(port)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_an_address_without_a_port(scheme: str) -> None:
    with pytest.raises(BoardError, match="it names no port: HOST:PORT"):
        connect(f"{scheme}://localhost")
