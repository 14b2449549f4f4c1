"""Convolutions with kernel 1 equal the reference: chains of them, over their inputs wherever they can be, and extremes.

Everything in both forms of the C code: with one multiplication for two pixels, and as for Cortex-M4.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from host_engine import HostEngine
from random_chains import chain
from smidgen.blob.writer import write_blob
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator, WindowParameters
from smidgen.plan import make_plan
from smidgen.plan.kernels import PAIRS
from smidgen.reference import run_network


@pytest.fixture(scope="module", params=[False, True], ids=["pairs", "dsp"])
def engine(request: pytest.FixtureRequest) -> Iterator[HostEngine]:
    with HostEngine(dsp=request.param) as running:
        yield running


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


def _convolution(
    kind: Kind,
    size: tuple[int, int],
    depth: int,
    kernel: tuple[int, int],
    weights: np.ndarray,
    zero_point: int = -7,
    **numbers: object,
) -> Network:
    """A single convolution without padding that sees a picture of this size."""
    height, width = (size[axis] - kernel[axis] + 1 for axis in range(2))
    channels = len(weights)
    operator = WeightedOperator(
        kind, 0, 1, -128, 127, weights=weights.astype(np.int8),
        bias=np.asarray(numbers.get("bias", np.zeros(channels)), np.int32),
        multiplier=np.asarray(numbers.get("multiplier", np.full(channels, 2**30 + 12345)), np.int32),
        shift=np.asarray(numbers.get("shift", np.full(channels, -10)), np.int32),
        window=WindowParameters(kernel, (1, 1), (1, 1), (0, 0)),
    )  # fmt: skip
    tensors = [NetworkTensor((1, *size, depth), 1.0, 5), NetworkTensor((1, height, width, channels), 1.0, zero_point)]
    return Network(tensors, [operator], 1, 1)


def _compare(engine: HostEngine, network: Network, samples: list[np.ndarray]) -> None:
    for limit in (0, 2**18):
        plan = make_plan(network, arena_limit=limit)
        assert [kernel.kernel for kernel in plan.kernels.values()] == [PAIRS]
        engine.load(write_blob(plan))
        for sample in samples:
            data = sample.astype(np.int8)
            np.testing.assert_array_equal(engine.run([data])[0], run_network(plan.network, [data])[0])


@pytest.mark.parametrize("depth", [1, 3, 4, 8])
@pytest.mark.parametrize("kernel", [(1, 1), (1, 2), (3, 3), (2, 5)])
@pytest.mark.parametrize("kind", [Kind.CONV_2D, Kind.DEPTHWISE_CONV_2D])
def test_extreme_products(engine: HostEngine, kind: Kind, kernel: tuple[int, int], depth: int) -> None:
    """Two products of -128 by -128 are one more than a half of a word holds."""
    random = np.random.default_rng(depth)
    taps = kernel[0] * kernel[1] * (depth if kind == Kind.CONV_2D else 1)
    channels = 3 * depth if kind == Kind.DEPTHWISE_CONV_2D else 7
    weights = random.choice([-128, 127], (channels, taps))
    weights[0], weights[1] = -128, 127
    size = (6, 7)
    shape = (1, *size, depth)
    samples = [np.full(shape, -128), np.full(shape, 127), *(random.choice([-128, 127], shape) for _ in range(5))]
    samples.append(np.where(np.arange(size[0])[:, None, None] % 2 == 0, -128, 127) * np.ones(shape))
    _compare(engine, _convolution(kind, size, depth, kernel, weights), samples)


@pytest.mark.parametrize("zero_point", [-128, -7, 127])
@pytest.mark.parametrize("multiplier", [0, 1, 2**30, 2**30 + 1, 0x55555555, 2**31 - 1])
def test_extreme_requantisation(engine: HostEngine, multiplier: int, zero_point: int) -> None:
    """All shifts, and sums around every halfway case, in steps of one."""
    shifts = np.arange(-31, 31)
    halves = np.array([0.5, -0.5, 1.5, -1.5, 60.5, -60.5, 120.5, -120.5, 134.5, -121.5])
    shift, half = (np.array(values) for values in zip(*product(shifts, halves), strict=True))
    exact = half * 2.0 ** (31 - shift) / max(multiplier, 1)
    bias = np.clip(exact, -(2**31) + 200, 2**31 - 200).astype(np.int64)
    network = _convolution(
        Kind.CONV_2D, (4, 5), 1, (1, 1), np.ones((len(shift), 1)), zero_point,
        bias=bias, multiplier=np.full(len(shift), multiplier), shift=shift,
    )  # fmt: skip
    _compare(engine, network, [np.arange(-5, 15).reshape(1, 4, 5, 1)])
