"""Puts smidgen on a board, or takes it off, and tells what was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.errors import BoardError
from smidgen.link import natmod
from smidgen.link.session import Removal, connect, read_file
from smidgen.ports.names import default_port, resolve


@dataclass(frozen=True)
class Installation:
    """port: as `ports.resolve` gives it. file: on the board. source: the file here that it is a copy of. size: bytes.

    version: what the board says after importing it. written: False if this very file was there already.
    """

    port: str
    machine: str
    arch: str
    file: str
    source: str
    size: int
    version: str
    written: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def install_smidgen(port: str | None = None, progress: Callable[[int, int], None] | None = None) -> Installation:
    """Put the smidgen.mpy for the board on `port` (as for `connect`) there, and import it to see that it loads.

    The file is written under another name, verified by its hash, and renamed; nothing is written if it is there
    already. Raises InputError or BoardError.
    """
    port = resolve(default_port() if port is None else port)
    with connect(port) as board:
        arch = natmod.required_architecture(*board.eval(natmod.IDENTITY))
        source = natmod.find(arch)
        written = board.install(source, progress)
        info = board.hello()
        if info.smidgen_version is None:
            raise BoardError(
                f"smidgen is on the board, but cannot be imported: {info.smidgen_problem or 'it is not found'}"
            )
        return Installation(
            port=port,
            machine=info.machine,
            arch=natmod.file_architecture(read_file(source), str(source)) or arch,
            file=natmod.BOARD_FILE,
            source=str(source),
            size=len(read_file(source)),
            version=info.smidgen_version,
            written=written,
        )


def uninstall_smidgen(port: str | None = None) -> Removal:
    """Take smidgen off the board on `port` (as for `connect`). Raises InputError or BoardError."""
    with connect(port) as board:
        return board.uninstall()
