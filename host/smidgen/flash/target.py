"""Which board is meant: one port or one volume, never the first of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smidgen.boards import BoardDescription, FlashMethod, UsbRole
from smidgen.errors import BoardError, InputError
from smidgen.flash.system import System, UsbPort
from smidgen.flash.volume import Volume, named_volume
from smidgen.link.virtual import is_virtual

AUTO = "auto"
SERIAL_PREFIX = "id:"


@dataclass(frozen=True)
class Target:
    """Where the board is: `port`, or `volume` for one whose boot loader runs already.

    usb: what USB says of the port; None if it is not on USB, or says nothing. known_ports: what else was there.
    """

    port: str | None
    volume: Volume | None
    usb: UsbPort | None
    known_ports: frozenset[str]

    def __str__(self) -> str:
        if self.volume is not None:
            return str(self.volume)
        serial_number = f" (serial number {self.usb.serial_number})" if self.usb and self.usb.serial_number else ""
        return f"{self.port}{serial_number}"


def find_target(board: BoardDescription, port: str | None, volume: str | Path | None, system: System) -> Target:
    """The board that `port` or `volume` names, or else the only one there is.

    port: a path or address, `id:` with the serial number that it has on USB, None or 'auto'. InputError for a name
    that cannot be right, BoardError with what to do if there is none or there are several.
    """
    require_one_name(board, port, volume)
    ports = system.usb_ports()
    if volume is not None:
        return _on_volume(_for_board(board, named_volume(volume)), ports)
    if port not in (None, AUTO):
        return _on_port(_named(str(port), ports), ports)
    return _only(board, ports, system.volumes() if _has_a_drive(board) else [])


def require_one_name(board: BoardDescription, port: str | None, volume: str | Path | None) -> None:
    """Raise InputError for a volume that does not go with the board or the port."""
    if volume is None:
        return
    if not _has_a_drive(board):
        raise InputError(f"{board.name} has no drive: it is flashed through a serial port, give --port")
    if port not in (None, AUTO):
        raise InputError("give the port or the volume, not both: they name the same board in two states")


def _has_a_drive(board: BoardDescription) -> bool:
    return board.flashing.method is FlashMethod.UF2


def _named(port: str, ports: list[UsbPort]) -> str:
    if is_virtual(port):
        raise InputError(f"{port} is a virtual board, which needs no flashing: use it as it is")
    if not port.startswith(SERIAL_PREFIX):
        if port.startswith("/") and not Path(port).exists():
            raise BoardError(f"there is no port {port}; plug the board in, or give the port that it has now")
        return port
    serial_number = port.removeprefix(SERIAL_PREFIX)
    for candidate in ports:
        if candidate.serial_number is not None and candidate.serial_number.lower() == serial_number.lower():
            return candidate.device
    known = ", ".join(f"{port.serial_number} on {port.device}" for port in ports if port.serial_number)
    raise BoardError(f"no port has the serial number {serial_number}; there are: {known or 'none'}")


def _only(board: BoardDescription, ports: list[UsbPort], volumes: list[Volume]) -> Target:
    # A boot ROM of the RP2 family on a serial port is not there; one of Espressif is.
    roles = (UsbRole.REPL,) if board.flashing.method is FlashMethod.UF2 else ()
    candidates = [port for port in ports if port.may_be(board, *roles)]
    fitting = [volume for volume in volumes if volume.chip == board.chip]
    if len(candidates) + len(fitting) > 1:
        listed = [f"--volume {volume.path}" for volume in fitting]
        listed += [f"--port {port.device} ({port.description}, {port.serial_number})" for port in candidates]
        raise BoardError(f"there are {len(listed)} boards that may be {board.name}; say which: {'; '.join(listed)}")
    if fitting:
        return _on_volume(fitting[0], ports)
    if candidates:
        return _on_port(candidates[0].device, ports)
    if volumes:
        _for_board(board, volumes[0])
    raise BoardError(_nothing_found(board))


def _nothing_found(board: BoardDescription) -> str:
    if board.flashing.method is FlashMethod.UF2:
        return (
            f"no {board.title} found: neither a port with MicroPython nor the drive of its boot loader. Hold BOOTSEL "
            "while you plug the board in; its drive must be mounted (on a system without a desktop: "
            "`udisksctl mount -b /dev/sdX1`, or mount it and give --volume FOLDER). A cable for charging only will "
            "not do."
        )
    return (
        f"no serial port found that may be {board.name} ({board.title}). Plug the board in; a cable for charging only "
        "will not do, and old boards need the driver of their USB chip. If it has a port, give it with --port."
    )


def _for_board(board: BoardDescription, volume: Volume) -> Volume:
    if volume.chip != board.chip:
        raise InputError(
            f"the boot loader at {volume.path} is that of {volume.chip or f'another board ({volume.board_id})'}, and "
            f"{board.name} has {board.chip}: unplug the wrong board, or name the right one"
        )
    return volume


def _on_port(port: str, ports: list[UsbPort]) -> Target:
    usb = next((candidate for candidate in ports if candidate.device == port), None)
    return Target(port, None, usb, frozenset(candidate.device for candidate in ports))


def _on_volume(volume: Volume, ports: list[UsbPort]) -> Target:
    return Target(None, volume, None, frozenset(port.device for port in ports))
