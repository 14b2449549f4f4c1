"""Flashing with sim:pico in the part of the board: real firmware leaves for the boot ROM, and what the boot ROM got
is booted.

The emulated boot ROM offers no drive; a folder that behaves like one takes its place.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from flash_files import uf2
from flash_rig import SERIAL_NUMBER, UsbBootRom

from availability import not_available
from smidgen.boards import find_board
from smidgen.errors import BoardError
from smidgen.flash import FlashPlan, System, UsbPort, execute, plan_flash
from smidgen.flash.uf2 import read_uf2
from smidgen.flash.volume import VOLUMES_VARIABLE, Volume, find_volumes
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualPicoBoard
from smidgen.link.virtual.firmware_file import find_firmware

MORE = b"a page more than the firmware that is there".ljust(256, b".") * 17


class Bench:
    """A Pico on USB; it goes to the boot ROM when machine.bootloader() was run on it."""

    def __init__(self, drives: Path, firmware: Path) -> None:
        self.drives = drives
        self.boards = [VirtualPicoBoard(firmware, files={})]
        self.boards[-1].start()
        self.is_in_boot_rom = False
        self.system = System(self.usb_ports, self.volumes, self.connect)

    def usb_ports(self) -> list[UsbPort]:
        if self.is_in_boot_rom:
            return []
        return [UsbPort(self.boards[-1].port, 0x2E8A, 0x0005, SERIAL_NUMBER, "Board in FS mode")]

    def volumes(self) -> list[Volume]:
        if self.is_in_boot_rom and not any(self.drives.iterdir()):
            rom = UsbBootRom(self.drives / "RPI-RP2")
            rom.on_restart = functools.partial(self.boot, rom)
            rom.watch()
        return find_volumes()

    def connect(self, port: str) -> Board:
        session = connect(port)
        run = session.exec

        def watched(code: str, timeout: float | None = None) -> str:
            try:
                return run(code, timeout)
            except BoardError:
                self.is_in_boot_rom = code.endswith(".bootloader()")
                raise

        session.exec = watched  # type: ignore[method-assign]
        return session

    def boot(self, rom: UsbBootRom) -> None:
        """What is in the flash of the boot ROM now."""
        file = self.drives.parent / "flashed.uf2"
        file.write_bytes(uf2(b"".join(rom.flash[address] for address in sorted(rom.flash))))
        board = VirtualPicoBoard(file, files={})
        board.start()
        self.boards.append(board)
        self.is_in_boot_rom = False

    def plan(self, firmware: Path) -> FlashPlan:
        return plan_flash("pico", firmware, system=self.system)


@pytest.fixture
def firmware() -> Path:
    try:
        return find_firmware("pico", "firmware.uf2")
    except BoardError as error:
        not_available(str(error))


@pytest.fixture
def bench(tmp_path: Path, firmware: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    pytest.importorskip("rp2040py", reason="the emulator rp2040py is not installed")
    drives = tmp_path / "media"
    drives.mkdir()
    monkeypatch.setenv(VOLUMES_VARIABLE, str(drives))
    bench = Bench(drives, firmware)
    yield bench
    for board in bench.boards:
        board.close()


@pytest.mark.slow
def test_flash_and_boot(bench: Bench, firmware: Path, tmp_path: Path) -> None:
    image = read_uf2(firmware.read_bytes(), "firmware.uf2", find_board("pico"))
    other = tmp_path / "RPI_PICO-v1.25.0.uf2"
    other.write_bytes(uf2(image.payload + MORE))
    result = execute(bench.plan(other), system=bench.system)
    assert result.written
    assert len(bench.boards) == 2
    assert result.port == bench.boards[1].port
    assert "Raspberry Pi Pico with RP2040" in result.sentence
    again = execute(bench.plan(other), system=bench.system)
    assert not again.written
    assert "was there already" in again.sentence
    assert len(bench.boards) == 2
