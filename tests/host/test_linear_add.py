"""ADDs as one linear form: the same output for every pair of elements, and found for nearly all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smidgen import network as n
from smidgen.lower import add_factors
from smidgen.network import BinaryOperator, Kind, LinearAddOperator, LookupOperator, Network, NetworkTensor
from smidgen.plan.linear_add import equivalent_linear_add, use_linear_adds
from smidgen.plan.value_ranges import value_range
from smidgen.reference.kernels import run_operator
from smidgen.requantization import quantize_multiplier

ALL = np.arange(-128, 128)


def addition(scales: tuple[float, float, float], zero_points: tuple[int, int, int] = (0, 0, 0), low: int = -128,
             high: int = 127) -> tuple[Network, BinaryOperator]:  # fmt: skip
    """Scales are rounded to float32, as those of model files are."""
    rounded = [float(np.float32(scale)) for scale in scales]
    tensors = [NetworkTensor((65536,), scale, zero) for scale, zero in zip(rounded, zero_points, strict=True)]
    pairs = [quantize_multiplier(real) for real in add_factors(*rounded)]
    operator = BinaryOperator(
        Kind.ADD, 0, 2, low, high, input2=1, multipliers=tuple(m for m, _ in pairs), shifts=tuple(s for _, s in pairs)
    )
    return Network(tensors, [operator], 2, 1), operator


def outputs(network: Network, operator: n.NetworkOperator) -> np.ndarray:
    values = {0: np.repeat(ALL, 256).astype(np.int8), 1: np.tile(ALL, 256).astype(np.int8)}
    return run_operator(network, operator, values, np.zeros(0, np.int8))


def random_addition(random: np.random.Generator) -> tuple[Network, BinaryOperator]:
    """Input scales up to a factor of 40 apart, outputs that are saturated often or never, half of them after a ReLU."""
    first, second = np.exp(random.uniform(np.log(0.005), np.log(0.2), 2))
    zero_points = [int(zero) for zero in random.integers(-128, 128, 3)]
    low = zero_points[2] if random.random() < 0.5 else -128
    return addition((first, second, (first + second) * random.uniform(0.2, 1.3)), tuple(zero_points), low)


def round_addition(random: np.random.Generator) -> tuple[Network, BinaryOperator]:
    """Scales that are 0.01 times small integers."""
    first, second = random.integers(3, 40, 2)
    output = random.integers(max(first, second), first + second + 1)
    zero_points = [int(zero) for zero in random.integers(-128, 128, 3)]
    return addition((first * 0.01, second * 0.01, output * 0.01), tuple(zero_points))


@pytest.mark.parametrize(("make", "count", "least"), [(random_addition, 150, 147), (round_addition, 40, 20)])
def test_nearly_every_addition_has_a_linear_form(make: Any, count: int, least: int) -> None:
    random = np.random.default_rng(1)
    found = 0
    for _ in range(count):
        network, operator = make(random)
        linear = equivalent_linear_add(network, operator)
        if linear is not None:
            found += 1
            np.testing.assert_array_equal(outputs(network, linear), outputs(network, operator))
    print(f"{found} of {count} additions have a linear form ({make.__name__})")
    assert found >= least


TIES = [(1, 1, 1), (1, 1, 2), (1, 0.5, 1), (0.25, 0.5, 1), (1, 1, 4), (1, 3, 2), (3, 5, 8), (1, 1, 0.5),
        (1 / 3, 2 / 3, 1), (0.1, 0.2, 0.3), (1, 1 / 128, 1), (1, 1e-5, 1), (1, 1, 300), (1, 1, 1e6)]  # fmt: skip


@pytest.mark.parametrize("scales", TIES)
@pytest.mark.parametrize("zero_points", [(0, 0, 0), (-128, -128, -128), (17, -3, 120)])
def test_ties_and_extreme_scales(scales: tuple[float, float, float], zero_points: tuple[int, int, int]) -> None:
    """Halves are rounded away from zero on both sides; outputs may be constant."""
    for low, high in ((-128, 127), (zero_points[2], 127), (5, 5)):
        network, operator = addition(scales, zero_points, low, high)
        linear = equivalent_linear_add(network, operator)
        assert linear is not None, (low, high)
        np.testing.assert_array_equal(outputs(network, linear), outputs(network, operator))


def test_the_plain_kernel_stays_where_there_is_no_linear_form() -> None:
    """0.5 x + 0.7 y: exact halves, which TFLite's scaled operands round up or down without a rule."""
    network, operator = addition((0.05, 0.07, 0.1), (-4, 9, -4))
    assert equivalent_linear_add(network, operator) is None
    assert use_linear_adds(network).operators == [operator]


def test_only_values_that_occur_matter() -> None:
    """After a clamp to 0 .. 1 and with a constant of two values even that addition has a form, right for those."""
    network, operator = addition((0.05, 0.07, 0.1), (-4, 9, -4))
    constant = replace(network.tensors[1], data=np.array([-3, 11], np.int8))
    clamped = LookupOperator(Kind.LOOKUP, 3, 0, table=np.clip(ALL, 0, 1).astype(np.int8))
    tensors = [network.tensors[0], constant, network.tensors[2], network.tensors[0]]
    linear = equivalent_linear_add(Network(tensors, [clamped, operator], 1, 1), operator)
    assert linear is not None
    for x in (0, 1):
        values = {0: np.full(2, x, np.int8), 1: np.array([-3, 11], np.int8)}
        before = np.zeros(0, np.int8)
        np.testing.assert_array_equal(
            run_operator(network, linear, values, before), run_operator(network, operator, values, before)
        )


def test_a_tensor_added_to_itself() -> None:
    network, operator = addition((0.03, 0.03, 0.0571), (5, 5, -2))
    doubled = replace(operator, input2=0)
    linear = equivalent_linear_add(network, doubled)
    assert linear is not None and linear.inputs == (0, 0)
    values = {0: ALL.astype(np.int8)}
    before = np.zeros(0, np.int8)
    np.testing.assert_array_equal(
        run_operator(network, linear, values, before), run_operator(network, doubled, values, before)
    )


def test_value_ranges() -> None:
    """Of inputs, clamps, tables, constants, and tensors that several operators write."""
    tensors = [NetworkTensor((4,), 1.0, 0) for _ in range(6)]
    tensors.append(NetworkTensor((2,), 1.0, 0, np.array([-7, 3], np.int8)))
    table = np.arange(-128, 128).astype(np.int8)[::-1]
    operators = [
        n.PoolOperator(Kind.MAX_POOL_2D, 0, 1, -5, 6),
        LookupOperator(Kind.LOOKUP, 1, 2, table=table),
        n.MeanOperator(Kind.MEAN, 2, 3),
        n.CopyOperator(Kind.COPY, 1, 4, chunk=2, stride=4),
        n.CopyOperator(Kind.COPY, 1, 4, chunk=2, stride=4, start=2),
        LinearAddOperator(Kind.ADD, 4, 5, 0, 127, input2=6),
    ]
    network = Network(tensors, operators, 1, 1)
    ranges = [value_range(network, index) for index in range(7)]
    assert ranges == [(-128, 127), (-5, 6), (-7, 4), (-128, 127), (-128, 127), (0, 127), (-7, 3)]
