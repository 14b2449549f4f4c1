"""`smidgen flash` as people and scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flash_files import RP2350, esp_firmware, payload, uf2
from flash_rig import UsbBootRom

from smidgen.errors import BoardError
from smidgen.flash.volume import VOLUMES_VARIABLE
from smidgen.link.virtual import VirtualUnixBoard

SUCCESS, USAGE, BOARD, INPUT, INTERRUPTED = 0, 2, 5, 6, 130


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "media").mkdir()
    return {**os.environ, VOLUMES_VARIABLE: str(tmp_path / "media"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    path = tmp_path / "RPI_PICO-v1.25.0.uf2"
    path.write_bytes(uf2(payload(20)))
    return path


@pytest.fixture
def drive(environment: dict[str, str]) -> UsbBootRom:
    return UsbBootRom(Path(environment[VOLUMES_VARIABLE]) / "RPI-RP2")


def flash(environment: dict[str, str], *arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smidgen", "flash", *map(str, arguments)]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False, **options)


def contents(drive: UsbBootRom) -> list[str]:
    return sorted(path.name for path in drive.folder.iterdir())


def test_dry_run_writes_nothing(environment: dict[str, str], firmware: Path, drive: UsbBootRom) -> None:
    result = flash(environment, "pico", "--firmware", firmware, "--dry-run", "--volume", drive.folder)
    assert result.returncode == SUCCESS, result.stderr
    for words in (
        "Raspberry Pi Pico, RP2040", f"{drive.folder} (RP2040)", f"{firmware}, MicroPython 1.25.0", "10,240 B",
        "0x10000000 to 0x100013ff (5,120 B)", "0x10000000 to 0x10001fff (8,192 B)", "stay, if the new firmware",
    ):  # fmt: skip
        assert words in result.stdout
    assert contents(drive) == ["INFO_UF2.TXT"]


def test_json(environment: dict[str, str], firmware: Path, drive: UsbBootRom) -> None:
    result = flash(
        environment, "pico", "--firmware", firmware, "--dry-run", "--json", "--erase", "--volume", drive.folder
    )
    document = json.loads(result.stdout)
    assert document["result"] is None
    assert document["plan"]["volume"] == str(drive.folder)
    assert document["plan"]["erased"] is None
    assert document["plan"]["written"] == [[0x10000000, 0x10200000]]


def test_the_default_port_gives_way_to_the_volume(
    environment: dict[str, str], firmware: Path, drive: UsbBootRom
) -> None:
    environment["SMIDGEN_PORT"] = "sim:unix"
    result = flash(environment, "pico", "--firmware", firmware, "--dry-run", "--volume", drive.folder)
    assert result.returncode == SUCCESS, result.stderr
    assert f"by hand   cp {firmware} {drive.folder}/FIRMWARE.UF2" in result.stdout


def test_off_a_terminal_it_needs_yes(environment: dict[str, str], firmware: Path, drive: UsbBootRom) -> None:
    result = flash(environment, "pico", "--firmware", firmware)
    assert result.returncode == USAGE
    assert "no terminal to ask on: add --yes" in " ".join(result.stderr.replace("│", " ").split())
    assert contents(drive) == ["INFO_UF2.TXT"]


def test_on_a_terminal_it_asks(environment: dict[str, str], firmware: Path, drive: UsbBootRom) -> None:
    master, slave = os.openpty()
    try:
        os.write(master, b"n\n")
        result = flash(environment, "pico", "--firmware", firmware, "--volume", drive.folder, stdin=slave)
    finally:
        os.close(master)
        os.close(slave)
    assert result.returncode == INTERRUPTED
    assert "Write this to the board?" in result.stderr
    assert "nothing was written" in result.stderr
    assert contents(drive) == ["INFO_UF2.TXT"]


def test_errors(environment: dict[str, str], firmware: Path, drive: UsbBootRom) -> None:
    firmware.write_bytes(uf2(payload(20), RP2350))
    refused = flash(environment, "pico", "--firmware", firmware, "--yes")
    assert refused.returncode == INPUT
    assert "pico2" in refused.stderr
    assert flash(environment, "picco", "--firmware", firmware, "--yes").returncode == 2  # usage
    drive.vanish()
    firmware.write_bytes(uf2(payload(20)))
    missing = flash(environment, "pico", "--firmware", firmware, "--yes", "--port", "id:no-such-board")
    assert (missing.returncode, missing.stdout) == (BOARD, "")
    assert "no port has the serial number" in missing.stderr


@pytest.fixture
def micropython() -> Iterator[VirtualUnixBoard]:
    board = VirtualUnixBoard()
    try:
        board.start()
    except BoardError as error:
        pytest.skip(str(error))
    yield board
    board.close()


def test_from_the_command_to_the_last_line(
    environment: dict[str, str], tmp_path: Path, micropython: VirtualUnixBoard
) -> None:
    """A mock of the boot ROM is flashed, and then a real MicroPython answers on the same port."""
    pytest.importorskip("esptool", reason="esptool is not installed")
    pytest.importorskip("esp32_mock_bootloader", reason="esp32-mock-bootloader is not installed")
    from esp_boot_rom import EspBootRom

    firmware = tmp_path / "ESP32_GENERIC_C3-v1.25.0.bin"
    firmware.write_bytes(esp_firmware("esp32c3", 0))
    with EspBootRom("esp32c3", then=micropython.port) as rom:
        result = flash(environment, "esp32c3", "--firmware", firmware, "--port", rom.port, "--yes", "--json")
        assert result.returncode == SUCCESS, result.stderr
        assert rom.flash.read(0, firmware.stat().st_size) == firmware.read_bytes()
    document = json.loads(result.stdout)
    assert document["result"]["written"] is True
    assert document["result"]["port"] == rom.port
    assert document["result"]["info"]["platform"] == "linux"
    assert document["plan"]["command"].startswith(f"esptool --chip esp32c3 --port {rom.port}")
    assert "and the board says that it runs" in result.stderr
    assert document["result"]["warning"] is not None
