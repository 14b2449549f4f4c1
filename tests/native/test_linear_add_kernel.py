"""ADD as one linear form in the engine, in C and in the assembly for Cortex-M0+: any numbers, any broadcast."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from host_engine import HostEngine
from smidgen.blob.writer import write_blob
from smidgen.network import Kind, LinearAddOperator, Network, NetworkTensor
from smidgen.plan import make_plan
from smidgen.reference import run_network

# (p, q), r, n: an ordinary one; sums that wrap in either direction; no shift; the largest shift; factors of 0
FORMS = [
    ((3_000_001, -2_000_003), 12_345_678, 22),
    ((2**31 - 1, 2**31 - 1), 2**31 - 1, 24),
    ((-(2**31), -(2**31) + 1), -(2**31), 20),
    ((1, -1), 5, 0),
    ((2**30, 2**29), -1, 31),
    ((0, 0), -7, 1),
]
# elements of x, elements of y, repeat
BROADCASTS = [(12, 12, 1), (12, 3, 1), (12, 1, 1), (12, 3, 2), (12, 3, 4), (12, 1, 12), (12, 2, 6), (1, 1, 1)]
CLAMPS = [(-128, 127), (-3, 90), (5, 5)]


def network(factors: tuple[int, int], offset: int, exponent: int, broadcast: tuple[int, int, int],
            clamp: tuple[int, int]) -> Network:  # fmt: skip
    elements, elements2, repeat = broadcast
    tensors = [NetworkTensor((size,), 1.0, 0) for size in (elements, elements2, elements)]
    operator = LinearAddOperator(
        Kind.ADD, 0, 2, *clamp, input2=1, repeat=repeat, factors=factors, offset=offset, exponent=exponent
    )
    return Network(tensors, [operator], 2, 1)


def samples(subject: Network) -> list[list[np.ndarray]]:
    random = np.random.default_rng(3)
    sizes = [subject.tensors[index].elements for index in subject.inputs]
    extreme = [random.choice(np.array([-128, 127], np.int8), size) for size in sizes]
    return [extreme, *([random.integers(-128, 128, size).astype(np.int8) for size in sizes] for _ in range(3))]


@pytest.mark.parametrize("broadcast", BROADCASTS, ids=str)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_engine_equals_reference(engine: HostEngine, form: Any, broadcast: tuple[int, int, int]) -> None:
    for clamp in CLAMPS:
        subject = network(*form, broadcast, clamp)
        engine.load(write_blob(make_plan(subject)))
        for sample in samples(subject):
            np.testing.assert_array_equal(engine.run(sample)[0].reshape(-1), run_network(subject, sample)[0])


def test_wrapping_by_hand(engine: HostEngine) -> None:
    """127 * (2^31 - 1) + 2 + 2^30 is 2^31 * 63 + 2^30 - 125, of which an i32 holds 2^30 - 125 - 2^31."""
    subject = network((2**31 - 1, 1), 2**30, 24, (1, 1, 1), (-128, 127))
    engine.load(write_blob(make_plan(subject)))
    assert engine.run([np.array([127], np.int8), np.array([2], np.int8)])[0].tolist() == [-65]


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_cortex_m0plus_equals_reference(form: Any) -> None:
    """BareModel.run compares each operator's output with the reference."""
    pytest.importorskip("elftools", reason="the package pyelftools is not installed")
    from benchmarks.bare import BareEngine
    from benchmarks.bare_image import build_image

    engine = BareEngine(build_image())
    for broadcast in BROADCASTS:
        for clamp in CLAMPS:
            subject = network(*form, broadcast, clamp)
            model = engine.load(write_blob(make_plan(subject)))
            for sample in samples(subject):
                assert sum(operator.cycles for operator in model.run(sample)) > 0
