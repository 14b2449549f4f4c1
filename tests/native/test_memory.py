"""The engine touches the arena and the scratch it asks for, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import sample_blobs
from host_engine import STATUS, EngineError, HostEngine


@pytest.mark.parametrize("name", sample_blobs.SAMPLES)
def test_samples(engine: HostEngine, name: str) -> None:
    """The harness puts guard bytes around both, and compares two runs on differently filled memory."""
    data = sample_blobs.SAMPLES[name]().data
    engine.load(bytes(data))
    arena_bytes, scratch_bytes = np.frombuffer(data, "<u4", 2, 16)
    inputs = [bytes(tensor.elements) for tensor in engine.tensors[: engine.input_count]]
    use = engine.memory_use(inputs)
    assert use.deterministic
    assert (use.arena_bytes, use.scratch_bytes) == (arena_bytes, scratch_bytes)


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


ARENA = 30  # of the sample conv_2d_huffman; its scratch begins at 32


def scratch_of_sample(engine: HostEngine) -> int:
    data = bytes(sample_blobs.conv_2d_huffman().data)
    engine.load(data)
    return int.from_bytes(data[20:24], "little")


def test_bind(engine: HostEngine) -> None:
    scratch = scratch_of_sample(engine)
    assert engine.step(0) == STATUS["NOT_BOUND"]
    assert engine.bind(32 + scratch, (0, ARENA), (32, scratch)) == 0
    assert engine.step(0) == 0
    assert engine.step(1) == STATUS["BAD_OPERATOR"]
    assert engine.step(0xFFFFFFFF) == STATUS["BAD_OPERATOR"]
    # In any order, side by side, and with more than is needed.
    assert scratch % 4 == 0
    assert engine.bind(scratch + ARENA, (scratch, ARENA), (0, scratch)) == 0
    assert engine.bind(2000, (0, 1000), (1000, 1000)) == 0


def test_bind_refuses(engine: HostEngine) -> None:
    scratch = scratch_of_sample(engine)
    block = 200 + scratch
    for arena, place in (
        ((0, ARENA - 1), (32, scratch)),
        ((0, ARENA), (32, scratch - 1)),
        ((0, 0), (32, 0)),
    ):
        assert engine.bind(block, arena, place) == STATUS["SMALL_MEMORY"]
    for skew in (1, 2, 3):
        assert engine.bind(block, (skew, ARENA), (40, scratch)) == STATUS["BAD_ALIGNMENT"]
        assert engine.bind(block, (0, ARENA), (40 + skew, scratch)) == STATUS["BAD_ALIGNMENT"]
    for arena_offset, scratch_offset in ((0, 0), (0, 28), (32, 32), (scratch + 28 & ~3, 32), (28, 4)):
        assert engine.bind(block, (arena_offset, ARENA), (scratch_offset, scratch)) == STATUS["SHARED_MEMORY"]
    assert engine.bind(block, (0, ARENA), (0, scratch), arena_in_blob=True) == STATUS["SHARED_MEMORY"]
    assert engine.bind(block, (64, ARENA), (0, scratch), arena_in_blob=True) == STATUS["SHARED_MEMORY"]
    assert engine.step(0) == STATUS["NOT_BOUND"]
