"""Reading a channel's bias, multiplier and shift on an emulated Cortex-M0+, against docs/format.md."""

from __future__ import annotations

import random
import shutil
import struct

import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("arm-none-eabi-gcc is not installed", allow_module_level=True)

from benchmarks.bare_image import Image, build_image
from benchmarks.cortex_m0plus import FLASH_BYTES, CortexM0Plus

EXTREMES = [(0, 0, 0), (32, 30, 6), (32, 0, 0), (0, 30, 6), (0, 0, 6), (1, 1, 1), (32, 26, 6), (31, 27, 6), (20, 12, 0)]
FIRST_MULTIPLIER, FIRST_SHIFT = 2**30, -9
CHANNELS = 40


def entry_sizes() -> list[tuple[int, int, int]]:
    draw = random.Random(11)
    return EXTREMES + [(draw.randint(0, 32), draw.randint(0, 30), draw.randint(0, 6)) for _ in range(60)]


def random_entries(draw: random.Random, sizes: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """b, m and s of each channel, as unsigned numbers; one in three is no bits or all of them."""

    def number(size: int) -> int:
        return draw.choice([0, 2**size - 1, *(draw.randrange(2**size) for _ in range(4))])

    return [(number(sizes[0]), number(sizes[1]), number(sizes[2])) for _ in range(CHANNELS)]


def requantization_data(sizes: tuple[int, int, int], entries: list[tuple[int, int, int]]) -> bytes:
    stream, bits = 0, 0
    for entry in entries:
        for number, size in zip(entry, sizes, strict=True):
            stream |= number << bits
            bits += size
    return struct.pack("<IbBBB", FIRST_MULTIPLIER, FIRST_SHIFT, *sizes) + stream.to_bytes(-(-bits // 32) * 4, "little")


@pytest.fixture(scope="module")
def image() -> Image:
    return build_image()


@pytest.mark.parametrize("sizes", entry_sizes(), ids=str)
def test_entries(image: Image, sizes: tuple[int, int, int]) -> None:
    """The data end where the flash ends, so that the machine stops if anything behind them is read."""
    entries = random_entries(random.Random(str(sizes)), sizes)
    data = requantization_data(sizes, entries)
    machine = CortexM0Plus(image)
    machine.allocate_flash(FLASH_BYTES - len(data))
    numbers = machine.allocate_flash(len(data))
    machine.write(numbers, data)
    channels, result = machine.allocate(8), machine.allocate(12)
    machine.write(channels, struct.pack("<II", numbers, 0))
    for channel, (b, m, s) in enumerate(entries):
        machine.call("smg_channels_read", channels, channel, result)
        bias = b - (b >> (sizes[0] - 1) << sizes[0]) if sizes[0] else 0
        expected = bias, FIRST_MULTIPLIER + m * 2 ** (30 - sizes[1]), FIRST_SHIFT + s
        assert struct.unpack("<iIi", machine.read(result, 12)) == expected, channel
