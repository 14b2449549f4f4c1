"""Flashing an RP2040 from the plan to the last line, with stand-ins for USB, MicroPython and the boot ROM."""

from __future__ import annotations

from pathlib import Path

import pytest
from flash_files import RP2350, payload, uf2
from flash_rig import SERIAL_NUMBER, FakeSession, Rig, UsbBootRom

from smidgen.errors import BoardError, InputError
from smidgen.flash import FlashError, FlashPlan, FlashResult, FlashState, execute, plan_flash
from smidgen.flash.volume import VOLUMES_VARIABLE

PORT = "/dev/null"  # any path that is there
IMAGE = uf2(payload(300))


class Bench(Rig):
    """A Pico with MicroPython 1.24.0 on PORT; flashed, it comes back on another port with what the file holds."""

    def __init__(self, drives: Path, firmware: Path) -> None:
        super().__init__()
        self.drives = drives
        self.firmware = firmware
        self.running = FakeSession("1.24.0")
        self.running.on_bootloader = self.go_to_boot_rom
        self.flashed = FakeSession("1.25.0")
        self.comes_back_as: str | None = SERIAL_NUMBER
        self.drive_comes = True
        self.rom: UsbBootRom | None = None
        self.plug_in(PORT, self.running)

    def go_to_boot_rom(self) -> None:
        self.unplug(PORT)
        if self.drive_comes:
            self.hold_bootsel()

    def hold_bootsel(self, name: str = "RPI-RP2", board_id: str = "RPI-RP2") -> UsbBootRom:
        self.rom = rom = UsbBootRom(self.drives / name, board_id)
        rom.on_restart = self.come_back
        self.on_sleep = rom.look
        return rom

    def come_back(self) -> None:
        if self.comes_back_as is not None:
            self.plug_in("/dev/ttyACM7", self.flashed, self.comes_back_as)

    def plan(self, port: str | None = None, **options: object) -> FlashPlan:
        return plan_flash("pico", self.firmware, port, system=self.system, **options)  # type: ignore[arg-type]

    def flash(self, port: str | None = None, **options: object) -> FlashResult:
        return execute(self.plan(port, **options), system=self.system)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    drives = tmp_path / "media"
    drives.mkdir()
    monkeypatch.setenv(VOLUMES_VARIABLE, str(drives))
    firmware = tmp_path / "RPI_PICO-v1.25.0.uf2"
    firmware.write_bytes(IMAGE)
    return Bench(drives, firmware)


@pytest.mark.parametrize("port", [None, "auto", PORT, f"id:{SERIAL_NUMBER.upper()}"])
def test_from_micropython_to_micropython(bench: Bench, port: str | None) -> None:
    result = bench.flash(port)
    assert result.sentence == "pico on /dev/ttyACM7 runs MicroPython 1.25.0 (Raspberry Pi Pico with RP2040)"
    assert result.warning == ""
    assert bench.rom is not None
    assert b"".join(bench.rom.flash[address] for address in sorted(bench.rom.flash)) == payload(300)


def test_the_plan_touches_nothing(bench: Bench) -> None:
    plan = bench.plan()
    assert plan.version == "1.25.0"
    assert plan.written == ((0x10000000, 0x10012C00),)
    assert plan.erased == ((0x10000000, 0x10013000),)
    assert str(plan.target) == f"{PORT} (serial number {SERIAL_NUMBER})"
    assert plan.as_dict()["command"] == f"cp {bench.firmware} DRIVE/FIRMWARE.UF2"
    assert bench.ports[0].device == PORT
    assert not list(bench.drives.iterdir())


