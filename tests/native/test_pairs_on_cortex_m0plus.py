"""Random networks on an emulated Cortex-M0+, where kernel 1 compiles weights: each output, any workspace."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("elftools", reason="the package pyelftools is not installed")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("arm-none-eabi-gcc is not installed", allow_module_level=True)

from benchmarks.bare import BareEngine
from benchmarks.bare_image import build_image

from random_chains import chain
from random_graphs import graphs
from smidgen.blob.writer import write_blob
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import Kind
from smidgen.passes import simplify
from smidgen.plan import make_plan


@pytest.fixture(scope="module")
def engine() -> BareEngine:
    return BareEngine(build_image())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), scratch_limit=st.sampled_from([0, 500, 1500, 4096, 2**15]), seed=st.integers(0, 2**32 - 1))
def test_random_graphs(engine: BareEngine, graph: Graph, scratch_limit: int, seed: int) -> None:
    """BareModel.run compares each operator's output with the reference."""
    plan = make_plan(lower(simplify(graph)), scratch_limit=scratch_limit)
    assume(not any(operator.kind == Kind.COPY for operator in plan.network.operators))  # a part of a tensor each
    shape = plan.network.tensors[0].shape
    random = np.random.default_rng(seed)
    model = engine.load(write_blob(plan))
    for sample in (random.integers(-128, 128, shape), random.choice([-128, 127], shape)):
        assert sum(operator.cycles for operator in model.run([sample.astype(np.int8)])) > 0


@pytest.mark.parametrize("scratch_limit", [0, 3000, 2**17])
@pytest.mark.parametrize("seed", range(20))
def test_random_chains(engine: BareEngine, seed: int, scratch_limit: int) -> None:
    plan = make_plan(chain(seed), scratch_limit=scratch_limit)
    model = engine.load(write_blob(plan))
    sample = np.random.default_rng(seed).integers(-128, 128, plan.network.tensors[0].shape)
    assert sum(operator.cycles for operator in model.run([sample.astype(np.int8)])) > 0
