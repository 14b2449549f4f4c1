"""A firmware file, and what it says of itself."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from smidgen.boards import BoardDescription
from smidgen.errors import InputError
from smidgen.flash.download import STABLE, download, is_version
from smidgen.flash.system import Progress, never

MAX_BYTES = 64 << 20  # no board has more flash

_BANNER = re.compile(rb"MicroPython v(\d+\.\d+(?:\.\d+)?(?:-preview)?)[^\0]{0,60}? on \d{4}-\d\d-\d\d")
_FILE_NAME = re.compile(r"-v(\d+\.\d+(?:\.\d+)?(?:-preview)?)")


@dataclass(frozen=True)
class Firmware:
    """`data` is the whole file."""

    path: Path
    data: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def version(self, payload: bytes) -> str | None:
        """Of MicroPython, from what goes into the flash, else from the file's name: "1.25.0", "1.27.0-preview"."""
        if banner := _BANNER.search(payload):
            return banner[1].decode()
        name = _FILE_NAME.search(self.path.name)
        return name[1] if name else None


def load_firmware(source: str | Path | None, board: BoardDescription, progress: Progress = never) -> Firmware:
    """The file `source`, or where there is none of that name and it is a version, that version, downloaded.

    None: the latest release. InputError if it cannot be had.
    """
    text = STABLE if source is None else str(source)
    path = Path(text)
    if not path.is_file() and is_version(text):
        path = download(board, text, progress)
    return Firmware(path, _read(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the firmware {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES:,} bytes, which is more than any board takes")
    if not data:
        raise InputError(f"{path} is empty; download it again")
    return data


def release(version: str) -> tuple[int, int, int, bool]:
    """To compare versions as boards and files spell them: '1.25' is '1.25.0', a preview comes before its release."""
    number, _, suffix = version.partition("-")
    parts = [int(part) if part.isdecimal() else 0 for part in (*number.split("."), "0", "0")[:3]]
    return parts[0], parts[1], parts[2], not suffix