def test_a_board_in_bootsel_mode(bench: Bench) -> None:
    """Its serial number is not known, so it is the one that was not there before."""
    bench.unplug(PORT)
    bench.hold_bootsel()
    other = FakeSession("1.20.0")
    bench.plug_in("/dev/ttyACM3", other, "another")
    with pytest.raises(BoardError, match="there are 2 boards that may be pico") as caught:
        bench.plan()
    assert "--volume" in str(caught.value)
    assert "--port /dev/ttyACM3" in str(caught.value)
    bench.comes_back_as = None
    assert bench.rom is not None
    bench.rom.on_restart = lambda: bench.plug_in("/dev/ttyACM9", FakeSession(), None)
    plan = bench.plan(volume=bench.rom.folder)
    assert plan.command.endswith(f"{bench.rom.folder}/FIRMWARE.UF2")
    assert execute(plan, system=bench.system).port == "/dev/ttyACM9"


def test_two_volumes(bench: Bench) -> None:
    bench.unplug(PORT)
    UsbBootRom(bench.drives / "one")
    UsbBootRom(bench.drives / "two")
    with pytest.raises(BoardError, match=r"2 boards.*--volume .*/one; --volume .*/two"):
        bench.plan()


def test_two_volumes_at_once_after_leaving_micropython(bench: Bench) -> None:
    bench.running.on_bootloader = lambda: [UsbBootRom(bench.drives / name) for name in "ab"] and None
    with pytest.raises(FlashError, match="2 drives appeared at once") as caught:
        bench.flash()
    assert caught.value.state is FlashState.UNTOUCHED


def test_a_volume_that_was_there_before_is_left_alone(bench: Bench) -> None:
    other = UsbBootRom(bench.drives / "other")
    assert bench.flash(PORT).written
    assert sorted(path.name for path in other.folder.iterdir()) == ["INFO_UF2.TXT"]


def test_nothing_there(bench: Bench) -> None:
    bench.unplug(PORT)
    with pytest.raises(BoardError, match=r"no Raspberry Pi Pico found.*Hold BOOTSEL.*udisksctl mount"):
        bench.plan()
    with pytest.raises(BoardError, match="no port has the serial number 123; there are: none"):
        bench.plan("id:123")


def test_the_drive_of_another_chip(bench: Bench) -> None:
    bench.unplug(PORT)
    rom = bench.hold_bootsel("RP2350", "RP2350")
    for options in ({}, {"volume": rom.folder}):
        with pytest.raises(InputError, match="is that of RP2350, and pico has RP2040"):
            bench.plan(**options)


def test_the_drive_does_not_come(bench: Bench) -> None:
    bench.drive_comes = False
    with pytest.raises(FlashError, match="no drive was mounted within 20 s") as caught:
        bench.flash()
    assert caught.value.state is FlashState.UNTOUCHED
    assert "--volume FOLDER" in str(caught.value)


def test_another_chip_behind_the_port(bench: Bench) -> None:
    bench.running.info = FakeSession(machine="Raspberry Pi Pico 2 with RP2350").info
    with pytest.raises(FlashError, match="is a Raspberry Pi Pico 2 with RP2350, and pico has RP2040") as caught:
        bench.flash()
    assert caught.value.state is FlashState.UNTOUCHED
    assert bench.ports[0].device == PORT


