"""Firmware by version: a stand-in with mpflash's command line, environment variable, file names and exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flash_files import payload, uf2

from smidgen.boards import find_board
from smidgen.errors import InputError
from smidgen.flash import download
from smidgen.flash.download import FOLDER_VARIABLE, is_version
from smidgen.flash.firmware import Firmware, load_firmware, release

PICO = find_board("pico")

# Made after mpflash 1.29: `mpflash --no-interactive download --board B --version V` writes to
# $MPFLASH_FIRMWARE/PORT/B-vVERSION.EXT, knows the words stable and preview, prints, and ends with 0 in any case.
MPFLASH = """
import argparse, os, pathlib
def mpflash():
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-interactive", action="store_true")
    parser.add_argument("command", choices=["download"])
    parser.add_argument("--board"); parser.add_argument("--version")
    wanted = parser.parse_args()
    version = {"stable": "1.25.0", "preview": "1.26.0-preview.45"}.get(wanted.version, wanted.version)
    if os.environ.get("OFFLINE") or version == "9.9.9":
        print("Could not connect\\nto the site"); raise SystemExit(0)
    folder = pathlib.Path(os.environ["MPFLASH_FIRMWARE"]) / "rp2"
    folder.mkdir(exist_ok=True)
    (folder / f"{wanted.board}-v{version}.uf2").write_bytes(version.encode())
    (folder / f"{wanted.board}-SPIRAM-v{version}.uf2").write_bytes(b"a variant")
    print("Downloaded 1 firmware images.")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mpflash's; mpflash itself is importable, here and in other processes."""
    package = tmp_path / "site" / "mpflash"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli_main.py").write_text(MPFLASH)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")]))
    firmware = tmp_path / "firmware"
    monkeypatch.setenv(FOLDER_VARIABLE, str(firmware))
    return firmware


def test_versions() -> None:
    for text in ("1.25.0", "v1.25.0", "1.25", "stable", "preview"):
        assert is_version(text)
    for text in ("firmware.uf2", "1.25.0.uf2", "", "latest!", "v1", "1.25.0-rc1", "1.26.0-preview"):
        assert not is_version(text)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("1.24.1", "RPI_PICO-v1.24.1.uf2"),
        ("v1.24.1", "RPI_PICO-v1.24.1.uf2"),
        (None, "RPI_PICO-v1.25.0.uf2"),
        ("stable", "RPI_PICO-v1.25.0.uf2"),
        ("preview", "RPI_PICO-v1.26.0-preview.45.uf2"),
    ],
)
def test_download(folder: Path, source: str | None, name: str) -> None:
    for version in ("1.9.4", "1.26.0-preview.12"):
        (folder / "rp2").mkdir(parents=True, exist_ok=True)
        (folder / "rp2" / f"RPI_PICO-v{version}.uf2").touch()
    firmware = load_firmware(source, PICO)
    assert firmware.path == folder / "rp2" / name
    assert firmware.version(b"") == name[len("RPI_PICO-v") : -len(".uf2")].removesuffix(".45")


def test_a_version_that_is_there_is_not_downloaded_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_firmware("1.25.0", PICO)
    monkeypatch.setenv("OFFLINE", "1")
    assert load_firmware("1.25.0", PICO).path == first.path


def test_not_found(folder: Path) -> None:
    with pytest.raises(InputError, match=r"did not find MicroPython 9\.9\.9 for RPI_PICO; it says: Could not connect"):
        load_firmware("9.9.9", PICO)


def test_mpflash_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'smidgen\[download\]'.*RPI_PICO.*--firmware FILE"):
        load_firmware(None, PICO)


def test_it_takes_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(download, "_COMMAND", [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(InputError, match="has not downloaded"):
        load_firmware("1.25.0", PICO)


def test_own_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert load_firmware("1.25.0", PICO).path.is_relative_to(tmp_path / "cache" / "smidgen" / "firmware")
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "x"))
    with pytest.raises(InputError, match="cannot be made"):
        load_firmware("1.25.0", PICO)


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1.25.0").write_bytes(uf2(payload(2)))
    assert load_firmware("1.25.0", PICO).data == uf2(payload(2))


def test_version_in_the_firmware(tmp_path: Path) -> None:
    firmware = Firmware(tmp_path / "RPI_PICO-v1.20.0.uf2", b"")
    assert firmware.version(payload(3)) == "1.25.0"
    assert firmware.version(b"...MicroPython v1.27.0-preview.300.gabc on 2025-01-01") == "1.27.0-preview"
    assert firmware.version(b"MicroPython") == "1.20.0"
    assert Firmware(tmp_path / "firmware.uf2", b"").version(b"") is None


def test_releases() -> None:
    versions = ["1.100", "1.25", "1.25.1", "1.9.4", "1.25.0-preview"]
    assert sorted(versions, key=release) == ["1.9.4", "1.25.0-preview", "1.25", "1.25.1", "1.100"]
    assert release("1.25") == release("1.25.0")
    assert release("x") == (0, 0, 0, True)


def test_the_command_line_is_that_of_mpflash() -> None:
    """Where the real one is installed."""
    pytest.importorskip("mpflash", reason="mpflash is not installed")
    result = subprocess.run([*download._COMMAND, "--help"], capture_output=True, text=True, check=True)
    for option in ("--board", "--version"):
        assert option in result.stdout
