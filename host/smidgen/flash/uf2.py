"""UF2 files: blocks of 512 bytes, each with its place in flash (specification: Microsoft, "USB Flashing Format (UF2)").

A file is checked completely before any of it is copied, because a boot ROM says nothing about a file it does not
like: it ignores blocks, and waits for ever for the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from smidgen.boards import BoardDescription, load_boards
from smidgen.errors import InputError

BLOCK_BYTES = 512
PAGE_BYTES = 256  # payload of a block: what boot ROMs of the RP2 family write at once, and take no other
SECTOR_BYTES = 4096  # what they erase at once
FLASH_START = 0x1000_0000  # address of the flash, the same on RP2040 and RP2350

_HEADER = struct.Struct("<8I")
_START_MAGICS = (0x0A32_4655, 0x9E5D_5157)
_END_MAGIC = 0x0AB1_6F30
_NOT_FOR_FLASH = 0x0000_0001
_FILE_CONTAINER = 0x0000_1000
_HAS_FAMILY = 0x0000_2000

RP2040_FAMILY = 0xE48B_FF56
_ABSOLUTE_FAMILY = 0xE48B_FF57  # picotool puts one such block before firmware for the RP2350 (its erratum E10)
_FAMILIES = {
    0x1C5F_21B0: "the ESP32",
    0xBFDD_4EEE: "the ESP32-S2",
    0xC47E_5767: "the ESP32-S3",
    0xD42B_A06C: "the ESP32-C3",
    RP2040_FAMILY: "the RP2040",
    0xE48B_FF59: "the RP2350 (Arm)",
    0xE48B_FF5A: "the RP2350 (RISC-V)",
}


@dataclass(frozen=True)
class Block:
    """`number` of `count` blocks of its family; `end` is the offset in the file where it ends."""

    family: int
    number: int
    count: int
    address: int
    payload: bytes
    end: int


@dataclass(frozen=True)
class Uf2Image:
    """`data` is the whole file. `complete_at`: after so many bytes of it the boot ROM has everything, and restarts."""

    data: bytes
    blocks: tuple[Block, ...]  # those of the board's family
    complete_at: int

    @property
    def payload(self) -> bytes:
        """What `ranges` hold, one after the other."""
        return b"".join(block.payload for block in sorted(self.blocks, key=lambda block: block.address))

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Addresses that are written, as (first, one past the last), ascending and apart."""
        merged: list[tuple[int, int]] = []
        for address in sorted(block.address for block in self.blocks):
            if merged and merged[-1][1] == address:
                merged[-1] = (merged[-1][0], address + PAGE_BYTES)
            else:
                merged.append((address, address + PAGE_BYTES))
        return tuple(merged)


def read_uf2(data: bytes, name: str, board: BoardDescription) -> Uf2Image:
    """Firmware for `board` from the bytes of a file called `name`. InputError for whatever its boot ROM would not take.

    Blocks of other families are allowed beside those of the board, as its boot ROM ignores them.
    """
    family, flash = board.flashing.uf2_family, board.flash
    if family is None or flash is None:
        raise ValueError(f"{board.name} is not flashed with UF2 files")
    blocks = list(_blocks(data, name))
    own = tuple(block for block in blocks if block.family == family)
    if not own:
        found = sorted({block.family for block in blocks if block.family != _ABSOLUTE_FAMILY})
        raise InputError(
            f"{name} is not firmware for {board.name}, but for {' and '.join(map(_family_name, found)) or 'no board'}: "
            f"take the .uf2 file for {board.micropython_board}"
        )
    _check_numbers(own, name)
    _check_addresses(own, name, board, flash.bytes)
    return Uf2Image(data, own, own[-1].end)


def erasing(image: Uf2Image, flash_bytes: int) -> Uf2Image:
    """The same firmware, with blank blocks for all the rest of a flash of this size."""
    family = image.blocks[0].family
    pages = {block.address: block.payload for block in image.blocks}
    count = flash_bytes // PAGE_BYTES
    lead = image.data[: image.blocks[0].end - BLOCK_BYTES]  # blocks of other families
    blocks = []
    for number in range(count):
        address = FLASH_START + number * PAGE_BYTES
        payload = pages.get(address, b"\xff" * PAGE_BYTES)
        blocks.append(Block(family, number, count, address, payload, len(lead) + (number + 1) * BLOCK_BYTES))
    data = lead + b"".join(map(encode, blocks))
    return Uf2Image(data, tuple(blocks), len(data))


