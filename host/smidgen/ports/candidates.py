"""The serial ports of this computer, and what their USB ids say about what is behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from serial.tools.list_ports import comports
from serial.tools.list_ports_common import ListPortInfo

from smidgen.boards import BoardDescription, UsbRole, load_boards

ListPorts = Callable[[], Iterable[ListPortInfo]]

# How the firmware of MicroPython's own boards introduces itself, also that of boards smidgen has no description of.
MICROPYTHON_MANUFACTURER = "MicroPython"
_ROLES = (UsbRole.REPL, UsbRole.BRIDGE, UsbRole.BOOTLOADER)  # where boards disagree on an id, the first counts


@dataclass(frozen=True)
class Candidate:
    """A serial port and what is known of it without opening it.

    role: what its USB id stands for, None if it says nothing. boards: names of those that have this id.
    """

    port: str
    usb_id: str | None  # as in lsusb, "2e8a:0005"; None: not on USB
    serial_number: str | None
    product: str | None  # what the device calls itself
    role: UsbRole | None
    boards: tuple[str, ...]

    @property
    def may_have_repl(self) -> bool:
        """Whether a board that runs MicroPython may be behind it."""
        return self.role in (UsbRole.REPL, UsbRole.BRIDGE)

    @property
    def text(self) -> str:
        """For a list: '/dev/ttyACM0 (2e8a:0005, serial number E660; pico or pico_w)'."""
        facts = [self.usb_id or "not on USB"]
        if self.serial_number:
            facts.append(f"serial number {self.serial_number}")
        boards = "; a USB-to-serial chip" if self.role is UsbRole.BRIDGE else ""
        if self.role is not UsbRole.BRIDGE and self.boards:
            boards = f"; {' or '.join(self.boards)}"
        return f"{self.port} ({', '.join(facts)}{boards})"


def list_candidates(list_ports: ListPorts = comports) -> list[Candidate]:
    """Every serial port, sorted by name. list_ports: pyserial's, or for a test something in its place."""
    boards = load_boards()
    return [_candidate(port, boards) for port in sorted(list_ports(), key=lambda port: port.device)]


def _candidate(port: ListPortInfo, boards: tuple[BoardDescription, ...]) -> Candidate:
    matches = [(board, usb) for board in boards for usb in board.usb if (usb.vid, usb.pid) == (port.vid, port.pid)]
    roles = {usb.role for _, usb in matches}
    role = next((role for role in _ROLES if role in roles), None)
    if role is None and port.manufacturer == MICROPYTHON_MANUFACTURER:
        role = UsbRole.REPL
    return Candidate(
        port=port.device,
        usb_id=f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else None,
        serial_number=port.serial_number or None,
        product=port.product or None,
        role=role,
        boards=tuple(board.name for board, usb in matches if usb.role is role),
    )
