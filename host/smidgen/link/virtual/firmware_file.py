"""Where the firmware of the virtual boards lies on this computer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smidgen.errors import BoardError
from smidgen.link.named_folder import named_folder

DIRECTORY_VARIABLE = "SMIDGEN_FIRMWARE_DIR"


def find_firmware(board: str, file_name: str) -> Path:
    """`board`/`file_name` in $SMIDGEN_FIRMWARE_DIR or a checkout's build, such as pico/firmware.uf2.

    BoardError if it is in neither, InputError if the variable names no folder.
    """
    searched = list(_directories())
    for directory in searched:
        path = directory / board / file_name
        if path.is_file():
            return path
    looked = f" (looked in {', '.join(map(str, searched))})" if searched else ""
    raise BoardError(
        f"there is no firmware {board}/{file_name}{looked}: `make firmware` in a checkout of smidgen builds it, "
        f"or let {DIRECTORY_VARIABLE} name a folder with {board}/{file_name}"
    )


def _directories() -> Iterator[Path]:
    if named := named_folder(DIRECTORY_VARIABLE):
        yield named
    checkout = Path(__file__).resolve().parents[4]
    if (checkout / "boards").is_dir():
        yield checkout / ".cache" / "firmware"
