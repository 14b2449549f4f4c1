"""Flashing Espressif chips: the checks of images, and a mock of the boot ROM on a PTY."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from flash_files import PARTITIONS, esp_firmware, esp_image
from flash_rig import FakeSession, Rig
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("esptool", reason="esptool is not installed")
pytest.importorskip("esp32_mock_bootloader", reason="esp32-mock-bootloader is not installed")

from esp32_mock_bootloader import protocol
from esp32_mock_bootloader.server import FlashImage
from esp_boot_rom import EspBootRom
from esptool import cmds

from smidgen.boards import BoardDescription, find_board
from smidgen.errors import BoardError, InputError
from smidgen.flash import FlashError, FlashState, UsbPort, esp_flash, esptool_package, execute, plan_flash
from smidgen.flash.esp_image import read_esp_image

C3, ESP32 = find_board("esp32c3"), find_board("esp32")
CHIPS = ["esp32", "esp32s2", "esp32s3", "esp32c3", "esp32c6"]
IMAGE = esp_firmware("esp32c3", 0)
MB = 1 << 20


def refusal(data: bytes, board: BoardDescription = C3) -> str:
    with pytest.raises(InputError) as caught:
        read_esp_image(data, "x.bin", board)
    return str(caught.value)


# Images


@pytest.mark.parametrize("name", CHIPS)
def test_right_images(name: str) -> None:
    board = find_board(name)
    offset = board.flashing.offset
    assert offset is not None
    image = read_esp_image(esp_firmware(name, offset), "x.bin", board)
    assert image.offset == offset
    assert image.flash_bytes == 4 * MB
    assert [partition.name for partition in image.partitions] == ["nvs", "phy_init", "factory", "vfs"]
    assert image.end % 4096 == 0
    assert 0 <= image.end - image.offset - len(image.data) < 4096


def test_a_merged_image_goes_to_zero() -> None:
    data = b"\xff" * 0x1000 + esp_firmware("esp32", 0x1000)
    image = read_esp_image(data, "x.bin", ESP32)
    assert (image.offset, image.data) == (0, data)


def test_wrong_chip_says_which_boards_it_is_for() -> None:
    message = refusal(esp_firmware("esp32s3", 0))
    assert "x.bin is for ESP32-S3 (esp32s3), and esp32c3 has ESP32-C3" in message
    assert "ESP32_GENERIC_C3" in message
    assert "for an unknown chip (id 4660)" in refusal(IMAGE[:12] + b"\x34\x12" + IMAGE[14:])
    assert "the application in x.bin is for ESP32-S3" in refusal(esp_firmware("esp32c3", 0, application_chip="esp32s3"))


def test_not_an_image() -> None:
    assert "begins with 55 46 32 0a" in refusal(b"UF2\n" + bytes(100))
    assert "begins with nothing" in refusal(b"")
    assert "an image for ESP32-C3 with e9" in refusal(b"\xe9")


def test_an_application_alone() -> None:
    assert "a file for updates over the air" in refusal(esp_image("esp32c3", b"x" * 50_000))


def test_damage() -> None:
    for position in (0x100, 0x10000 + 0x100):
        data = bytearray(IMAGE)
        data[position] ^= 1
        assert "is damaged or cut off (its checksum is 0x" in refusal(bytes(data))
    data = bytearray(IMAGE)
    data[4] ^= 1  # of the entry point, which only the hash covers
    assert "its SHA-256 is" in refusal(bytes(data))
    data = bytearray(IMAGE)
    data[0x8000 + 33] ^= 1
    assert "the partition table in x.bin is damaged; " in refusal(bytes(data))
    data = bytearray(IMAGE)
    data[0x8000 + 36] ^= 1
    assert "its MD5 is wrong" in refusal(bytes(data))
    assert "the application in x.bin is damaged or cut off" in refusal(IMAGE[:-1000])
    assert "is cut off: it has 36,864 bytes, and its application begins at byte 65,536" in refusal(IMAGE[:0x9000])


def test_partition_tables() -> None:
    assert "has no application" in refusal(esp_firmware("esp32c3", 0, partitions=[PARTITIONS[0]]))
    large = (*PARTITIONS[:3], ("vfs", 1, 0x81, 0x200000, 0x600000))
    assert read_esp_image(esp_firmware("esp32c3", 0, partitions=large), "x.bin", C3).flash_bytes == 8 * MB


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_odd_bytes_are_refused_or_read(data: st.DataObject) -> None:
    """Never another exception, whatever the headers say."""
    image = bytearray(IMAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        region = data.draw(st.sampled_from([(0, 64), (0x8000, 0x8100), (0x10000, 0x10040)]))
        position = data.draw(st.integers(*region))
        image[position] = data.draw(st.integers(0, 255))
    length = data.draw(st.sampled_from([len(image), 0x10010, 0x8010, 24, 10]))
    try:
        read_esp_image(bytes(image[:length]), "x.bin", C3)
    except InputError:
        pass


# The chip


class Bench(Rig):
    """Whatever port is flashed, MicroPython answers there."""

    def __init__(self, firmware: Path) -> None:
        super().__init__()
        self.firmware = firmware
        self.session = FakeSession("1.25.0", "Generic ESP32C3 module with ESP32C3")

    def flash(self, rom: EspBootRom, board: str = "esp32c3", **options: bool) -> tuple[str, list[tuple[str, int, int]]]:
        """The last line, and the progress."""
        self.answers[rom.port] = self.session
        self.session.port = rom.port
        progress: list[tuple[str, int, int]] = []
        plan = plan_flash(board, self.firmware, rom.port, system=self.system, **options)
        result = execute(plan, lambda *step: progress.append(step), self.system)
        return result.sentence, progress


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    """esptool waits for a cable to come back; here it looks once. It must not print anything."""
    monkeypatch.setattr(cmds, "DEFAULT_CONNECT_ATTEMPTS", 1)
    monkeypatch.setattr(esp_flash, "CONNECT_ATTEMPTS", 1)
    firmware = tmp_path / "ESP32_GENERIC_C3-v1.25.0.bin"
    firmware.write_bytes(IMAGE)
    yield Bench(firmware)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", CHIPS)
def test_right_image(bench: Bench, name: str) -> None:
    board = find_board(name)
    assert board.flashing.offset is not None
    data = esp_firmware(name, board.flashing.offset)
    bench.firmware.write_bytes(data)
    with EspBootRom(name) as rom:
        sentence, progress = bench.flash(rom, name)
        assert sentence == f"{name} on {rom.port} runs MicroPython 1.25.0 (Generic ESP32C3 module with ESP32C3)"
        assert rom.flash.read(board.flashing.offset, len(data)) == data
    written = [(done, total) for what, done, total in progress if what == "writing"]
    assert written[-1][0] == written[-1][1]
    assert len(written) > 2


def test_the_same_again_is_not_written(bench: Bench) -> None:
    flash = FlashImage()
    with EspBootRom("esp32c3", flash) as rom:
        bench.flash(rom)
    with EspBootRom("esp32c3", flash) as rom:
        sentence, progress = bench.flash(rom)
    assert "was there already, so nothing was written" in sentence
    assert not [step for step in progress if step[0] == "writing"]


def test_erase(bench: Bench) -> None:
    for erase, left in ((False, b"files"), (True, b"\xff" * 5)):
        flash = FlashImage()
        flash.data[3 * MB : 3 * MB + 5] = b"files"
        with EspBootRom("esp32c3", flash) as rom:
            sentence, _ = bench.flash(rom, erase=erase)
        assert "nothing was written" not in sentence
        assert flash.read(3 * MB, 5) == left
        assert flash.read(0, len(IMAGE)) == IMAGE


def test_wrong_chip(bench: Bench) -> None:
    with EspBootRom("esp32s3") as rom, pytest.raises(FlashError) as caught:
        bench.flash(rom)
    assert "is ESP32-S3, and esp32c3 has ESP32-C3" in str(caught.value)
    assert caught.value.state is FlashState.UNTOUCHED
    assert set(rom.flash.data) == {0xFF}


def test_flash_too_small(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOCK_FLASH_ID", 0x00154020)
    with EspBootRom("esp32c3") as rom, pytest.raises(FlashError) as caught:
        bench.flash(rom)
    assert "has 2,097,152 bytes, and the firmware needs 4,194,304" in str(caught.value)
    assert caught.value.state is FlashState.UNTOUCHED
    assert set(rom.flash.data) == {0xFF}


def test_flash_of_unknown_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOCK_FLASH_ID", 0x00994020)
    with EspBootRom("esp32c3") as rom, pytest.raises(FlashError, match="does not say how large it is"):
        bench.flash(rom)


def test_too_new_for_this_revision_of_the_chip(bench: Bench) -> None:
    """esptool's own check, which comes after its connection and before anything is written."""
    bench.firmware.write_bytes(esp_firmware("esp32c3", 0, min_rev_full=900))
    with EspBootRom("esp32c3") as rom, pytest.raises(FlashError, match="requires chip revision v9") as caught:
        bench.flash(rom)
    assert caught.value.state is FlashState.UNTOUCHED


