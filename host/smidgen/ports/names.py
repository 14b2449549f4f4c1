"""What can stand where a port is asked for, and which port it is."""

from __future__ import annotations

import os

from serial.tools.list_ports import comports

from smidgen.errors import BoardError, InputError
from smidgen.link.opening import NETWORK_SCHEMES, URL_MARK, is_device_path, is_network_port
from smidgen.link.virtual import VIRTUAL_BOARDS, is_virtual
from smidgen.ports.candidates import Candidate, ListPorts, list_candidates

AUTO = "auto"
HOST = "host"  # no port: this computer's NumPy reference, where a command has it
ID_PREFIX = "id:"
PORT_VARIABLE = "SMIDGEN_PORT"

NOTHING_FOUND = "no board was found"
WHAT_TO_CHECK = (
    ("cable", "is the board plugged in, with a cable that carries data? Many cables only charge"),
    ("MicroPython", "a board without it may have no port; smidgen flash puts it there"),
    ("driver", "boards with a CP210x, CH340 or FTDI chip may need one; Linux and macOS have most of them"),
    ("permission", "on Linux you have to be in the port's group, often dialout: sudo usermod -a -G dialout $USER, "
                   "then log out and in again"),
    ("container", "in a container or a virtual machine the USB device has to be passed through"),
)  # fmt: skip


def default_port() -> str:
    """$SMIDGEN_PORT, else "auto"."""
    return os.environ.get(PORT_VARIABLE) or AUTO


def resolve(name: str, list_ports: ListPorts = comports) -> str:
    """The port that a name stands for: the path of a device, an address, or the name of a virtual board.

    "auto" is the only board there is; "id:SERIAL" the one with this USB serial number. Other names stand for
    themselves. Raises BoardError when there is no such board, InputError when there are several or it cannot be a port.
    """
    if name == AUTO:
        return _the_only_board(list_candidates(list_ports)).port
    if name.startswith(ID_PREFIX):
        return _by_serial_number(name.removeprefix(ID_PREFIX), list_candidates(list_ports)).port
    if name == HOST:
        raise InputError("'host' is this computer, not a board: give the port of a board, auto, or sim:unix")
    if URL_MARK in name and not is_network_port(name):
        raise InputError(
            f"{name} is no address of a port: it must begin with {' or '.join(s + URL_MARK for s in NETWORK_SCHEMES)}, "
            f"as in socket://192.168.1.2:5000"
        )
    if not (is_virtual(name) or is_network_port(name) or is_device_path(name)):
        raise InputError(
            f"there is no port {name!r}: give the path of a serial port, such as /dev/ttyACM0, {AUTO}, "
            f"{ID_PREFIX}SERIAL, or a virtual board: {', '.join(VIRTUAL_BOARDS)}"
        )
    return name


def _the_only_board(candidates: list[Candidate]) -> Candidate:
    boards = [candidate for candidate in candidates if candidate.may_have_repl]
    if not boards:
        others = [candidate for candidate in candidates if candidate.usb_id]
        hint = f". If one of these is your board, name it with --port: {_listed(others)}" if others else ""
        raise BoardError(
            f"{NOTHING_FOUND}: plug one in (smidgen devices says what to check), or take a virtual one, sim:unix{hint}"
        )
    if len(boards) > 1:
        raise InputError(
            f"there are {len(boards)} ports that may be boards, so say which with --port, or {PORT_VARIABLE}: "
            f"{_listed(boards)}"
        )
    return boards[0]


def _by_serial_number(serial_number: str, candidates: list[Candidate]) -> Candidate:
    wanted = [c for c in candidates if (c.serial_number or "").lower() == serial_number.lower()]
    if serial_number and len(wanted) == 1:
        return wanted[0]
    if serial_number and wanted:
        raise InputError(
            f"{len(wanted)} ports have the serial number {serial_number}, so give a path: {_listed(wanted)}"
        )
    known = [candidate for candidate in candidates if candidate.serial_number]
    there = f"there are: {_listed(known)}" if known else "no port here has a serial number"
    raise BoardError(f"no board with the serial number {serial_number!r} is plugged in; {there}")


def _listed(candidates: list[Candidate]) -> str:
    return ", ".join(candidate.text for candidate in candidates)
