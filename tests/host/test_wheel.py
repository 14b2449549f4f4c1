"""A wheel holds what users need who have no checkout: native modules and descriptions of boards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOARDS = {path.name for path in (ROOT / "boards").glob("*.toml")}
POWER = {path.name for path in (ROOT / "device" / "power").glob("*.py")}
MLPERF = {path.name for path in (ROOT / "device" / "mlperf").glob("*.py")}
STREAM = {path.name for path in (ROOT / "device" / "stream").glob("*.py")}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a wheel is made of, in a folder with a space in its path, and a module for armv6m."""
    checkout = tmp_path / "check out"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "host", checkout / "host", ignore=ignored)
    (checkout / "boards").mkdir()
    shutil.copytree(ROOT / "device", checkout / "device", ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", *(f"boards/{n}" for n in BOARDS)):
        shutil.copyfile(ROOT / name, checkout / name)
    add_module(checkout, "armv6m")
    return checkout


def add_module(checkout: Path, arch: str) -> None:
    folder = checkout / ".cache" / "natmod" / arch
    folder.mkdir(parents=True)
    (folder / "smidgen.mpy").write_bytes(b"M for " + arch.encode())
    (folder / "log").write_text("not for users")


def build(checkout: Path, output: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(output), str(checkout)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    (wheel,) = output.glob("smidgen-*-py3-none-any.whl")
    return wheel


def names(wheel: Path, folder: str) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name.removeprefix(folder) for name in archive.namelist() if name.startswith(folder)}


def test_contents(checkout: Path, tmp_path: Path) -> None:
    wheel = build(checkout, tmp_path / "dist")
    assert names(wheel, "smidgen/natmod/") == {"armv6m/smidgen.mpy"}
    assert {name for name in names(wheel, "smidgen/boards/") if not name.endswith(".py")} == BOARDS
    assert names(wheel, "smidgen/power/device/") == POWER != set()
    assert names(wheel, "smidgen/stream/device/") == STREAM != set()
    assert names(wheel, "smidgen/mlperf/device/") == MLPERF != set()
    assert {"py.typed", "cli/app.py", "demo/imu_exercises.tflite", "plan/cost_data.json"} <= names(wheel, "smidgen/")
    assert names(wheel, "smidgen/device/") == {"link/frames.py", "link/service.py", "stubs/smidgen.pyi"}
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("smidgen/natmod/armv6m/smidgen.mpy") == b"M for armv6m"
        assert (
            archive.read("smidgen/device/stubs/smidgen.pyi") == (ROOT / "device" / "stubs" / "smidgen.pyi").read_bytes()
        )
        for name in BOARDS:
            assert archive.read(f"smidgen/boards/{name}") == (ROOT / "boards" / name).read_bytes()


def test_nothing_of_an_earlier_build_remains(checkout: Path, tmp_path: Path) -> None:
    build(checkout, tmp_path / "before")
    shutil.rmtree(checkout / ".cache" / "natmod" / "armv6m")
    add_module(checkout, "rv32imc")
    (checkout / "host" / "smidgen" / "oracle.py").unlink()
    after = build(checkout, tmp_path / "after")
    assert names(after, "smidgen/natmod/") == {"rv32imc/smidgen.mpy"}
    assert "oracle.py" not in names(after, "smidgen/")


def test_the_same_input_makes_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    first = build(checkout, tmp_path / "first")
    for path in checkout.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    assert build(checkout, tmp_path / "second").read_bytes() == first.read_bytes()


def test_an_installed_package_finds_them(checkout: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build(checkout, tmp_path / "dist")) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "from smidgen.boards import load_boards; from smidgen.link import natmod;"
        "from smidgen.power.device_code import device_code;"
        "print(natmod.find('armv6m').read_bytes().decode(), len(load_boards()), 'class' in device_code('rounds'))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMIDGEN_")}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == (f"M for armv6m {len(BOARDS)} True\n", "")
