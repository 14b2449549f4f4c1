"""Images of LittleFS 2, the file system of boards with flash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from littlefs import LittleFS

BLOCK_BYTES = 4096  # of flash, erased at a time
PAGE_BYTES = 256  # programmed at a time
DISK_VERSION = 0x00020000  # every firmware with LittleFS 2 reads it


def build_littlefs(files: Mapping[str, bytes], image_bytes: int) -> bytes:
    """An image of `image_bytes` (a multiple of BLOCK_BYTES) with these files, by their paths on the board."""
    file_system = LittleFS(
        block_size=BLOCK_BYTES,
        block_count=image_bytes // BLOCK_BYTES,
        prog_size=PAGE_BYTES,
        read_size=PAGE_BYTES,
        disk_version=DISK_VERSION,
    )
    for name, data in files.items():
        path = PurePosixPath(name)
        file_system.makedirs(str(path.parent), exist_ok=True)
        with file_system.open(str(path), "wb") as file:
            file.write(data)
    file_system.unmount()
    return bytes(file_system.context.buffer)
