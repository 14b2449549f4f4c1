"""Asking virtual boards what they are: right, and without harm to what runs there."""

from __future__ import annotations

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from smidgen import __version__
from smidgen.link import natmod
from smidgen.link.opening import PortError, Refusal
from smidgen.link.session import connect
from smidgen.link.transport import Patience
from smidgen.link.virtual import VirtualUnixBoard, create_virtual_board
from smidgen.ports import State, find_devices
from smidgen.ports.probe import probe
from terminal import Terminal


def listed(path: str) -> ListPortInfo:
    """The port of a virtual board as if it were a Pico's."""
    port = ListPortInfo(path)
    port.vid, port.pid, port.serial_number = 0x2E8A, 0x0005, "E660"
    return port


def test_every_board_says_what_it_is(board_name: str) -> None:
    with create_virtual_board(board_name) as board:
        identity = probe(board.port)
        assert identity is not None
        with connect(board.port) as session:
            info = session.hello()
    assert (identity.micropython, identity.machine, identity.natmod_arch, identity.smidgen_version) == (
        info.version, info.machine, info.natmod_arch, info.smidgen_version,
    )  # fmt: skip
    assert not identity.interrupted


def test_the_board_is_left_as_it_was(virtual_board: VirtualUnixBoard, terminal: Terminal) -> None:
    terminal.type(b"mine = 5\r")
    before = terminal.type(b"print(dir(), __import__('sys').modules)\r")
    terminal.serial.close()
    assert probe(virtual_board.port) is not None
    terminal.serial.open()
    terminal.type(b"\r")
    assert terminal.type(b"print(dir(), __import__('sys').modules)\r") == before


def test_a_raw_repl_that_was_left_open(virtual_board: VirtualUnixBoard, terminal: Terminal) -> None:
    terminal.type(b"\x01", until=b"raw REPL; CTRL-B to exit\r\n>")
    terminal.serial.close()
    assert probe(virtual_board.port) is not None


def test_a_program_goes_on(virtual_board: VirtualUnixBoard, terminal: Terminal) -> None:
    terminal.type(b"import time\r")
    terminal.serial.write(b"while True: time.sleep_ms(20); print('logging')\r\r\r")
    terminal.read_until(b"\r\nlogging\r\n")
    terminal.serial.close()
    assert probe(virtual_board.port) is None
    terminal.serial.open()
    terminal.read_until(b"logging\r\n")
    terminal.serial.close()
    identity = probe(virtual_board.port, interrupt=True)
    assert identity is not None and identity.interrupted
    terminal.serial.open()
    assert terminal.type(b"print(6 * 7)\r").endswith(b"42\r\n>>> ")


def test_nobody_answers(virtual_board: VirtualUnixBoard, terminal: Terminal) -> None:
    """What a GPS receiver or a board without MicroPython does: nothing."""
    terminal.type(b"import micropython, sys\r")
    terminal.type(b"micropython.kbd_intr(-1); exec(\"print('deaf')\\nwhile True: pass\")\r", until=b"\r\ndeaf\r\n")
    terminal.serial.close()
    assert probe(virtual_board.port, interrupt=True, patience=Patience(silence=0.1)) is None


def test_a_port_that_another_program_has_open(virtual_board: VirtualUnixBoard) -> None:
    with serial.Serial(virtual_board.port, exclusive=True):
        with pytest.raises(PortError, match="another program has it open") as caught:
            probe(virtual_board.port)
        assert caught.value.refusal is Refusal.BUSY
        (device,) = find_devices(list_ports=lambda: [listed(virtual_board.port)], list_volumes=list)
    assert device.state is State.BUSY
    assert "close that one first" in device.advice


def test_two_boards_are_told_apart(virtual_board: VirtualUnixBoard) -> None:
    with VirtualUnixBoard() as other:
        ports = [listed(virtual_board.port), listed(other.port)]
        devices = find_devices(list_ports=lambda: ports, list_volumes=list)
    assert sorted(device.port for device in devices) == sorted(port.device for port in ports)
    assert {device.state for device in devices} == {State.REPL}


@pytest.mark.parametrize(
    ("content", "version", "problem"),
    [
        (None, None, None),
        (b"__version__ = '0.0.7'", "0.0.7", None),
        (b"raise ValueError('broken')", None, "ValueError('broken',)"),
        (b"import nonsense", None, None),
    ],
)
def test_the_version_on_the_board(
    virtual_board: VirtualUnixBoard, content: bytes | None, version: str | None, problem: str | None
) -> None:
    if content is not None:
        with connect(virtual_board.port) as board:
            board.put_file("lib/smidgen.py", content)
    identity = probe(virtual_board.port)
    assert identity is not None
    assert (identity.smidgen_version, identity.smidgen_problem) == (version, problem)
    with connect(virtual_board.port) as board:  # the module was forgotten
        assert board.eval("'smidgen' in __import__('sys').modules") is False


def test_the_file_that_would_be_installed_is_known_by_its_hash(virtual_board: VirtualUnixBoard) -> None:
    data = b"M\x06\x06\x1f, which nobody can import"
    with connect(virtual_board.port) as board:
        board.put_file(natmod.BOARD_FILE, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(natmod.Path, "read_bytes", lambda path: data)
        patch.setattr(natmod, "find_built", lambda arch: natmod.Path("x"))
        identity = probe(virtual_board.port)
    assert identity is not None and identity.smidgen_version == __version__
    identity = probe(virtual_board.port)
    assert identity is not None and identity.smidgen_version is None and identity.smidgen_problem
