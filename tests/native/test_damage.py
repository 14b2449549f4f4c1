"""Damaged blobs: refused or run, but never a sanitizer's report, a write outside the memory or a hang."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import blob_builder as b
import sample_blobs
from host_engine import HostEngine, WorkLimit

WORK_LIMIT = 1 << 22


def try_to_run(engine: HostEngine, data: bytes) -> bool:
    """Whether the blob was accepted; if so it has also run."""
    if engine.check(data) is not None:
        return False
    inputs = [bytes([0x55]) * tensor.elements for tensor in engine.tensors[: engine.input_count]]
    try:
        engine.run(inputs, work_limit=WORK_LIMIT)
    except WorkLimit:
        pass
    return True


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_cut_at_every_length(engine: HostEngine, name: str) -> None:
    data = bytes(sample_blobs.SAMPLES[name]().data)
    for length in range(len(data)):
        assert engine.check(data[:length]) is not None


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_cut_and_sealed_again(engine: HostEngine, name: str) -> None:
    """A shorter blob whose header and checksum agree: what is missing must be noticed by itself."""
    data = bytes(sample_blobs.SAMPLES[name]().data)
    for length in range(64, len(data), 4):
        shorter = bytearray(data[:length])
        struct.pack_into("<I", shorter, 8, length)
        try_to_run(engine, b.seal(shorter))


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_every_bit_flipped(engine: HostEngine, name: str) -> None:
    """Without the checksum repaired every flip is refused."""
    data = bytearray(sample_blobs.SAMPLES[name]().data)
    for position in range(0, len(data), 3):
        damaged = data.copy()
        damaged[position] ^= 1 << position % 8
        assert engine.check(bytes(damaged)) is not None


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_every_bit_flipped_and_sealed(engine: HostEngine, name: str) -> None:
    data = bytearray(sample_blobs.SAMPLES[name]().data)
    accepted = 0
    for position in range(16, len(data)):
        for bit in range(8):
            damaged = data.copy()
            damaged[position] ^= 1 << bit
            accepted += try_to_run(engine, b.seal(damaged))
    assert accepted > 0  # flips in zero points, scales and weights are sound blobs


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_words_of_extreme_values(engine: HostEngine, name: str) -> None:
    """Every 16- and 32-bit field takes the values where arithmetic overflows."""
    data = bytearray(sample_blobs.SAMPLES[name]().data)
    for position in range(16, len(data) - 3, 2):
        for code, value in (
            ("H", 0), ("H", 1), ("H", 0x7FFF), ("H", 0x8000), ("H", 0xFFFF),
            ("I", 0), ("I", 0x7FFFFFFF), ("I", 0x80000000), ("I", 0xFFFFFFFF), ("I", len(data)),
        ):  # fmt: skip
            damaged = data.copy()
            struct.pack_into("<" + code, damaged, position, value)
            try_to_run(engine, b.seal(damaged))


def test_random_records(engine: HostEngine) -> None:
    """Several fields at once, from values that are plausible for some field."""
    random = np.random.default_rng(1)
    values = [0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 18, 24, 27, 64, 104, 127, 128, 255, 256, 2048, 65535]
    names = list(sample_blobs.SAMPLES)
    for _ in range(20000):
        data = bytearray(sample_blobs.SAMPLES[names[random.integers(len(names))]]().data)
        for _ in range(random.integers(1, 5)):
            position = int(random.integers(8, min(len(data), 240) // 2)) * 2
            struct.pack_into("<H", data, position, values[random.integers(len(values))])
        try_to_run(engine, b.seal(data))


def test_random_bytes(engine: HostEngine) -> None:
    random = np.random.default_rng(2)
    header = bytes(sample_blobs.conv_2d().data[:64])
    for _ in range(2000):
        body = bytearray(header + random.bytes(int(random.integers(0, 400)) * 4))
        struct.pack_into("<I", body, 8, len(body))
        try_to_run(engine, b.seal(body))