def encode(block: Block) -> bytes:
    """The 512 bytes of a block."""
    header = _HEADER.pack(
        *_START_MAGICS, _HAS_FAMILY, block.address, len(block.payload), block.number, block.count, block.family
    )
    return (header + block.payload).ljust(BLOCK_BYTES - 4, b"\0") + struct.pack("<I", _END_MAGIC)


def _blocks(data: bytes, name: str) -> Iterator[Block]:
    if not data.startswith(struct.pack("<2I", *_START_MAGICS)):
        raise InputError(f"{name} is not a UF2 file: it begins with {data[:8].hex(' ') or 'nothing'}")
    if len(data) % BLOCK_BYTES:
        raise InputError(
            f"{name} is cut off: it has {len(data):,} bytes, and the last of its {BLOCK_BYTES}-byte blocks has only "
            f"{len(data) % BLOCK_BYTES}; download it again"
        )
    for start in range(0, len(data), BLOCK_BYTES):
        where = f"{name}, block {start // BLOCK_BYTES}"
        magic0, magic1, flags, address, size, number, count, family = _HEADER.unpack_from(data, start)
        (end_magic,) = struct.unpack_from("<I", data, start + BLOCK_BYTES - 4)
        if (magic0, magic1) != _START_MAGICS or end_magic != _END_MAGIC:
            raise InputError(f"{where} is damaged: it lacks the marks of a UF2 block; download the file again")
        if flags & (_NOT_FOR_FLASH | _FILE_CONTAINER) or not flags & _HAS_FAMILY:
            raise InputError(f"{where} is not firmware: its flags are 0x{flags:08x}")
        if size != PAGE_BYTES:
            raise InputError(f"{where} carries {size:,} bytes, and the boot ROM takes blocks of {PAGE_BYTES} only")
        payload = data[start + _HEADER.size : start + _HEADER.size + PAGE_BYTES]
        yield Block(family, number, count, address, payload, start + BLOCK_BYTES)


def _check_numbers(blocks: tuple[Block, ...], name: str) -> None:
    count = blocks[0].count
    if len(blocks) != count:
        raise InputError(
            f"{name} is incomplete: it says that it has {count:,} blocks, and has {len(blocks):,}; download it again"
        )
    for expected, block in enumerate(blocks):
        if (block.number, block.count) != (expected, count):
            raise InputError(
                f"{name} is damaged: where block {expected:,} of {count:,} belongs, there is block {block.number:,} of "
                f"{block.count:,}; download it again"
            )


def _check_addresses(blocks: tuple[Block, ...], name: str, board: BoardDescription, flash_bytes: int) -> None:
    end = FLASH_START + flash_bytes
    seen: set[int] = set()
    for block in blocks:
        where = f"{name}, block {block.number:,}"
        if block.address % PAGE_BYTES or not FLASH_START <= block.address <= end - PAGE_BYTES:
            raise InputError(
                f"{where} goes to address 0x{block.address:08x}, and the flash of {board.name} is "
                f"0x{FLASH_START:08x} to 0x{end - 1:08x}, in steps of {PAGE_BYTES}: this file is for another board"
            )
        if block.address in seen:
            raise InputError(f"{where} goes to address 0x{block.address:08x}, as a block before it does")
        seen.add(block.address)
        # The boot ROM of the RP2040 erases by block numbers, not addresses.
        first = blocks[block.number - block.number % (SECTOR_BYTES // PAGE_BYTES)]
        if block.family == RP2040_FAMILY and block.address // SECTOR_BYTES != first.address // SECTOR_BYTES:
            raise InputError(
                f"{where} goes to address 0x{block.address:08x}, in another sector than block {first.number:,}: the "
                "RP2040 would not erase it before it writes; make the file without gaps"
            )


def _family_name(family: int) -> str:
    boards = [board.name for board in load_boards() if board.flashing.uf2_family == family]
    chip = _FAMILIES.get(family, "an unknown chip")
    return f"{chip} (family 0x{family:08x}{'; ' if boards else ''}{', '.join(boards)})"
