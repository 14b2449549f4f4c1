"""Division for Cortex-M0+, on the emulated one."""

from __future__ import annotations

import random
import shutil

import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("arm-none-eabi-gcc is not installed", allow_module_level=True)

from benchmarks.bare_image import build_image
from benchmarks.cortex_m0plus import CortexM0Plus

EDGES = [0, 1, 2, 3, 255, 2**16, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1]


def test_quotients() -> None:
    """Edges with each other, and numbers of every size."""
    draw = random.Random(5)
    pairs = [(dividend, divisor) for dividend in EDGES for divisor in EDGES if divisor != 0]
    pairs += [(draw.getrandbits(draw.randint(1, 32)), draw.getrandbits(draw.randint(1, 32)) | 1) for _ in range(500)]
    machine = CortexM0Plus(build_image())
    for dividend, divisor in pairs:
        result = machine.call("smg_divide", dividend, divisor).result
        assert result & 0xFFFFFFFF == dividend // divisor, (dividend, divisor)
