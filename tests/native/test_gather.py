"""Gathering rows of words on an emulated Cortex-M0+, against the definition in native/core/band.h."""

from __future__ import annotations

import random
import shutil
import struct

import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("arm-none-eabi-gcc is not installed", allow_module_level=True)

from benchmarks.bare_image import Image, build_image
from benchmarks.cortex_m0plus import CortexM0Plus

LEFT_ALONE = 0x5A5A5A5A


@pytest.fixture(scope="module")
def image() -> Image:
    return build_image()


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("values", [1, 2, 3, 4, 5, 6, 7, 8, 21])
@pytest.mark.parametrize(("row_step", "gap"), [(1, 0), (1, 2), (2, 1)])
def test_rows(image: Image, values: int, step: int, row_step: int, gap: int) -> None:
    """Every first row above, inside and below an input of seven rows; for both pixels, for neither, or for one."""
    draw = random.Random(f"{values} {step} {row_step} {gap}")
    height, row_bytes, row_words = 7, values * step + gap, values + gap
    rows = [draw.choices([-128, 127, -1, 0, draw.randint(-128, 127)], k=row_bytes) for _ in range(height)]
    for apart in (0, 1, 3, 9):
        for y in range(-apart - 2, height + 2):
            for most in (1, 2, height):
                padding = draw.choice([-128, -1, 0, 127])
                expected = []
                for number in range(row_count(y, apart, height, most, row_step)):
                    pixels = [y + number, y + number + apart]
                    taken = [rows[row] if 0 <= row < height else [padding] * row_bytes for row in pixels]
                    row = [pair(taken[0][value * step], taken[1][value * step]) for value in range(values)]
                    expected += row + [LEFT_ALONE] * gap
                machine = CortexM0Plus(image)
                start = machine.allocate(height * row_bytes)
                machine.write(start, b"".join(struct.pack(f"{row_bytes}b", *row) for row in rows))
                words = machine.allocate(4 * (height + 1) * row_words)
                machine.write(words, struct.pack("<I", LEFT_ALONE) * (height + 1) * row_words)
                shape = machine.allocate(48)
                span = values * step
                fields = (start, row_bytes, apart, height, span, step, row_bytes - span, 4 * gap, values, row_step)
                machine.write(shape, struct.pack("<10IiI", *fields, padding, 0))
                count = machine.call("smg_gather", words, shape, y, most).result
                expected += [LEFT_ALONE] * ((height + 1) * row_words - len(expected))
                assert count == row_count(y, apart, height, most, row_step), (y, apart, most)
                found = list(struct.unpack(f"<{len(expected)}I", machine.read(words, 4 * len(expected))))
                assert found == expected, (y, apart, most)


def row_count(y: int, apart: int, height: int, most: int, row_step: int) -> int:
    if y < 0 or y + apart >= height or row_step != 1:
        return 1
    return min(most, height - y - apart)


def pair(value0: int, value1: int) -> int:
    return (value0 + value1 * 2**16) % 2**32
