"""When kernel 1 reads and writes what: the distances at which input and output may overlap, against a simulation."""

from __future__ import annotations

import random

import pytest

from smidgen.plan.band import Band


def _events(band: Band, tile: int) -> list[tuple[set[int], int]]:
    """For each block: the input rows that are read before its outputs are stored, and the output rows stored so far."""
    blocks, stored = [], 0
    gathered: set[int] = set()  # word rows, by their y
    while stored < band.output_height:
        pairs = range(stored // 2, min(stored // 2 + tile, band.pairs))
        needed = {2 * band.stride[0] * t - band.pad_top + row for t in pairs for row in range(band.rows_of_taps)}
        if band.rows_of_taps > 2 * band.stride[0]:
            needed |= set(range(min(needed), max(needed) + 1))
        new = needed - gathered
        gathered |= needed
        read = {row for y in new for row in (y, y + band.stride[0]) if 0 <= row < band.input_height}
        stored = min(2 * (pairs[-1] + 1), band.output_height)
        blocks.append((read, stored))
    return blocks


def _is_sound(band: Band, tile: int, distance: int) -> bool:
    """Whether every row that is read lies behind all that has been stored, as the format document wants it."""
    end = None  # of what has been stored
    for read, stored in _events(band, tile):
        if read and end is not None and distance + min(read) * band.input_row_bytes < end:
            return False
        end = stored * band.output_row_bytes
    return True


def _random_band(generator: random.Random) -> tuple[Band, int]:
    kernel, stride, dilation = (generator.randint(1, 5) for _ in range(3))
    taps = (kernel - 1) * dilation + 1
    height, pad = generator.randint(1, 20), generator.randint(0, taps - 1)
    output = generator.randint(1, (height - 1 + pad) // stride + 1)
    sizes = generator.randint(1, 30), generator.randint(1, 30)
    band = Band(height, output, 3, 2, (kernel, 1), (stride, 1), dilation, pad, *sizes)
    return band, generator.randint(1, band.pairs)


@pytest.mark.parametrize("seed", range(200))
def test_least_distance(seed: int) -> None:
    band, tile = _random_band(random.Random(seed))
    least = band.least_distance(tile)
    apart = -band.input_height * band.input_row_bytes
    assert least >= apart
    assert _is_sound(band, tile, least)
    assert least == apart or not _is_sound(band, tile, least - 1)


def test_larger_blocks_never_need_more_distance() -> None:
    for seed in range(100):
        band, _ = _random_band(random.Random(seed))
        distances = [band.least_distance(tile) for tile in range(1, band.pairs + 1)]
        assert distances[0] == max(distances)


@pytest.mark.parametrize("available", range(0, 400, 7))
def test_largest_tile(available: int) -> None:
    """5 rows of taps, rows of 3 words, 7 pairs, 2 rows from pair to pair; a single one if all 7 are in one block."""
    band = Band(14, 14, 3, 1, (5, 1), (1, 1), 1, 2, 3, 3)
    tile = band.largest_tile(available)
    rows = {pairs: 5 + (pairs - 1) * (1 if pairs == 7 else 2) for pairs in range(1, 8)}
    assert tile == max((pairs for pairs in range(1, 8) if 12 * rows[pairs] <= available), default=0)