@pytest.fixture(scope="module")
def sent_in_all() -> list[int]:
    """Bytes that the computer sends in a run without trouble; empty until somebody has counted them."""
    return []


@pytest.mark.parametrize("tenth", range(10))
def test_the_link_is_cut_at_every_tenth(bench: Bench, sent_in_all: list[int], tenth: int) -> None:
    """Of all that the computer sends, from the first byte on; a second run succeeds."""
    if not sent_in_all:
        with EspBootRom("esp32c3") as rom:
            bench.flash(rom)
            sent_in_all.append(rom.received)
    flash = FlashImage()
    cut = EspBootRom("esp32c3", flash, cut_after=max(1, sent_in_all[0] * tenth // 10))
    with cut as rom, pytest.raises(FlashError) as caught:
        bench.flash(rom)
    state = caught.value.state
    assert ("survives: run the same command again" in str(caught.value)) == (state is FlashState.HALF_WRITTEN)
    assert ("Nothing was written" in str(caught.value)) == (state is FlashState.UNTOUCHED)
    if set(flash.data) != {0xFF}:
        assert state is FlashState.HALF_WRITTEN
    if tenth in (0, 9):  # between them, the helper program and the first block are on their way
        assert state is (FlashState.HALF_WRITTEN if tenth else FlashState.UNTOUCHED)
    with EspBootRom("esp32c3", flash) as rom:
        bench.flash(rom)
    assert flash.read(0, len(IMAGE)) == IMAGE


class BadFlash(FlashImage):
    """One bit of what is written does not stay."""

    def write_defl_block(self, payload: bytes) -> None:
        super().write_defl_block(payload)
        self.data[0x10100] |= 1
        self.data[0x10101] &= 0xFE


def test_verification_fails(bench: Bench) -> None:
    with EspBootRom("esp32c3", BadFlash()) as rom, pytest.raises(FlashError) as caught:
        bench.flash(rom)
    assert "MD5 of file does not match data in flash" in str(caught.value)
    assert caught.value.state is FlashState.HALF_WRITTEN


def test_nobody_answers(bench: Bench, tmp_path: Path) -> None:
    with EspBootRom("esp32c3") as rom:
        port = rom.port
    with pytest.raises(BoardError, match=f"there is no port {port}"):
        plan_flash("esp32c3", bench.firmware, port, system=bench.system)
    master, slave = os.openpty()
    try:
        port = os.ttyname(slave)
        plan = plan_flash("esp32c3", bench.firmware, port, system=bench.system)
        with pytest.raises(FlashError, match=f"no boot ROM answered on {port}.*hold the BOOT button") as caught:
            execute(plan, system=bench.system)
    finally:
        os.close(master)
        os.close(slave)
    assert caught.value.state is FlashState.UNTOUCHED


def test_another_program_has_the_port(bench: Bench) -> None:
    said = pytest.raises(FlashError, match=r"cannot be opened.*Another program has it open")
    with EspBootRom("esp32c3") as rom, serial.Serial(rom.port, exclusive=True), said as caught:
        bench.flash(rom)
    assert caught.value.state is FlashState.UNTOUCHED


def test_no_permission(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "Permission denied")

    monkeypatch.setattr(serial.Serial, "open", refuse)
    with EspBootRom("esp32c3") as rom, pytest.raises(FlashError, match="You may not use it: on Linux"):
        bench.flash(rom)


def test_interrupted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The state is said, and a second run succeeds."""
    flash = FlashImage()
    with EspBootRom("esp32c3", flash) as rom:
        plan = plan_flash("esp32c3", bench.firmware, rom.port, system=bench.system)

        def interrupt(what: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            execute(plan, interrupt, bench.system)
    assert "half written" in caplog.text
    with EspBootRom("esp32c3", flash) as rom:
        bench.flash(rom)
    assert flash.read(0, len(IMAGE)) == IMAGE


def test_ports(bench: Bench) -> None:
    bridge = UsbPort("/dev/ttyUSB0", 0x10C4, 0xEA60, "0001", "CP2102")
    bench.ports = [UsbPort("/dev/ttyACM0", 0x2E8A, 5, "p", "a Pico"), bridge]
    plan = plan_flash("esp32", write(bench, "esp32", 0x1000), system=bench.system, erase=True, baud=115200)
    assert plan.target.port == "/dev/ttyUSB0"
    assert plan.command == (
        f"esptool --chip esp32 --port /dev/ttyUSB0 --baud 115200 write-flash --erase-all 0x1000 {bench.firmware}"
    )
    assert plan.erased == ()
    bench.ports.append(UsbPort("/dev/ttyUSB1", 0x1A86, 0x7523, None, "CH340"))
    with pytest.raises(Exception, match=r"2 boards that may be esp32; say which: --port /dev/ttyUSB0 .*/dev/ttyUSB1"):
        plan_flash("esp32", bench.firmware, system=bench.system)
    with pytest.raises(InputError, match="has no drive"):
        plan_flash("esp32", bench.firmware, system=bench.system, volume="/media/x")
    bench.ports = []
    with pytest.raises(Exception, match="no serial port found that may be esp32"):
        plan_flash("esp32", bench.firmware, system=bench.system)


def write(bench: Bench, chip: str, offset: int) -> Path:
    bench.firmware.write_bytes(esp_firmware(chip, offset))
    return bench.firmware


def test_the_command_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "smidgen.flash"), EspBootRom("esp32c3") as rom:
        bench.flash(rom)
    assert f"esptool --chip esp32c3 --port {rom.port} --baud 460800 write-flash 0x0 {bench.firmware}" in caplog.text


def test_esptool_is_not_installed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esptool_package.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"takes esptool.*pip install 'smidgen\[flash\]'"):
        plan_flash("esp32c3", bench.firmware, system=bench.system)
