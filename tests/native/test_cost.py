"""The cost model against the bare Cortex-M0+: cycles are exact counts, so nothing here depends on time."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")

from benchmarks.bare import BareEngine
from benchmarks.bare_image import build_image
from benchmarks.cost import Observation, fit, residuals
from benchmarks.cost_cases import Case
from benchmarks.least_squares import nonnegative_least_squares
from benchmarks.measure import measure
from benchmarks.models import NAMES, load_model
from benchmarks.synthetic import FURTHER_LAYERS, LAYERS, synthetic_model

from smidgen.blob.execution import blob_executions
from smidgen.plan.cost import architectures, cost_model
from smidgen.plan.cost_steps import Steps

TOLERANCE = 0.1  # of the cycles of a network: beyond it, python -m benchmarks.cost --update
# Kernels whose time is that of the data are left out: how many elements of a softmax count, for instance.
LAYERS_THAT_AGREE = [name for name in LAYERS if name.startswith(("conv", "depthwise", "fully", "add", "mul"))]

needs_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)


@pytest.fixture(scope="module")
def engine() -> BareEngine:
    return BareEngine(build_image())


def difference(engine: BareEngine, name: str) -> float:
    """(predicted - measured) / measured cycles of a network or a layer; skips where it is absent."""
    model = load_model(name) if name in NAMES else synthetic_model(name)
    if model is None:
        pytest.skip("the folder of reference models is not here; set SMIDGEN_MODELS to it")
    predicted = sum(cost_model().operators(model.blob.network, blob_executions(model.blob)))
    return predicted / measure(engine, model).cycles - 1


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_networks_are_predicted(engine: BareEngine, name: str) -> None:
    assert abs(difference(engine, name)) < TOLERANCE, "fit the model: python -m benchmarks.cost --update"


@needs_compiler
@pytest.mark.parametrize("name", LAYERS_THAT_AGREE)
def test_layers_are_predicted(engine: BareEngine, name: str) -> None:
    assert abs(difference(engine, name)) < TOLERANCE, "fit the model: python -m benchmarks.cost --update"


@pytest.mark.parametrize("name", [*LAYERS, *FURTHER_LAYERS])
def test_every_step_has_a_cost(name: str) -> None:
    case = Case(synthetic_model(name))
    for arch in architectures():
        for steps in case.steps(arch):
            assert steps.keys() <= cost_model(arch).costs.keys(), "fit the model: python -m benchmarks.cost --update"


def test_fit_finds_the_costs() -> None:
    costs = {"load": 2.0, "multiply": 1.0, "given": 5.0}
    random = np.random.default_rng(0)
    observations = []
    for number in range(20):
        steps = Steps({name: int(random.integers(1, 100)) for name in costs})
        observations.append(
            Observation(f"case {number % 2}", steps, sum(steps[name] * cost for name, cost in costs.items()))
        )
    found = fit(observations, {"given": 5.0})
    assert found == pytest.approx({"load": 2.0, "multiply": 1.0})
    sums = residuals(observations, costs)
    assert set(sums) == {"case 0", "case 1"}
    assert all(predicted == pytest.approx(measured) for predicted, measured in sums.values())


def test_least_squares_stay_above_zero() -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(30, 5))
    target = matrix @ np.array([3.0, 0.0, -2.0, 1.0, -1.0])
    solution = nonnegative_least_squares(matrix, target)
    assert (solution >= 0).all()
    gradient = matrix.T @ (target - matrix @ solution)
    assert gradient[solution > 0] == pytest.approx(0, abs=1e-6)
    assert (gradient[solution == 0] <= 1e-6).all()
