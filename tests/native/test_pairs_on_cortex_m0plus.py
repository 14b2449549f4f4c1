"""Random networks on an emulated Cortex-M0+, where kernel 1 compiles weights: each output, any workspace."""

from __future__ import annotations

import shutil
from dataclasses import replace

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
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator, WindowParameters
from smidgen.passes import simplify
from smidgen.plan import make_plan
from smidgen.plan.thumb_code import UNUSED_BITS


@pytest.fixture(scope="module")
def engine() -> BareEngine:
    return BareEngine(build_image())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), arena_limit=st.sampled_from([0, 500, 1500, 4096, 2**15]), seed=st.integers(0, 2**32 - 1))
def test_random_graphs(engine: BareEngine, graph: Graph, arena_limit: int, seed: int) -> None:
    """BareModel.run compares each operator's output with the reference."""
    plan = make_plan(lower(simplify(graph)), arena_limit=arena_limit)
    assume(not any(operator.kind == Kind.COPY for operator in plan.network.operators))  # a part of a tensor each
    shape = plan.network.tensors[0].shape
    random = np.random.default_rng(seed)
    model = engine.load(write_blob(plan))
    for sample in (random.integers(-128, 128, shape), random.choice([-128, 127], shape)):
        assert sum(operator.cycles for operator in model.run([sample.astype(np.int8)])) > 0


@pytest.mark.parametrize("arena_limit", [0, 3000, 2**17])
@pytest.mark.parametrize("seed", range(20))
def test_random_chains(engine: BareEngine, seed: int, arena_limit: int) -> None:
    plan = make_plan(chain(seed), arena_limit=arena_limit)
    model = engine.load(write_blob(plan))
    sample = np.random.default_rng(seed).integers(-128, 128, plan.network.tensors[0].shape)
    assert sum(operator.cycles for operator in model.run([sample.astype(np.int8)])) > 0


def requantized(accumulator: int, multiplier: int, shift: int) -> int:
    """docs/format.md section 3, for shifts of at most 0."""
    product = accumulator * multiplier
    value = (product + 2**30) >> 31
    mask = 2**-shift - 1
    return (value >> -shift) + ((value & mask) > (mask >> 1) + (value < 0))


def sensitive_case(random: np.random.Generator, shift: int, lowest: int, zeros: int, lost: int) -> tuple[int, int]:
    """A multiplier that ends in so many zeros, and an accumulator whose output changes when its last bits are lost."""
    while True:
        multiplier = int(random.integers(2**30, 2**31)) >> zeros << zeros | 1 << zeros
        for output in range(lowest + 1, lowest + 256):
            accumulator = int((output - 0.5) * 2 ** (31 - shift) / multiplier)
            for near in range(accumulator - 2, accumulator + 4):
                cut = multiplier >> lost << lost
                if requantized(near, multiplier, shift) != requantized(near, cut, shift):
                    return multiplier, near


@pytest.mark.parametrize(("zeros", "lost"), [(0, UNUSED_BITS), (UNUSED_BITS, UNUSED_BITS + 1)], ids=["long", "short"])
@pytest.mark.parametrize("shift", [-8, -9, -10])
@pytest.mark.parametrize("zero_point", [-128, 4])
def test_all_bits_of_multipliers_count(engine: BareEngine, zero_point: int, shift: int, zeros: int, lost: int) -> None:
    """Long ones are not cut, the last bit of short ones is used: a blob may have any."""
    random = np.random.default_rng(128 + zero_point - shift)
    cases = [sensitive_case(random, shift, -128 - zero_point, zeros, lost) for _ in range(6)]
    multipliers = np.array([multiplier for multiplier, _ in cases], np.int64)
    convolution = WeightedOperator(
        Kind.CONV_2D, 0, 1,
        weights=np.ones((6, 1), np.int8),
        bias=np.array([accumulator for _, accumulator in cases], np.int32),
        multiplier=multipliers.astype(np.int32),
        shift=np.full(6, shift, np.int32),
        window=WindowParameters((1, 1)),
    )  # fmt: skip
    tensors = [NetworkTensor((1, 2, 2, 1), 1.0, 0), NetworkTensor((1, 2, 2, 6), 1.0, zero_point)]
    plan = make_plan(Network(tensors, [convolution], 1, 1), arena_limit=2**16)
    plan.network = replace(plan.network, operators=[convolution])
    sample = np.array([0, -1, 1, -2], np.int8).reshape(1, 2, 2, 1)
    model = engine.load(write_blob(plan))
    assert sum(operator.cycles for operator in model.run([sample])) > 0
