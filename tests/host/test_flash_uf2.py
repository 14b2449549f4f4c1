"""UF2 files, and the drive they are copied to."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from flash_files import ABSOLUTE, RP2040, RP2350, payload, uf2, uf2_block
from flash_rig import UsbBootRom
from hypothesis import given
from hypothesis import strategies as st

from smidgen.boards import find_board
from smidgen.errors import InputError
from smidgen.flash import FlashError, FlashState
from smidgen.flash.uf2 import erasing, read_uf2
from smidgen.flash.volume import VOLUMES_VARIABLE, find_volumes, mount_points, named_volume
from smidgen.flash.volume_copy import copy_image

PICO, PICO2 = find_board("pico"), find_board("pico2")
PAGES = 40
IMAGE = uf2(payload(PAGES))


def refusal(data: bytes, board: object = PICO) -> str:
    with pytest.raises(InputError) as caught:
        read_uf2(data, "x.uf2", board)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_right_file() -> None:
    image = read_uf2(IMAGE, "x.uf2", PICO)
    assert image.payload == payload(PAGES)
    assert image.ranges == ((0x10000000, 0x10000000 + 256 * PAGES),)
    assert image.complete_at == len(IMAGE)


def test_wrong_family_names_the_boards_it_is_for() -> None:
    message = refusal(uf2(payload(3), RP2350))
    assert "not firmware for pico" in message
    assert "RP2350" in message
    assert "pico2, pico2_w" in message
    assert "RPI_PICO" in message
    assert "unknown chip (family 0x12345678)" in refusal(uf2(payload(3), 0x12345678))


def test_short_file_says_both_numbers() -> None:
    assert "says that it has 40 blocks, and has 39" in refusal(IMAGE[:-512])
    message = refusal(IMAGE[:-100])
    assert f"{len(IMAGE) - 100:,} bytes" in message
    assert "only 412" in message


def test_order_and_numbers() -> None:
    swapped = IMAGE[512:1024] + IMAGE[:512] + IMAGE[1024:]
    assert "where block 0 of 40 belongs, there is block 1 of 40" in refusal(swapped)
    doubled = IMAGE[:512] * 2 + IMAGE[1024:]
    assert "where block 1 of 40 belongs, there is block 0 of 40" in refusal(doubled)


def test_addresses() -> None:
    page = bytes(256)
    flash_end = 0x10200000
    read_uf2(uf2(page, start=flash_end - 256), "x.uf2", PICO)
    for address in (flash_end, 0x20000000, 0x0FFFFF00, 0x10000010, 0xFFFFFF00):
        message = refusal(uf2(page, start=address))
        assert f"0x{address:08x}" in message
        assert "0x10000000 to 0x101fffff" in message
    assert "as a block before it does" in refusal(uf2_block(0x10000000, page, 0, 2) + uf2_block(0x10000000, page, 1, 2))


def test_gaps_that_the_rp2040_would_not_erase() -> None:
    page = bytes(256)
    blocks = [(0x10000000, 0), (0x10001000, 1)]
    gap = b"".join(uf2_block(address, page, number, 2) for address, number in blocks)
    assert "in another sector than block 0" in refusal(gap)
    other = b"".join(uf2_block(address, page, number, 2, RP2350) for address, number in blocks)
    assert read_uf2(other, "x.uf2", PICO2).ranges == ((0x10000000, 0x10000100), (0x10001000, 0x10001100))


def test_blocks_that_are_not_firmware() -> None:
    page = bytes(256)
    assert "not a UF2 file: it begins with 7f 45 4c 46" in refusal(b"\x7fELF")
    assert "begins with nothing" in refusal(b"")
    assert "flags are 0x00002001" in refusal(uf2_block(0x10000000, page, 0, 1, flags=0x2001))
    assert "flags are 0x00000000" in refusal(uf2_block(0x10000000, page, 0, 1, flags=0))
    assert "carries 128 bytes" in refusal(uf2_block(0x10000000, bytes(128), 0, 1))
    assert "block 1 is damaged" in refusal(IMAGE[:512] + bytes(512) + IMAGE[1024:])
    assert "block 0 is damaged" in refusal(IMAGE[:508] + bytes(4) + IMAGE[512:])


def test_other_families_beside_the_board_s() -> None:
    """An RP2350 file with the block for erratum E10 in front, and a file for both chips."""
    e10 = uf2_block(0x10FFFF00, b"\xef" * 256, 0, 2, ABSOLUTE)
    own = uf2(payload(3), RP2350)
    image = read_uf2(e10 + own, "x.uf2", PICO2)
    assert image.payload == payload(3)
    assert image.complete_at == 512 * 4
    assert erasing(image, 1 << 20).data.startswith(e10)
    both = read_uf2(IMAGE + own, "x.uf2", PICO)
    assert both.complete_at == len(IMAGE) < len(both.data)


def test_erasing_fills_the_flash() -> None:
    image = erasing(read_uf2(IMAGE, "x.uf2", PICO), 2 << 20)
    assert image.payload == payload(PAGES) + b"\xff" * ((2 << 20) - 256 * PAGES)
    again = read_uf2(image.data, "x.uf2", PICO)
    assert again.ranges == ((0x10000000, 0x10200000),)
    assert again.blocks == image.blocks


@given(st.integers(0, len(IMAGE) - 1), st.integers(0, 255), st.integers(0, 600))
def test_damage_is_refused_or_harmless(position: int, value: int, cut: int) -> None:
    data = bytearray(IMAGE)
    data[position] = value
    try:
        image = read_uf2(bytes(data[: len(data) - cut]), "x.uf2", PICO)
    except InputError:
        return
    assert cut == 0
    assert len(image.blocks) == PAGES


# The drive


def test_volumes_are_known_by_their_info_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    UsbBootRom(tmp_path / "a")
    UsbBootRom(tmp_path / "b", "RP2350")
    UsbBootRom(tmp_path / "c", "SAMD21G18A-Feather-v0")
    (tmp_path / "RPI-RP2").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "INFO_UF2.TXT").write_bytes(b"\xff\x00 no such line" * 1000)
    monkeypatch.setenv(VOLUMES_VARIABLE, str(tmp_path))
    assert [(volume.path.name, volume.chip) for volume in find_volumes()] == [
        ("a", "RP2040"), ("b", "RP2350"), ("c", None)
    ]  # fmt: skip
    with pytest.raises(InputError, match=re.escape("is not the drive of a UF2 boot loader")):
        named_volume(tmp_path / "RPI-RP2")
    monkeypatch.setenv(VOLUMES_VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(InputError, match="is not a folder"):
        find_volumes()


def test_mount_points() -> None:
    mounts = (
        "proc /proc proc rw 0 0\n"
        "/dev/sdb1 /media/eva/My\\040Pico\\134x vfat rw 0 0\n"
        "server:/x /net/x nfs rw 0 0\n"
        "odd\n"
        "/dev/sdc1 /media/ä vfat rw 0 0\n"
    )
    assert list(mount_points(mounts)) == [Path("/media/eva/My Pico\\x"), Path("/media/ä")]


@pytest.fixture
def rom(tmp_path: Path) -> UsbBootRom:
    return UsbBootRom(tmp_path / "RPI-RP2")


def test_copy_without_metadata(rom: UsbBootRom) -> None:
    """The drive gets one file, and goes when the last block has arrived: success."""
    names: set[str] = set()

    def look(*_: object) -> None:
        if rom.folder.exists():
            names.update(path.name for path in rom.folder.iterdir())
        rom.look()

    copy_image(read_uf2(IMAGE, "x.uf2", PICO), rom.volume, look, chunk_bytes=4096)
    assert names == {"INFO_UF2.TXT", "FIRMWARE.UF2"}
    assert b"".join(rom.flash[address] for address in sorted(rom.flash)) == payload(PAGES)


def test_vanishing_once_all_blocks_of_the_chip_are_there(rom: UsbBootRom) -> None:
    image = read_uf2(IMAGE + uf2(payload(100), RP2350), "x.uf2", PICO)
    copy_image(image, rom.volume, lambda *_: None, chunk_bytes=4096)
    rom.look()
    assert len(rom.flash) == PAGES


def test_vanishing_early(rom: UsbBootRom) -> None:
    def pull(_: str, done: int, total: int) -> None:
        if done >= total // 2:
            rom.vanish()

    with pytest.raises(FlashError) as caught:
        copy_image(read_uf2(IMAGE, "x.uf2", PICO), rom.volume, pull, chunk_bytes=4096)
    assert caught.value.state is FlashState.HALF_WRITTEN
    assert "vanished after 12,288 of 20,480 bytes" in str(caught.value)
    assert "boot loader, which is in ROM, survives: run the same command again" in str(caught.value)
    assert "BOOTSEL" in str(caught.value)


def test_interrupted(rom: UsbBootRom, caplog: pytest.LogCaptureFixture) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_image(read_uf2(IMAGE, "x.uf2", PICO), rom.volume, interrupt, chunk_bytes=4096)
    assert "half written" in caplog.text
    assert "run the same command again" in caplog.text


def test_no_room(rom: UsbBootRom, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 1, 99))
    with pytest.raises(FlashError, match="has 99 bytes free, and the file has 20,480") as caught:
        copy_image(read_uf2(IMAGE, "x.uf2", PICO), rom.volume, rom.look)
    assert caught.value.state is FlashState.UNTOUCHED
    assert sorted(path.name for path in rom.folder.iterdir()) == ["INFO_UF2.TXT"]


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "is full after 8,192"), (errno.EIO, "did not take the")])
def test_the_drive_refuses(rom: UsbBootRom, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    write, written = os.write, 0

    def failing(descriptor: int, data: bytes) -> int:
        nonlocal written
        if written >= 8192:
            raise OSError(number, os.strerror(number))
        count = write(descriptor, data[:1000])  # short writes are no error
        written += count
        return count

    monkeypatch.setattr("smidgen.flash.volume_copy.os.write", failing)
    with pytest.raises(FlashError, match=words) as caught:
        copy_image(read_uf2(IMAGE, "x.uf2", PICO), rom.volume, rom.look, chunk_bytes=8192)
    assert caught.value.state is FlashState.HALF_WRITTEN


def test_an_error_with_the_last_block_may_be_success(rom: UsbBootRom, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has the drive in its memory, and reports the restart of the board as an error of the drive."""

    def failing(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("smidgen.flash.volume_copy.os.fsync", failing)
    image = read_uf2(IMAGE, "x.uf2", PICO)
    copy_image(image, rom.volume, rom.look, chunk_bytes=len(IMAGE))
    with pytest.raises(FlashError, match="did not take the file"):
        copy_image(image, UsbBootRom(rom.folder.with_name("again")).volume, rom.look, chunk_bytes=4096)


def test_a_volume_that_cannot_be_written_to(rom: UsbBootRom) -> None:
    (rom.folder / "FIRMWARE.UF2").mkdir()
    with pytest.raises(FlashError, match="cannot be written to") as caught:
        copy_image(read_uf2(IMAGE, "x.uf2", PICO), rom.volume, rom.look)
    assert caught.value.state is FlashState.UNTOUCHED
    assert PICO.flashing.uf2_family == RP2040
