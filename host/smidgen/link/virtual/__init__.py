"""Virtual boards: real MicroPython firmware without hardware, behind a PTY.

Each has a name that stands where the path of a serial port can stand, such as `sim:unix`. Its PTY can be
opened by path with any serial tool, as if it were a board on a cable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smidgen.errors import InputError
from smidgen.link.virtual.unix import DEFAULT_HEAP_BYTES, VirtualUnixBoard

PREFIX = "sim:"


class VirtualBoard(Protocol):
    """What every kind of virtual board offers."""

    @property
    def port(self) -> str:
        """Path of the PTY; valid between `start` and `close`."""

    @property
    def failure(self) -> str | None:
        """Why the board died and what it printed last; None while it is well."""

    def start(self) -> None:
        """Boot. Returns when the board's prompt has appeared."""

    def wait(self) -> None:
        """Block until `close` is called from elsewhere; raise BoardError if the board dies."""

    def close(self) -> None:
        """Switch off and remove the board's files. May be called twice."""


VIRTUAL_BOARDS: dict[str, Callable[[int | None], VirtualBoard]] = {
    "sim:unix": lambda heap_bytes: VirtualUnixBoard(heap_bytes=heap_bytes or DEFAULT_HEAP_BYTES),
}


def is_virtual(port: str) -> bool:
    """Whether `port` names a virtual board rather than a device."""
    return port.startswith(PREFIX)


def create_virtual_board(name: str, heap_bytes: int | None = None) -> VirtualBoard:
    """The virtual board called `name`, not started yet. `heap_bytes` None: the size of that kind of board."""
    try:
        create = VIRTUAL_BOARDS[name]
    except KeyError:
        raise InputError(f"there is no virtual board {name!r}; there are: {', '.join(VIRTUAL_BOARDS)}") from None
    return create(heap_bytes)


__all__ = ["VIRTUAL_BOARDS", "VirtualBoard", "VirtualUnixBoard", "create_virtual_board", "is_virtual"]
