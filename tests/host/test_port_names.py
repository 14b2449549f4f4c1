"""What stands where a port is asked for: auto, id:SERIAL, paths, addresses, virtual boards."""

from __future__ import annotations

import errno

import pytest
import serial
from fake_ports import CP210X, PICO, S2_BOOTLOADER, UNKNOWN, usb_port
from serial.tools.list_ports_common import ListPortInfo

from smidgen.errors import BoardError, InputError
from smidgen.link import opening
from smidgen.link.opening import PortError, Refusal, open_port, permission_advice, refusal_of
from smidgen.link.session import connect
from smidgen.ports import default_port, list_candidates, resolve

PICO_PORT = usb_port("/dev/ttyACM0", PICO, "E660583883724A32")
ESP32_PORT = usb_port("/dev/ttyUSB0", CP210X, "0001")
BOOT_PORT = usb_port("/dev/ttyACM1", S2_BOOTLOADER, "0")
OTHER_PORT = usb_port("/dev/ttyACM2", UNKNOWN, "SN7")
BUILT_IN = usb_port("/dev/ttyS0", None)


def resolved(name: str, *ports: ListPortInfo) -> str:
    return resolve(name, lambda: ports)


@pytest.mark.parametrize("board", [PICO_PORT, ESP32_PORT])
def test_auto_takes_the_only_board(board: ListPortInfo) -> None:
    assert resolved("auto", BUILT_IN, OTHER_PORT, BOOT_PORT, board) == board.device


def test_auto_takes_boards_that_call_themselves_micropython() -> None:
    pyboard = usb_port("/dev/ttyACM9", (0xF055, 0x9800), manufacturer="MicroPython")
    assert resolved("auto", pyboard, OTHER_PORT) == "/dev/ttyACM9"


def test_auto_lists_several_and_stops() -> None:
    with pytest.raises(InputError) as caught:
        resolved("auto", ESP32_PORT, PICO_PORT)
    assert str(caught.value) == (
        "there are 2 ports that may be boards, so say which with --port, or SMIDGEN_PORT: "
        "/dev/ttyACM0 (2e8a:0005, serial number E660583883724A32; pico or pico2 or pico2_w or pico_w), "
        "/dev/ttyUSB0 (10c4:ea60, serial number 0001; a USB-to-serial chip)"
    )


def test_auto_without_a_board() -> None:
    with pytest.raises(BoardError, match=r"^no board was found: plug one in .*, sim:unix$") as caught:
        resolved("auto", BUILT_IN)
    assert caught.value.exit_code == 5
    with pytest.raises(
        BoardError, match=r"If one of these is your board, name it with --port: /dev/ttyACM2 \(1234:5678"
    ):
        resolved("auto", OTHER_PORT)


def test_by_serial_number() -> None:
    ports = (PICO_PORT, ESP32_PORT, BUILT_IN)
    assert resolved("id:E660583883724A32", *ports) == "/dev/ttyACM0"
    assert resolved("id:e660583883724a32", *ports) == "/dev/ttyACM0"
    with pytest.raises(BoardError, match=r"serial number 'E6' is plugged in; there are: /dev/ttyACM0 .*, /dev/ttyUSB0"):
        resolved("id:E6", *ports)
    with pytest.raises(BoardError, match="no port here has a serial number"):
        resolved("id:E6", BUILT_IN)
    with pytest.raises(BoardError, match="serial number '' is plugged in"):
        resolved("id:", *ports)


def test_one_serial_number_on_two_ports() -> None:
    """A board with two serial interfaces."""
    twin = usb_port("/dev/ttyACM5", PICO, "E660583883724A32")
    with pytest.raises(InputError, match=r"^2 ports have the serial number .* so give a path: /dev/ttyACM0 .*ttyACM5"):
        resolved("id:E660583883724A32", PICO_PORT, twin)


