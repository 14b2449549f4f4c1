"""The engine's code for Xtensa with register windows (ESP32, S2, S3), run by QEMU: every operator, and golden vectors.

The core that QEMU has computes no high halves of products, so the code differs from the native module's in that.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sample_blobs
from host_engine import CORE, ROOT, HostEngine, core_sources
from models import golden_path, packed_model

XTENSA = ROOT / ".cache" / "xtensa"
PREFIX = XTENSA / "bin" / "xtensa-lx106-elf-"
HARNESS = Path(__file__).with_name("engine_xtensa.c")

# Literals lie beside the code, where the linker's default layout can reach them.
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-fno-tree-loop-distribute-patterns", "-fno-jump-tables",
         "-fno-branch-count-reg", "-ffreestanding", "-mtext-section-literals")  # fmt: skip

Run = Callable[[bytes, bytes], bytes]  # blob, inputs -> outputs


def succeed(command: list[str | Path], environment: dict[str, str] | None = None, data: bytes = b"") -> bytes:
    result = subprocess.run(list(map(str, command)), input=data, capture_output=True, env=environment)
    assert result.returncode == 0, f"{command[0]} ended with {result.returncode}: {result.stderr.decode()}"
    return result.stdout


@pytest.fixture(scope="module")
def xtensa(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a blob on inputs, all of which follow each other."""
    if not Path(f"{PREFIX}gcc").exists():
        pytest.skip("there is no compiler for xtensawin in .cache (make xtensa)")
    qemu = shutil.which("qemu-xtensa")
    if qemu is None:
        pytest.skip("qemu-xtensa is missing (Debian's package qemu-user)")
    folder = tmp_path_factory.mktemp("xtensa")
    plugin, program = folder / "core.so", folder / "engine"
    tables = XTENSA / "core"
    succeed(["gcc", "-w", "-fPIC", "-shared", "-DXCHAL_HAVE_MUL32_HIGH=0", f"-I{tables}",
             ROOT / "boards" / "xtensa_core.c", "-o", plugin])  # fmt: skip
    environment = {"XTENSA_GNU_CONFIG": str(plugin), "PATH": "/usr/bin:/bin"}
    objects = []
    for source in (HARNESS, *core_sources()):
        objects.append(folder / f"{source.stem}.o")
        succeed([f"{PREFIX}gcc", *FLAGS, f"-I{CORE}", "-c", source, "-o", objects[-1]], environment)
    succeed([f"{PREFIX}ld", "-e", "_start", *objects, "-o", program], environment)

    def run(blob: bytes, inputs: bytes) -> bytes:
        return succeed([qemu, "-cpu", "dc233c", program], data=struct.pack("<I", len(blob)) + blob + inputs)

    return run


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_every_operator(xtensa: Run, engine: HostEngine, name: str) -> None:
    blob = bytes(sample_blobs.SAMPLES[name]().data)
    engine.load(blob)
    random = np.random.default_rng(1)
    expected, inputs = b"", b""
    for _ in range(8):
        samples = [random.integers(-128, 128, t.shape, np.int8) for t in engine.tensors[: engine.input_count]]
        inputs += b"".join(sample.tobytes() for sample in samples)
        expected += b"".join(output.tobytes() for output in engine.run(samples))
    assert xtensa(blob, inputs) == expected


@pytest.mark.parametrize("name", ["kws_ref_model", "ad01_int8", "pretrainedResnet_quant", "vww_96_int8"])
def test_golden_vectors(xtensa: Run, name: str) -> None:
    golden = np.load(golden_path(name))
    blob = bytes(packed_model(name).data)
    assert xtensa(blob, golden["input"][:4].tobytes()) == golden["output"][:4].tobytes()