def test_another_board_with_the_same_chip(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.running.info = FakeSession(machine="Raspberry Pi Pico W with RP2040").info
    assert bench.flash().written
    assert "calls itself Raspberry Pi Pico W with RP2040; this is firmware for Raspberry Pi Pico" in caplog.text


def test_no_micropython_behind_the_port(bench: Bench) -> None:
    bench.answers.clear()
    with pytest.raises(FlashError, match=r"no MicroPython answers on /dev/null.*Hold BOOTSEL"):
        bench.flash()


def test_a_firmware_that_cannot_say_what_is_in_its_flash(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> str:
        raise BoardError("ImportError: no module named 'uctypes'", "Traceback")

    monkeypatch.setattr("smidgen.flash.execution.flash_digest", failing)
    assert bench.flash().written


def test_no_bootloader_function(bench: Bench) -> None:
    bench.running.has_bootloader = False
    with pytest.raises(FlashError, match=r"has no machine\.bootloader\(\).*Hold BOOTSEL"):
        bench.flash()


def test_the_boot_rom_does_not_restart(bench: Bench) -> None:
    bench.unplug(PORT)
    bench.hold_bootsel().is_deaf = True
    with pytest.raises(FlashError, match="still there after 15 s") as caught:
        bench.flash()
    assert caught.value.state is FlashState.HALF_WRITTEN


def test_a_drive_that_seems_to_stay(bench: Bench) -> None:
    """One that was mounted by hand; the board is back, so the boot ROM was content."""
    bench.unplug(PORT)
    rom = bench.hold_bootsel()
    rom.vanish, look = lambda: None, rom.look  # type: ignore[method-assign]
    bench.on_sleep = lambda: None if bench.ports else look()
    assert bench.flash().written
    assert rom.folder.exists()


def test_the_cable_is_pulled_at_every_tenth(bench: Bench) -> None:
    bench.unplug(PORT)
    image = uf2(payload(3000))
    bench.firmware.write_bytes(image)
    for tenth in range(1, 10):
        rom = bench.hold_bootsel()

        def pull(what: str, done: int, total: int, rom: UsbBootRom = rom, tenth: int = tenth) -> None:
            if what == "writing" and done * 10 >= total * tenth and rom.folder.exists():
                rom.vanish()

        with pytest.raises(FlashError, match="run the same command again") as caught:
            execute(bench.plan(), pull, bench.system)
        assert caught.value.state is FlashState.HALF_WRITTEN
    bench.hold_bootsel()
    assert bench.flash().port == "/dev/ttyACM7"


def test_the_board_does_not_come_back(bench: Bench) -> None:
    """A board with another serial number is not it."""
    bench.comes_back_as = "another"
    with pytest.raises(FlashError, match="did not come back within 30 s") as caught:
        bench.flash()
    assert caught.value.state is FlashState.WRITTEN
    assert "Unplug the board" in str(caught.value)


def test_another_version_answers(bench: Bench) -> None:
    bench.flashed.info = FakeSession("1.24.1").info
    result = bench.flash()
    assert "is MicroPython 1.25.0, and the board says that it runs 1.24.1" in result.warning


def test_firmware_that_is_too_old_for_smidgen(bench: Bench) -> None:
    assert bench.plan().warning == ""
    bench.firmware.write_bytes(uf2(payload(300).replace(b"v1.25.0", b"v1.23.0")))
    assert bench.plan().warning == "this firmware is MicroPython 1.23.0, and smidgen needs 1.24 or newer on pico"


def test_erase_writes_all_of_the_flash(bench: Bench) -> None:
    plan = bench.plan(erase=True)
    assert plan.erased == plan.written == ((0x10000000, 0x10200000),)
    assert plan.as_dict()["erased"] is None
    assert plan.command == ""
    assert "all files" in plan.consequence
    execute(plan, system=bench.system)
    assert bench.rom is not None
    assert len(bench.rom.flash) == (2 << 20) // 256
    assert bench.rom.flash[0x101FFF00] == b"\xff" * 256


def test_unsuitable_wishes(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="virtual board, which needs no flashing"):
        bench.plan("sim:pico")
    with pytest.raises(InputError, match="virtual board, which needs no flashing"):
        plan_flash("sim:pico", bench.firmware, system=bench.system)
    bench.hold_bootsel()
    with pytest.raises(InputError, match="not both"):
        bench.plan(PORT, volume=bench.drives / "RPI-RP2")
    bench.firmware.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        bench.plan()
    with pytest.raises(InputError, match="not both"):  # before the firmware is read or downloaded
        bench.plan(PORT, volume=bench.drives / "RPI-RP2")
    with pytest.raises(InputError, match="has no drive"):
        plan_flash("esp32c3", bench.firmware, volume=bench.drives / "RPI-RP2", system=bench.system)
    bench.firmware.unlink()
    with pytest.raises(InputError, match=r"cannot read the firmware .*: No such file"):
        bench.plan()
    bench.firmware.write_bytes(uf2(payload(2), RP2350))
    with pytest.raises(InputError, match="pico2, pico2_w"):
        bench.plan()
