"""FULLY_CONNECTED against the reference: raw weights, decoded ones, and those multiplied as they are decoded.

On this computer under sanitizers, and on an emulated Cortex-M0+, where four output channels are computed in assembly.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from host_engine import HostEngine
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.huffman import build_code_table, symbol_counts
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator
from smidgen.plan import Coding, Plan, make_plan
from smidgen.plan.kernels import PLAIN, STREAMED
from smidgen.reference import run_network

Int8Array = NDArray[np.int8]
Run = Callable[[Plan, Int8Array], None]


def _skewed(random: np.random.Generator, shape: tuple[int, int]) -> Int8Array:
    """Counts that fall by half from symbol to symbol: code lengths from 1 to the longest, if there are enough."""
    return (random.geometric(0.5, shape).clip(1, 100) - 60).astype(np.int8)


WEIGHTS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Int8Array]] = {
    "normal": lambda random, shape: random.normal(0, 30, shape).round().clip(-128, 127).astype(np.int8),
    "uniform": lambda random, shape: random.integers(-128, 128, shape).astype(np.int8),
    "skewed": _skewed,
    "lowest": lambda random, shape: np.full(shape, -128, np.int8),
    "extremes": lambda random, shape: random.choice([-128, 127], shape).astype(np.int8),
}
SHAPES = [(1, 1), (2, 1), (4, 1), (3, 2), (4, 2), (4, 3), (5, 7), (6, 16), (7, 17), (8, 33), (9, 130), (64, 63)]


def _network(weights: Int8Array, inputs: Int8Array, zero_point: int) -> Network:
    """One operator whose outputs tell its sums to the unit: biases bring them near zero, and the factor is 1."""
    rows, channels = inputs.shape[0], len(weights)
    sums = (inputs[0].astype(np.int64) - zero_point) @ weights.T.astype(np.int64)
    operator = WeightedOperator(
        Kind.FULLY_CONNECTED, 0, 1,
        weights=weights,
        bias=(np.arange(channels) % 200 - 100 - sums).astype(np.int32),
        multiplier=np.full(channels, 2**30, np.int32),
        shift=np.full(channels, 1, np.int32),
    )  # fmt: skip
    tensors = [NetworkTensor(inputs.shape, 1.0, zero_point), NetworkTensor((rows, channels), 1.0, 0)]
    return Network(tensors, [operator], 1, 1)


def _plan(weights: Int8Array, inputs: Int8Array, coding: Coding, zero_point: int = -4) -> Plan:
    network = _network(weights, inputs, zero_point)
    plan = make_plan(network, coding=coding)
    plan.network = network  # its multipliers as they are
    return plan


@pytest.fixture(scope="module")
def on_host(engine: HostEngine) -> Run:
    def run(plan: Plan, inputs: Int8Array) -> None:
        data = write_blob(plan)
        engine.load(data)
        expected = run_network(read_blob(data).network, [inputs])[0]
        np.testing.assert_array_equal(engine.run([inputs])[0].reshape(-1), expected.reshape(-1))
        assert engine.memory_use([inputs]).arena_bytes == plan.arena_bytes

    return run


@pytest.fixture(scope="module")
def on_cortex_m0plus() -> Run:
    pytest.importorskip("elftools", reason="the package pyelftools is not installed")
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    from benchmarks.bare import BareEngine
    from benchmarks.bare_image import build_image

    engine = BareEngine(build_image())

    def run(plan: Plan, inputs: Int8Array) -> None:
        model = engine.load(write_blob(plan))
        assert sum(operator.cycles for operator in model.run([inputs])) > 0  # it compares with the reference

    return run


@pytest.fixture(params=["on_host", "on_cortex_m0plus"])
def run(request: pytest.FixtureRequest) -> Run:
    function: Run = request.getfixturevalue(request.param)
    return function


@pytest.mark.parametrize("coding", ["raw", "huffman"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_one_row(run: Run, kind: str, coding: Coding) -> None:
    random = np.random.default_rng(len(kind))
    for shape in SHAPES:
        weights = WEIGHTS[kind](random, shape)
        for inputs in (random.integers(-128, 128, (1, shape[1])), np.full((1, shape[1]), -128)):
            plan = _plan(weights, inputs.astype(np.int8), coding)
            assert plan.kernels[0].kernel == (PLAIN if coding == "raw" else STREAMED)
            run(plan, inputs.astype(np.int8))


@pytest.mark.parametrize("coding", ["raw", "huffman"])
def test_several_rows(run: Run, coding: Coding) -> None:
    random = np.random.default_rng(5)
    for channels, inputs_per_row in ((1, 3), (4, 5), (7, 12)):
        weights = WEIGHTS["normal"](random, (channels, inputs_per_row))
        inputs = random.integers(-128, 128, (3, inputs_per_row)).astype(np.int8)
        plan = _plan(weights, inputs, coding)
        assert plan.kernels[0].kernel == PLAIN
        run(plan, inputs)


@pytest.mark.parametrize("max_length", [8, 9, 12, 15])
@pytest.mark.parametrize("count", [4, 5])
def test_longest_codes(run: Run, count: int, max_length: int) -> None:
    """All lengths from 1 to the longest, each followed by each; streams end at any bit of a unit."""
    random = np.random.default_rng(max_length)
    symbols = np.arange(-8, -8 + max_length + 1)
    frequent = np.repeat(symbols, 2 ** np.arange(max_length, -1, -1))
    table = build_code_table(symbol_counts(frequent.astype(np.int8)), max_length)
    assert table.max_length == max_length and np.count_nonzero(table.lengths == 1) == 1
    for inputs_per_row in range(59, 75):
        weights = random.choice(symbols, (count, inputs_per_row)).astype(np.int8)
        inputs = random.integers(-128, 128, (1, inputs_per_row)).astype(np.int8)
        plan = _plan(weights, inputs, "huffman")
        plan.code_tables = [table]
        scratch_bytes = 512 + 4 * (max_length - 8)
        plan.kernels[0] = replace(plan.kernels[0], scratch_bytes=scratch_bytes)
        plan.scratch_bytes = scratch_bytes
        plan.scratch_offsets[0] = -(-plan.arena_bytes // 4) * 4  # behind all that was planned
        plan.arena_bytes = plan.scratch_offsets[0] + scratch_bytes
        run(plan, inputs)


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_zero_points(run: Run, zero_point: int) -> None:
    random = np.random.default_rng(zero_point + 128)
    weights = WEIGHTS["uniform"](random, (6, 40))
    inputs = random.choice([-128, 127], (1, 40)).astype(np.int8)
    for coding in ("raw", "huffman"):
        run(_plan(weights, inputs, coding, zero_point), inputs)
