"""What flashing needs of this computer: its ports, its drives, its clock. Tests put others in their place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serial.tools import list_ports

from smidgen.boards import BoardDescription, UsbRole
from smidgen.flash.volume import Volume, find_volumes
from smidgen.link.session import Board, connect

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is, of how much


@dataclass(frozen=True)
class UsbPort:
    """A serial port on USB. `device` is its path or name; `serial_number` None if the device tells none."""

    device: str
    vid: int
    pid: int
    serial_number: str | None
    description: str = ""

    def may_be(self, board: BoardDescription, *roles: UsbRole) -> bool:
        """Whether a board of this kind shows these ids, in one of `roles` (none given: in any)."""
        return any((usb.vid, usb.pid) == (self.vid, self.pid) and (not roles or usb.role in roles) for usb in board.usb)


def usb_ports() -> list[UsbPort]:
    """All serial ports on USB."""
    return [
        UsbPort(port.device, port.vid, port.pid, port.serial_number, port.description or "")
        for port in sorted(list_ports.comports())
        if port.vid is not None and port.pid is not None
    ]


def never(*_: Any) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class System:
    """`connect` opens a session with the MicroPython on a port."""

    usb_ports: Callable[[], list[UsbPort]] = usb_ports
    volumes: Callable[[], list[Volume]] = find_volumes
    connect: Callable[[str], Board] = connect
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
