"""Firmware with smidgen inside (boards/firmware/pico-smidgen) on the emulated RP2040: a model is used where it lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from availability import not_available
from models import ROOT, golden_path, packed_model
from smidgen.link.session import connect
from smidgen.link.virtual import VirtualPicoBoard
from smidgen.samples import load_golden

FIRMWARE = ROOT / ".cache" / "firmware" / "pico-smidgen" / "firmware.uf2"
ROMFS_START, ROMFS_END = 0x10080000, 0x10100000
NAME = "ad01_int8"  # its blob has 177 kB, three quarters of the heap


@pytest.fixture(autouse=True)
def firmware() -> None:
    if not FIRMWARE.exists():
        not_available("there is no firmware: make firmware BOARD=pico-smidgen")


def add_romfs(*arguments: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "boards" / "add_romfs.py"
    return subprocess.run([sys.executable, str(script), *map(str, arguments)], capture_output=True, text=True)


def test_a_blob_in_flash_takes_no_ram(tmp_path: Path) -> None:
    packed = packed_model(NAME)
    blob, firmware = tmp_path / f"{NAME}.smg", tmp_path / "firmware-romfs.uf2"
    blob.write_bytes(packed.data)
    added = add_romfs(FIRMWARE, firmware, blob)
    assert added.returncode == 0, added.stderr
    with VirtualPicoBoard(firmware, files={}) as pico, connect(pico.port) as board:
        path = f"/rom/{NAME}.smg"
        board.exec(
            "import gc, smidgen, uctypes\n"
            f"address = uctypes.addressof(memoryview(open({path!r}, 'rb')))\n"
            "gc.collect(); free = gc.mem_free()\n"
            f"model = smidgen.Model({path!r})\n"
            "gc.collect(); used = free - gc.mem_free()\n"
            "own = model.arena_bytes\n"
            "del model"
        )
        assert board.eval("smidgen.__file__") == "smidgen/__init__.py"  # the one in the firmware
        address = board.eval("address")
        assert address % 16 == 0
        assert ROMFS_START <= address < address + len(packed.data) <= ROMFS_END
        assert 0 <= board.eval("used - own") < 2048  # the objects of the model and of its tensors
        samples, expected = load_golden(golden_path(NAME), packed.blob.network)
        assert expected is not None
        model = board.load(packed.data, ram=False, name=path)
        for got, wanted in zip(model.run(*samples[0]), expected[0], strict=True):
            np.testing.assert_array_equal(got.reshape(-1), wanted.reshape(-1))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    large, output = tmp_path / "large", tmp_path / "out.uf2"
    large.write_bytes(bytes(ROMFS_END - ROMFS_START))
    refused = add_romfs(FIRMWARE, output, large)
    assert refused.returncode == 1
    assert "add_romfs: the ROMFS has 524,3" in refused.stderr
    assert "its partition 524,288: leave files out" in refused.stderr
    assert not output.exists()


def test_what_is_no_uf2_is_refused(tmp_path: Path) -> None:
    refused = add_romfs(Path(__file__), tmp_path / "out.uf2", Path(__file__))
    assert refused.returncode == 1
    assert refused.stderr.startswith("add_romfs: not a UF2 file")
