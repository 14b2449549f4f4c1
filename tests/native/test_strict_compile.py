"""The engine compiles without a warning, on this computer and for the chips whose compiler is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from host_engine import CORE, core_sources

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror", "-O2"]
COMPILERS = {
    "x86-64": ["gcc"],
    "x86-32": ["gcc", "-m32", "-ffreestanding"],
    "cortex-m0": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m0", "-ffreestanding"],
    "cortex-m4": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4", "-ffreestanding"],
}


@pytest.mark.parametrize("target", COMPILERS)
def test_strict(target: str, tmp_path: Path) -> None:
    compiler, *flags = COMPILERS[target]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, *flags, *STRICT, "-c", *map(str, core_sources())]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_strict_with_kernels_left_out(tmp_path: Path) -> None:
    without = "-DSMG_WITHOUT=(0 | 1 << SMG_MUL | 1 << SMG_SOFTMAX)"
    command = ["gcc", *STRICT, without, "-c", *map(str, core_sources())]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    names = subprocess.run(["nm", "engine.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "smg_mean" in names and "smg_softmax" not in names and "smg_mul" not in names


def test_no_libc(tmp_path: Path) -> None:
    """The engine calls nothing but itself: no malloc, no memcpy, no floating point."""
    command = ["gcc", *STRICT, "-fno-tree-loop-distribute-patterns", "-ffreestanding", "-r", "-nostdlib", "-o"]
    linked = tmp_path / "engine.o"
    subprocess.run([*command, str(linked), *map(str, core_sources())], check=True)
    result = subprocess.run(["nm", "--undefined-only", str(linked)], capture_output=True, text=True, check=True)
    undefined = {line.split()[-1] for line in result.stdout.splitlines()}
    assert undefined <= {"_GLOBAL_OFFSET_TABLE_"}


def test_no_state(tmp_path: Path) -> None:
    """No variables outlive a call: nothing in .data or .bss."""
    subprocess.run(["gcc", *STRICT, "-fno-pie", "-c", *map(str, core_sources())], cwd=tmp_path, check=True)
    result = subprocess.run(["nm", *map(str, tmp_path.glob("*.o"))], capture_output=True, text=True, check=True)
    variables = [line for line in result.stdout.splitlines() if len(line.split()) == 3 and line.split()[1] in "bBcCdD"]
    assert variables == []


def test_includes() -> None:
    """Only the freestanding headers named in the design."""
    allowed = {"<stdbool.h>", "<stddef.h>", "<stdint.h>"}
    for path in CORE.iterdir():
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("#include <"):
                assert line.split()[1] in allowed, f"{path.name}: {line}"
