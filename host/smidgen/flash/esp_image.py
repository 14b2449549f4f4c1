"""Firmware files for Espressif chips: boot loader, partition table and application in one file."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smidgen.boards import BoardDescription, load_boards
from smidgen.errors import InputError
from smidgen.flash.esptool_package import esptool_messages, require_esptool

IMAGE_MAGIC = 0xE9
HEADER_BYTES = 24
PARTITION_TABLE_OFFSET = 0x8000  # in flash; ESP-IDF's default, which MicroPython keeps
SECTOR_BYTES = 4096

_PARTITION = struct.Struct("<2sBBII16sI")
_PARTITION_MAGIC, _PARTITION_MD5_MAGIC = b"\xaa\x50", b"\xeb\xeb"
_MAX_PARTITIONS = 95
_APPLICATION = 0  # type of a partition


@dataclass(frozen=True)
class Partition:
    """Offsets and sizes in bytes of flash."""

    name: str
    kind: int
    offset: int
    size: int


@dataclass(frozen=True)
class EspImage:
    """`data` is written at `offset`. The partitions and the boot loader's header together need `flash_bytes`."""

    data: bytes
    offset: int
    partitions: tuple[Partition, ...]
    flash_bytes: int

    @property
    def end(self) -> int:
        """One past the last byte that is written, and with it erased: whole sectors."""
        return -(-(self.offset + len(self.data)) // SECTOR_BYTES) * SECTOR_BYTES


def read_esp_image(data: bytes, name: str, board: BoardDescription) -> EspImage:
    """Firmware for `board` from the bytes of a file called `name`. InputError if it is for another chip, damaged, or
    not the whole of a firmware.

    A file that begins with the boot loader goes to the boot loader's offset. A merged one, with the blank space
    before the boot loader in it, goes to 0.
    """
    require_esptool()
    start = board.flashing.offset
    if start is None or board.flashing.esptool_chip is None:
        raise ValueError(f"{board.name} is not flashed with esptool")
    is_merged = start > 0 and data[:start] == b"\xff" * start
    offset = 0 if is_merged else start
    _check_image(data[start - offset :], f"the boot loader in {name}" if is_merged else name, board)
    partitions = tuple(_partitions(data, PARTITION_TABLE_OFFSET - offset, name, board))
    _check_application(data, offset, partitions, name, board)
    needed = max(offset + len(data), *(partition.offset + partition.size for partition in partitions))
    return EspImage(data, offset, partitions, needed)


def _check_image(data: bytes, what: str, board: BoardDescription) -> None:
    """That an image for the board's chip begins here and is intact: checksum and, where it has one, hash."""
    if len(data) < HEADER_BYTES or data[0] != IMAGE_MAGIC:
        raise InputError(
            f"{what} is not firmware for {board.name}: it begins with {data[:4].hex(' ') or 'nothing'}, and an image "
            f"for {board.chip} with {IMAGE_MAGIC:02x}; take the .bin file for {board.micropython_board}"
        )
    (chip_id,) = struct.unpack_from("<H", data, 12)
    if chip_id != _rom(board).IMAGE_CHIP_ID:
        raise InputError(
            f"{what} is for {_chip_name(chip_id)}, and {board.name} has {board.chip}: take the .bin file for "
            f"{board.micropython_board}"
        )
    reason = _damage(data, board)
    if reason:
        raise InputError(f"{what} is damaged or cut off ({reason}); download it again")


def _damage(data: bytes, board: BoardDescription) -> str | None:
    from esptool.bin_image import LoadFirmwareImage

    try:
        with esptool_messages():
            image = LoadFirmwareImage(board.flashing.esptool_chip, data)
    except (RuntimeError, struct.error, IndexError, TypeError, ValueError) as error:  # esptool's own are RuntimeErrors
        return " ".join(str(argument) for argument in error.args) or type(error).__name__
    if image.checksum != image.calculate_checksum():
        return f"its checksum is 0x{image.checksum:02x}, and should be 0x{image.calculate_checksum():02x}"
    if image.append_digest and image.stored_digest != image.calc_digest:
        return f"its SHA-256 is {image.calc_digest.hex()[:16]}…, and should be {image.stored_digest.hex()[:16]}…"
    return None


def _partitions(data: bytes, start: int, name: str, board: BoardDescription) -> Iterator[Partition]:
    if data[start : start + 2] != _PARTITION_MAGIC:
        raise InputError(
            f"{name} is an application without a boot loader and partition table (a file for updates over the air): "
            f"take the whole firmware, the .bin file for {board.micropython_board} without 'app' in its name"
        )
    position = start
    for _ in range(_MAX_PARTITIONS):
        entry = data[position : position + _PARTITION.size]
        if entry[:2] == _PARTITION_MD5_MAGIC:
            if entry[16:32] != hashlib.md5(data[start:position]).digest():
                raise InputError(f"the partition table in {name} is damaged: its MD5 is wrong; download it again")
            return
        if entry == b"\xff" * _PARTITION.size:
            return
        if len(entry) < _PARTITION.size or entry[:2] != _PARTITION_MAGIC:
            raise InputError(f"the partition table in {name} is damaged; download it again")
        _, kind, _, offset, size, label, _ = _PARTITION.unpack(entry)
        yield Partition(label.rstrip(b"\0").decode(errors="replace"), kind, offset, size)
        position += _PARTITION.size


def _check_application(
    data: bytes, offset: int, partitions: tuple[Partition, ...], name: str, board: BoardDescription
) -> None:
    application = next((partition for partition in partitions if partition.kind == _APPLICATION), None)
    if application is None:
        raise InputError(f"the partition table in {name} has no application; download it again")
    start = application.offset - offset
    if not 0 <= start < len(data):
        raise InputError(
            f"{name} is cut off: it has {len(data):,} bytes, and its application begins at byte {start:,}; "
            "download it again"
        )
    _check_image(data[start:], f"the application in {name}", board)


def _rom(board: BoardDescription) -> Any:
    """esptool's class for the boot ROM of the board's chip. InputError if this esptool knows no such chip."""
    from esptool.targets import CHIP_DEFS

    rom = CHIP_DEFS.get(board.flashing.esptool_chip)
    if rom is None:
        raise InputError(f"the installed esptool knows no {board.flashing.esptool_chip}: pip install -U esptool")
    return rom


def chip_name(board: BoardDescription) -> str:
    """What esptool calls the chip: 'ESP32-C3'."""
    return str(_rom(board).CHIP_NAME)


def _chip_name(chip_id: int) -> str:
    from esptool.targets import ROM_LIST

    for rom in ROM_LIST:
        if getattr(rom, "IMAGE_CHIP_ID", None) == chip_id:
            boards = [board.name for board in load_boards() if board.flashing.esptool_chip == _key(rom.CHIP_NAME)]
            return f"{rom.CHIP_NAME}{' (' + ', '.join(boards) + ')' if boards else ''}"
    return f"an unknown chip (id {chip_id})"


def _key(chip: str) -> str:
    return chip.lower().replace("-", "")
