"""Chains of convolutions with kernel 1, over their inputs wherever they can be: the C engine equals the reference."""

from __future__ import annotations

import numpy as np
import pytest

from host_engine import HostEngine
from random_chains import chain
from smidgen.blob.writer import write_blob
from smidgen.plan import make_plan
from smidgen.plan.kernels import PAIRS
from smidgen.reference import run_network


@pytest.mark.parametrize("limit", [0, 1500, 2**18])
@pytest.mark.parametrize("seed", range(60))
def test_engine_equals_reference(engine: HostEngine, seed: int, limit: int) -> None:
    plan = make_plan(chain(seed), arena_limit=limit)
    assert all(kernel.kernel == PAIRS for kernel in plan.kernels.values())
    engine.load(write_blob(plan))
    random = np.random.default_rng(seed)
    shape = plan.network.tensors[0].shape
    for sample in (random.integers(-128, 128, shape), random.choice([-128, 127], shape)):
        data = sample.astype(np.int8)
        np.testing.assert_array_equal(engine.run([data])[0], run_network(plan.network, [data])[0])
    use = engine.memory_use([np.zeros(shape, np.int8)])
    assert use.deterministic
    assert use.arena_bytes == plan.arena_bytes


def test_the_chains_do_overlap() -> None:
    """Else the test above would say nothing about it."""
    saved = 0
    for seed in range(60):
        plan = make_plan(chain(seed), arena_limit=0)
        for operator in plan.network.operators:
            source, result = (plan.network.tensors[index].elements for index in (operator.input, operator.output))
            start, end = plan.arena_offsets[operator.input], plan.arena_offsets[operator.output]
            assert start is not None and end is not None
            saved += start < end + result and end < start + source
    assert saved >= 60
