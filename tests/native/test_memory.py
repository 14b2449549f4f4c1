"""The engine touches the arena it asks for, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import sample_blobs
from host_engine import STATUS, EngineError, HostEngine


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_samples(engine: HostEngine, name: str) -> None:
    """The harness puts guard bytes around it, and compares two runs on differently filled memory."""
    data = sample_blobs.SAMPLES[name]().data
    engine.load(bytes(data))
    (arena_bytes,) = np.frombuffer(data, "<u4", 1, 16)
    inputs = [bytes(tensor.elements) for tensor in engine.tensors[: engine.input_count]]
    use = engine.memory_use(inputs)
    assert use.deterministic
    assert use.arena_bytes == arena_bytes


def test_wrong_input_length(engine: HostEngine) -> None:
    engine.load(bytes(sample_blobs.conv_2d().data))
    with pytest.raises(EngineError, match="input 0 has 18 elements, got 17"):
        engine.run([bytes(17)])


def test_run_until(engine: HostEngine) -> None:
    """After the first COPY the output holds only its part."""
    engine.load(bytes(sample_blobs.copy().data))
    inputs = [bytes([1, 2, 3, 4]), bytes([10, 20])]
    partial = engine.run(inputs, until=0)[0].reshape(-1)
    assert partial[[0, 1, 3, 4]].tolist() == [1, 2, 3, 4]
    assert partial[[2, 5]].tolist() == [-91, -91]  # the harness' fill, 0xA5
    assert engine.run(inputs)[0].tolist() == [[1, 2, 10], [3, 4, 20]]
    assert engine.tensor(1).tolist() == [[10], [20]]


def arena_of_sample(engine: HostEngine) -> int:
    data = bytes(sample_blobs.conv_2d_huffman().data)
    engine.load(data)
    return int.from_bytes(data[16:20], "little")


def test_bind(engine: HostEngine) -> None:
    arena = arena_of_sample(engine)
    assert engine.step(0) == STATUS["NOT_BOUND"]
    assert engine.bind(arena, 0, arena) == 0
    assert engine.step(0) == 0
    assert engine.step(1) == STATUS["BAD_OPERATOR"]
    assert engine.step(0xFFFFFFFF) == STATUS["BAD_OPERATOR"]
    assert engine.bind(arena + 100, 40, arena + 60) == 0  # more than is needed


def test_bind_refuses(engine: HostEngine) -> None:
    arena = arena_of_sample(engine)
    for less in (arena - 1, 30, 0):
        assert engine.bind(arena, 0, less) == STATUS["SMALL_MEMORY"]
    for skew in (1, 2, 3):
        assert engine.bind(arena + 4, skew, arena) == STATUS["BAD_ALIGNMENT"]
    for offset in (0, 64):
        assert engine.bind(arena, offset, arena, arena_in_blob=True) == STATUS["SHARED_MEMORY"]
    assert engine.step(0) == STATUS["NOT_BOUND"]