@pytest.mark.parametrize(
    "name", ["/dev/ttyACM7", "sim:unix", "sim:pico", "socket://192.168.1.2:5000", "rfc2217://server:2217", "./tty"]
)
def test_names_that_stand_for_themselves(name: str) -> None:
    def no_list() -> list[ListPortInfo]:
        raise AssertionError("the ports need not be listed for this")

    assert resolve(name, no_list) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("host", "'host' is this computer, not a board: give the port of a board, auto, or sim:unix"),
        (
            "ttyACM0",
            "there is no port 'ttyACM0': give the path of a serial port, such as /dev/ttyACM0, auto, id:SERIAL",
        ),
        ("http://server:80", "http://server:80 is no address of a port: it must begin with socket:// or rfc2217://"),
        ("loop://", "no address of a port"),
        ("", "there is no port ''"),
    ],
)
def test_names_that_cannot_be_ports(name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        resolved(name)
    assert words in str(caught.value)
    assert caught.value.exit_code == 6


def test_the_default_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMIDGEN_PORT", raising=False)
    assert default_port() == "auto"
    monkeypatch.setenv("SMIDGEN_PORT", "/dev/no-such-port")
    assert default_port() == "/dev/no-such-port"
    with pytest.raises(BoardError, match=r"^cannot open /dev/no-such-port: there is no such port"):
        connect()


def test_what_usb_ids_say() -> None:
    found = {candidate.port: candidate for candidate in list_candidates(lambda: [BOOT_PORT, ESP32_PORT, PICO_PORT])}
    assert list(found) == ["/dev/ttyACM0", "/dev/ttyACM1", "/dev/ttyUSB0"]  # sorted
    assert found["/dev/ttyACM0"].boards == ("pico", "pico2", "pico2_w", "pico_w")
    assert found["/dev/ttyACM1"].boards == ("esp32s2",)
    assert not found["/dev/ttyACM1"].may_have_repl
    assert {"esp32", "esp32c3"} <= set(found["/dev/ttyUSB0"].boards)
    # An ESP32-C3 has its prompt where an ESP32-S3 has its boot loader, so it has to be asked.
    (jtag,) = list_candidates(lambda: [usb_port("/dev/ttyACM0", (0x303A, 0x1001))])
    assert jtag.may_have_repl and "esp32c3" in jtag.boards


@pytest.mark.parametrize(
    ("error", "linux", "windows"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), Refusal.NO_PERMISSION, Refusal.BUSY),
        (serial.SerialException(errno.EACCES, "could not open port"), Refusal.NO_PERMISSION, Refusal.BUSY),
        (serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)"),
         Refusal.NO_PERMISSION, Refusal.BUSY),
        (serial.SerialException("Could not exclusively lock port: [Errno 11]"), Refusal.BUSY, Refusal.BUSY),
        (serial.SerialException(errno.EBUSY, "Device or resource busy"), Refusal.BUSY, Refusal.BUSY),
        (serial.SerialException(errno.ENOENT, "No such file or directory"), Refusal.ABSENT, Refusal.ABSENT),
        (serial.SerialException("could not open port 'COM9': FileNotFoundError(2, 'The system cannot find', None, 2)"),
         Refusal.ABSENT, Refusal.ABSENT),
        (OSError(errno.EIO, "Input/output error"), Refusal.OTHER, Refusal.OTHER),
    ],
)  # fmt: skip
def test_why_a_port_cannot_be_opened(error: Exception, linux: Refusal, windows: Refusal) -> None:
    assert refusal_of(error, "linux") is linux
    assert refusal_of(error, "win32") is windows


def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_group", lambda port: "uucp")
    advice = permission_advice("/dev/ttyACM0", "linux")
    assert "it belongs to the group uucp" in advice and "sudo usermod -a -G uucp $USER" in advice
    assert "usermod" not in permission_advice("/dev/cu.usbmodem1", "darwin")

    def refuse(*_: object, **__: object) -> serial.Serial:
        raise serial.SerialException(errno.EACCES, "[Errno 13] could not open port /dev/ttyACM0: Permission denied")

    monkeypatch.setattr(serial, "Serial", refuse)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(PortError, match=r"^cannot open /dev/ttyACM0: you may not use it") as caught:
        open_port("/dev/ttyACM0", 115200, 0.1, 1)
    assert caught.value.refusal is Refusal.NO_PERMISSION
