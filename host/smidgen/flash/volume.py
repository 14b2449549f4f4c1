"""The drive that a board offers while its UF2 boot loader runs, known by its file INFO_UF2.TXT and by nothing else."""

from __future__ import annotations

import os
import re
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smidgen.errors import InputError
from smidgen.link.named_folder import named_folder

INFO_FILE = "INFO_UF2.TXT"
VOLUMES_VARIABLE = "SMIDGEN_VOLUMES"  # a folder in which drives are mounted, searched in place of the usual ones
BOARD_IDS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}  # Board-ID of a boot ROM: the chip it is in

_INFO_BYTES = 4096  # more than any boot loader writes there
_FAT_TYPES = ("vfat", "msdos", "exfat", "fuseblk")
_LINUX_FOLDERS = ("/media", "/media/*", "/run/media/*", "/mnt")


@dataclass(frozen=True)
class Volume:
    """`board_id` is what its INFO_UF2.TXT says; `chip` is None where that is the boot loader of some other chip."""

    path: Path
    board_id: str

    @property
    def chip(self) -> str | None:
        return BOARD_IDS.get(self.board_id)

    @property
    def is_there(self) -> bool:
        """Whether it is still mounted, with the same boot loader behind it."""
        return read_volume(self.path) == self

    def __str__(self) -> str:
        return f"{self.path} ({self.chip or self.board_id})"


def read_volume(path: Path) -> Volume | None:
    """The volume mounted at `path`; None if there is no readable INFO_UF2.TXT with a Board-ID."""
    try:
        with (path / INFO_FILE).open("rb") as file:
            text = file.read(_INFO_BYTES).decode("ascii", errors="replace")
    except OSError:
        return None
    board_id = re.search(r"^Board-ID:[ \t]*(\S[^\r\n]*?)[ \t]*\r?$", text, re.MULTILINE)
    return Volume(path, board_id[1]) if board_id else None


def named_volume(path: str | Path) -> Volume:
    """The volume that the user names. InputError if it is none."""
    volume = read_volume(Path(path))
    if volume is None:
        raise InputError(
            f"{path} is not the drive of a UF2 boot loader: it has no {INFO_FILE} with a Board-ID; hold BOOTSEL while "
            "plugging the board in, and give the folder in which its drive is mounted"
        )
    return volume


def find_volumes() -> list[Volume]:
    """Every mounted volume, sorted by path. InputError if $SMIDGEN_VOLUMES names no folder."""
    found: dict[Path, Volume] = {}
    for folder in _candidates():
        volume = read_volume(folder)
        if volume is not None:
            found.setdefault(folder.resolve(), volume)
    return sorted(found.values(), key=lambda volume: volume.path)


def _candidates() -> Iterator[Path]:
    if folder := named_folder(VOLUMES_VARIABLE):
        yield from _folders_in(folder)
    elif sys.platform == "win32":
        yield from (Path(f"{letter}:\\") for letter in string.ascii_uppercase[2:])
    elif sys.platform == "darwin":
        yield from _folders_in(Path("/Volumes"))
    else:
        try:
            yield from mount_points(Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            pass  # a system without it may still have one of the usual folders
        for pattern in _LINUX_FOLDERS:
            for folder in Path("/").glob(pattern.lstrip("/")):
                yield from _folders_in(folder)


def mount_points(mounts: str) -> Iterator[Path]:
    """Where FAT volumes are mounted, from the text of /proc/mounts. Others are not looked at: a network may hang."""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[2] in _FAT_TYPES:
            yield Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []
