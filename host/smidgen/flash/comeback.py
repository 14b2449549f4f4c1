"""After flashing: the board restarts, comes back on USB, and says what it runs."""

from __future__ import annotations

from smidgen.boards import BoardDescription, UsbRole
from smidgen.errors import BoardError
from smidgen.flash.state import FlashError, FlashState
from smidgen.flash.system import Progress, System, UsbPort
from smidgen.flash.target import Target
from smidgen.link.session import BoardInfo

RETURN_SECONDS = 30.0  # the first start of an ESP32 takes ten, because it makes a file system
POLL_SECONDS = 0.25
WHAT = "waiting for the board"
_NO_SERIAL_NUMBERS = ("", "0")  # what Espressif's boot ROM says on a USB port of its own


def wait_for_board(
    board: BoardDescription, target: Target, system: System, progress: Progress
) -> tuple[str, BoardInfo]:
    """The port on which the flashed board answers, and what it says. FlashError if it does not come back.

    It is known by its serial number on USB. Where it had none (its boot loader ran already, or the port is not USB),
    it is the port that was not there before, or the same port.
    """
    deadline = system.monotonic() + RETURN_SECONDS
    reason = "it is not there"
    while True:
        port = port_of(board, target, system.usb_ports())
        if port is not None:
            try:
                with system.connect(port) as session:
                    return port, session.hello()
            except BoardError as error:  # it is still starting, or its port may not be used yet
                reason = f"{port}: {error}"
        left = deadline - system.monotonic()
        if left <= 0:
            raise FlashError(
                f"the board did not come back within {RETURN_SECONDS:.0f} s ({reason})",
                FlashState.WRITTEN,
                "Unplug the board and plug it in again; if MicroPython does not answer then, the firmware may be for "
                "another board, or the port one that this firmware does not use.",
            )
        progress(WHAT, int(RETURN_SECONDS - left), int(RETURN_SECONDS))
        system.sleep(POLL_SECONDS)


def port_of(board: BoardDescription, target: Target, ports: list[UsbPort]) -> str | None:
    """The port of the flashed board among `ports`; None if it is not there yet."""
    if target.port is not None and target.usb is None:
        return target.port
    if target.usb is not None and (wanted := _plain(target.usb.serial_number)) not in _NO_SERIAL_NUMBERS:
        return next((port.device for port in ports if _plain(port.serial_number) == wanted), None)
    if target.usb is not None and target.usb in ports:
        return target.port  # a bridge, which stays while the chip behind it restarts
    fresh = [port.device for port in ports if port.device not in target.known_ports]
    fitting = [port.device for port in ports if port.device in fresh and port.may_be(board, UsbRole.REPL)]
    return fitting[0] if len(fitting) == 1 else None


def _plain(serial_number: str | None) -> str:
    """A MAC address is written with colons by one firmware and without by another."""
    return (serial_number or "").replace(":", "").lower()
