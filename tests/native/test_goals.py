"""Blobs of one network that were planned for different goals give the same outputs in the engine."""

from __future__ import annotations

import numpy as np
import pytest

from host_engine import HostEngine
from models import INT8_MODELS, golden_path, packed_model
from smidgen.plan.optimize import Goal

VECTORS = 2  # of 32: the engine and the reference are compared on all of them elsewhere


@pytest.mark.parametrize("goal", Goal)
@pytest.mark.parametrize("name", INT8_MODELS)
def test_golden_vectors_are_exact_for_every_goal(engine: HostEngine, name: str, goal: Goal) -> None:
    golden = np.load(golden_path(name))
    engine.load(packed_model(name, goal).data)
    for sample, expected in zip(golden["input"][:VECTORS], golden["output"][:VECTORS], strict=True):
        np.testing.assert_array_equal(engine.run([sample])[0].reshape(-1), expected.reshape(-1))
