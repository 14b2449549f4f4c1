"""The native modules that were built: each is for its architecture, complete, and small enough."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smidgen.link import natmod

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "natmod"

# Bytes of text, rodata and bss together, all of which lie in a board's RAM.
LIMIT = 17_500
LIMIT_ARMV6M = 16_000  # the core with the least RAM
LIMIT_X64 = 22_000  # 64-bit pointers, and a computer's RAM


@pytest.fixture(params=natmod.BUILT)
def module(request: pytest.FixtureRequest) -> Path:
    """A file that was built."""
    path = FOLDER / request.param / natmod.FILE_NAME
    if not path.is_file():
        pytest.skip(f"the native module for {request.param} is not built (make natmod ARCH={request.param})")
    return path


def test_architecture(module: Path) -> None:
    assert natmod.file_architecture(module.read_bytes(), str(module)) == module.parent.name


def test_holds_native_code_and_python(module: Path) -> None:
    data = module.read_bytes()
    assert b"cut short" in data  # native/core/status.c
    assert b"there is no operator %d: the model has 0 to %d" in data  # device/smidgen/model.py


def test_size(module: Path) -> None:
    command = [sys.executable, str(ROOT / "boards" / "natmod_sizes.py"), "--json"]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (sizes,) = (sizes for sizes in document if sizes["arch"] == module.parent.name)
    assert sizes["ram"] == sizes["text"] + sizes["rodata"] + sizes["bss"]
    assert sizes["text"] < sizes["file"] == module.stat().st_size
    assert sizes["ram"] <= {"x64": LIMIT_X64, "armv6m": LIMIT_ARMV6M}.get(sizes["arch"], LIMIT)
