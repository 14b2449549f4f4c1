"""The engine touches the arena and the scratch it asks for, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import sample_blobs
from host_engine import EngineError, HostEngine


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
