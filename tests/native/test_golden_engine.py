"""The same golden vectors in the C engine under sanitizers, and the memory that it touches."""

from __future__ import annotations

import numpy as np
import pytest

from host_engine import HostEngine
from models import INT8_MODELS, golden_path, packed_model


@pytest.mark.parametrize("name", INT8_MODELS)
def test_all_golden_vectors_are_exact(engine: HostEngine, name: str) -> None:
    golden = np.load(golden_path(name))
    engine.load(packed_model(name).data)
    for number, (sample, expected) in enumerate(zip(golden["input"], golden["output"], strict=True)):
        result = engine.run([sample])[0]
        np.testing.assert_array_equal(result.reshape(-1), expected.reshape(-1), err_msg=f"vector {number}")


@pytest.mark.parametrize("name", INT8_MODELS)
def test_memory_in_the_header_is_what_the_engine_touches(engine: HostEngine, name: str) -> None:
    packed = packed_model(name)
    engine.load(packed.data)
    use = engine.memory_use([np.load(golden_path(name))["input"][0]])
    assert use.arena_bytes == packed.blob.arena_bytes
    assert use.deterministic
