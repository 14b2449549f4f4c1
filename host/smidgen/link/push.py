"""Put a model onto a board: into a file, or into RAM for whoever uses the board's prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smidgen.errors import InputError
from smidgen.link.layout import check_sum
from smidgen.link.link import Progress
from smidgen.link.session import Board, connect, read_file
from smidgen.link.speed import Transfer
from smidgen.ports.names import resolve

RAM_NAME = "m"  # the global on the board that holds a model in RAM


@dataclass(frozen=True)
class Pushed:
    """What lies where on the board."""

    port: str
    name: str  # of the file; in RAM, of the global
    in_ram: bool
    size: int  # bytes of the blob
    transfer: Transfer | None  # None: it was there already

    def as_dict(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "name": self.name,
            "in_ram": self.in_ram,
            "bytes": self.size,
            "skipped": self.transfer is None,
            "transfer": self.transfer.as_dict() if self.transfer else None,
        }


def push(
    blob: str | Path, port: str, *, name: str | None = None, ram: bool = False, progress: Progress | None = None
) -> Pushed:
    """Send the file `blob` to the board on `port`; see `push_to`."""
    _checked(Path(blob), name)
    port = resolve(port)
    with connect(port) as board:
        return replace(push_to(board, blob, name=name, ram=ram, progress=progress), port=port)


def push_to(
    board: Board, blob: str | Path, *, name: str | None = None, ram: bool = False, progress: Progress | None = None
) -> Pushed:
    """Send the file `blob` to the board, unless it has the same bytes already.

    name: of the file on the board; None: as here. ram: into RAM instead, as the global `m`, which lasts until the board
    is reset; a model that `m` held is freed first if there is no room for both. Before anything is sent it raises
    BlobError when the blob is damaged, and BoardError when the board has too little RAM to run it, or too little room
    in its file system.
    """
    path = Path(blob)
    data = _checked(path, name)
    if ram:
        board.install()
        sent = board.put_model(data, RAM_NAME, progress)
    else:
        sent = board.put_blob(name or path.name, data, progress)
    place = RAM_NAME if ram else name or path.name
    return Pushed(board.port, place, ram, len(data), board.last_transfer if sent else None)


def _checked(path: Path, name: str | None) -> bytes:
    """The blob, if it and the name are sound."""
    data = read_file(path)
    check_sum(data)
    if name is not None and name.rpartition("/")[2] in ("", ".", ".."):
        raise InputError(f"'{name}' names a folder, not a file on the board: take {name.rstrip('/')}/{path.name}")
    return data
