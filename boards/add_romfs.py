#!/usr/bin/env python3
"""Adds a ROMFS with files to the firmware of boards/firmware/pico-smidgen: one UF2 file with both.

    boards/add_romfs.py firmware.uf2 firmware-romfs.uf2 kws.smg models/

A folder is added with all that is in it, under its own name. Needs nothing but this checkout.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "host"))

from smidgen.romfs import build_romfs

# Where boards/firmware/pico-smidgen/mpconfigboard.h puts the partition.
ROMFS_ADDRESS = 0x10080000
ROMFS_BYTES = 512 * 1024

RP2040_FAMILY = 0xE48BFF56
PAGE_BYTES = 256  # payload of one UF2 block; its layout is 32 bytes, 476 for payload, 4
_HEADER = struct.Struct("<8I")
_MAGIC_START = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FAMILY_PRESENT = 0x2000


def read_uf2(data: bytes) -> dict[int, bytes]:
    """Pages by their address. ValueError if `data` is not a UF2 file of 256-byte pages."""
    pages = {}
    for start in range(0, len(data), 512):
        block = data[start : start + 512]
        if len(block) != 512 or _HEADER.unpack_from(block)[:2] != _MAGIC_START:
            raise ValueError(f"not a UF2 file: no block at {start}")
        _, _, _, address, size, _, _, _ = _HEADER.unpack_from(block)
        if size != PAGE_BYTES:
            raise ValueError(f"the block at {start} holds {size} bytes, expected {PAGE_BYTES}")
        pages[address] = block[_HEADER.size : _HEADER.size + size]
    return pages


def write_uf2(pages: dict[int, bytes]) -> bytes:
    blocks = []
    for number, (address, page) in enumerate(sorted(pages.items())):
        header = _HEADER.pack(*_MAGIC_START, _FAMILY_PRESENT, address, PAGE_BYTES, number, len(pages), RP2040_FAMILY)
        blocks.append(header + page.ljust(476, b"\0") + _MAGIC_END.to_bytes(4, "little"))
    return b"".join(blocks)


def add_romfs(firmware: bytes, romfs: bytes) -> bytes:
    """The UF2 file `firmware` with the image `romfs` in its partition. ValueError if one of them does not fit."""
    pages = read_uf2(firmware)
    end = max(pages) + PAGE_BYTES
    if end > ROMFS_ADDRESS:
        raise ValueError(f"the firmware ends at {end:#x}, behind the start of the ROMFS at {ROMFS_ADDRESS:#x}")
    if len(romfs) > ROMFS_BYTES:
        raise ValueError(f"the ROMFS has {len(romfs):,} bytes, its partition {ROMFS_BYTES:,}: leave files out")
    for offset in range(0, len(romfs), PAGE_BYTES):
        pages[ROMFS_ADDRESS + offset] = romfs[offset : offset + PAGE_BYTES].ljust(PAGE_BYTES, b"\xff")
    return write_uf2(pages)


def collect(paths: list[Path]) -> dict[str, bytes]:
    """Files by their names in the ROMFS."""
    files = {}
    for path in paths:
        found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in found:
            files[file.relative_to(path.parent).as_posix()] = file.read_bytes()
    return files


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    firmware, output, *paths = map(Path, sys.argv[1:])
    try:
        romfs = build_romfs(collect(paths))
        output.write_bytes(add_romfs(firmware.read_bytes(), romfs))
    except (OSError, ValueError) as error:
        sys.exit(f"add_romfs: {error}")
    print(f"add_romfs: {output}, {len(romfs):,} bytes of ROMFS", file=sys.stderr)


if __name__ == "__main__":
    main()
