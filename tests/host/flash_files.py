"""Small firmware files for tests, right in every field that is checked."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

RP2040, RP2350, ABSOLUTE = 0xE48BFF56, 0xE48BFF59, 0xE48BFF57
FLASH_START = 0x10000000
BANNER = b"MicroPython v1.25.0 on 2025-04-15; a board for tests\0"


def payload(pages: int) -> bytes:
    """Bytes that do not repeat, with MicroPython's banner among them, across the border of two pages."""
    data = b"".join(hashlib.sha256(part.to_bytes(4, "little")).digest() for part in range(8 * pages))
    return data[:240] + BANNER + data[240 + len(BANNER) :]


def uf2_block(address: int, data: bytes, number: int, count: int, family: int = RP2040, flags: int = 0x2000) -> bytes:
    header = struct.pack("<8I", 0x0A324655, 0x9E5D5157, flags, address, len(data), number, count, family)
    return header + data.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def uf2(data: bytes, family: int = RP2040, start: int = FLASH_START) -> bytes:
    """`data`, whole pages, from `start` on."""
    count = len(data) // 256
    return b"".join(
        uf2_block(start + 256 * number, data[256 * number : 256 * (number + 1)], number, count, family)
        for number in range(count)
    )


def esp_image(chip: str, data: bytes, **header: int) -> bytes:
    """An image for `chip` that carries `data`, with checksum and SHA-256. header: fields of esptool's image class."""
    from esptool.bin_image import ELFSection
    from esptool.targets import CHIP_DEFS

    from smidgen.flash.esptool_package import esptool_messages

    rom = CHIP_DEFS[chip]
    image = rom.BOOTLOADER_IMAGE()
    image.max_rev_full = 65535
    for name, value in header.items():
        setattr(image, name, value)
    with esptool_messages():
        image.segments.append(ELFSection(b"data", 0x3FFF0000, data.ljust(-(-len(data) // 4) * 4, b"\0"), flags=0))
        return bytes(image.save(None))


def partition_table(partitions: Sequence[tuple[str, int, int, int, int]]) -> bytes:
    """(label, type, subtype, offset, size) each, then the MD5 that ESP-IDF puts there."""
    rows = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, label.encode(), 0)
        for label, kind, subtype, offset, size in partitions
    )
    return rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows).digest()


PARTITIONS = (
    ("nvs", 1, 2, 0x9000, 0x6000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("factory", 0, 0, 0x10000, 0x1F0000),
    ("vfs", 1, 0x81, 0x200000, 0x200000),
)


def esp_firmware(
    chip: str,
    offset: int,
    *,
    application_chip: str | None = None,
    size: int = 200_000,
    partitions: Sequence[tuple[str, int, int, int, int]] = PARTITIONS,
    **header: int,
) -> bytes:
    """Boot loader, partition table and application as MicroPython's .bin files have them; the boot loader is first."""
    flash = bytearray()
    # Every other page, so that it compresses to about half: not all of a transfer is to be in one block.
    body = payload(size // 512)
    application = b"".join(body[start : start + 256] + bytes(256) for start in range(0, len(body), 256))
    for start, part in (
        (offset, esp_image(chip, b"boot" * 1000, **header)),
        (0x8000, partition_table(partitions)),
        (0x10000, esp_image(application_chip or chip, body[:512] + application)),
    ):
        flash += b"\xff" * (start - len(flash)) + part
    return bytes(flash[offset:])
