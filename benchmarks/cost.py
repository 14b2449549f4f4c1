"""The cost model beside what it predicts, and its fit.

    python -m benchmarks.cost                 predicted and measured cycles of all networks and layers
    python -m benchmarks.cost --update        fit it anew, on the bare engine, sim:pico and QEMU, and store it
    python -m benchmarks.cost --update --bare cycles only; instructions and the module's size stay as they were

The costs of steps are fitted by least squares of relative errors, none below zero: for armv6m to the cycles of every
operator on the bare Cortex-M0+, for the other architectures to the instructions of whole networks. They are stored in
host/smidgen/plan/cost_data.json with what they were fitted on and how well they agree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.bare import BareEngine, WrongResult
from benchmarks.bare_image import BuildError, build_image
from benchmarks.board_run import BoardRun, WrongOutput
from benchmarks.cortex_m0plus import MachineError
from benchmarks.cost_cases import Case, MissingModels, plain_cases, planned_otherwise
from benchmarks.firmware import find_files, run_on_pico
from benchmarks.instructions import BOARDS, instructions, run_counting
from benchmarks.least_squares import nonnegative_least_squares
from benchmarks.measure import measure
from benchmarks.tables import console, predictions_table

from smidgen.errors import SmidgenError
from smidgen.link import natmod
from smidgen.plan.cost import CYCLES, DATA
from smidgen.plan.cost_pairs import COMPILED
from smidgen.plan.cost_steps import Steps

CALL = "call"  # a step of whole inferences, where MicroPython is measured too


@dataclass(frozen=True)
class Observation:
    """Steps that took so many cycles or instructions. case: of which network; its residual is stored."""

    case: str
    steps: Steps
    cost: float


def observe_cycles(cases: Sequence[Case]) -> list[Observation]:
    """One for each operator, on the bare engine."""
    engine = BareEngine(build_image())
    found = []
    for case in cases:
        operators = measure(engine, case.model).operators
        found += [
            Observation(case.name, steps, operator.cycles)
            for steps, operator in zip(case.steps(CYCLES), operators, strict=True)
        ]
    return found


def fit(observations: Sequence[Observation], known: dict[str, float]) -> dict[str, float]:
    """The cost of each step, by its name; those in `known` are given."""
    names = sorted({name for observation in observations for name in observation.steps} - known.keys())
    matrix = np.array([[observation.steps[name] for name in names] for observation in observations], np.float64)
    given = [sum(observation.steps[name] * cost for name, cost in known.items()) for observation in observations]
    costs = np.array([observation.cost for observation in observations])
    solution = nonnegative_least_squares(matrix / costs[:, np.newaxis], 1 - np.array(given) / costs)
    return dict(zip(names, solution.tolist(), strict=True))


def residuals(observations: Sequence[Observation], costs: dict[str, float]) -> dict[str, tuple[float, float]]:
    """By case: what the model says, and what was measured."""
    sums: dict[str, tuple[float, float]] = {}
    for observation in observations:
        predicted = sum(count * costs[step] for step, count in observation.steps.items())
        before = sums.get(observation.case, (0.0, 0.0))
        sums[observation.case] = before[0] + predicted, before[1] + observation.cost
    return sums


def _fitted(observations: Sequence[Observation], known: dict[str, float], sizes: dict[str, int]) -> dict[str, Any]:
    """An architecture's entry in the data."""
    costs = {name: round(cost, 3) for name, cost in fit(observations, known).items()}
    sums = residuals(observations, {**costs, **known})
    errors = [
        sum(count * {**costs, **known}[step] for step, count in observation.steps.items()) / observation.cost - 1
        for observation in observations
    ]
    return {
        **sizes,
        "observations": len(observations),
        "relative_rms": round(float(np.sqrt(np.mean(np.square(errors)))), 4),
        "costs": costs,
        "residuals": {case: round(predicted / measured - 1, 4) for case, (predicted, measured) in sums.items()},
    }


def _fit_cycles(cases: Sequence[Case], sizes: dict[str, int]) -> dict[str, Any]:
    variants = [variant for case in cases for variant in planned_otherwise(case)]
    return _fitted(observe_cycles([*cases, *variants]), {COMPILED: 1.0}, sizes)


def _sizes(arch: str, case: Case, run: BoardRun) -> dict[str, int]:
    """What the module and a model's objects took in a run with the blob in the heap."""
    blob = case.model.blob
    return {
        "module_heap_bytes": run.import_bytes,
        "model_heap_bytes": run.model_bytes - blob.blob_bytes - blob.arena_bytes,
        "module_file_bytes": natmod.find(arch).stat().st_size,
    }


def _fit_instructions(arch: str, cases: Sequence[Case]) -> dict[str, Any]:
    observations = []
    for case in cases:
        run = run_counting(case.model, arch)
        steps = sum(case.steps(arch), Steps({CALL: 1}))
        observations.append(Observation(case.name, steps, instructions(run)))
        if case is cases[0]:
            sizes = _sizes(arch, case, run)
    return _fitted(observations, {}, sizes)


def _update(bare: bool) -> None:
    """The first case is a network that fits in every heap."""
    stored = json.loads(DATA.read_text("utf-8")) if DATA.exists() else {"architectures": {}}
    architectures = stored["architectures"]
    cases = list(plain_cases())
    if bare:
        sizes = {name: value for name, value in architectures.get(CYCLES, {}).items() if name.endswith("_bytes")}
    else:
        sizes = _sizes(CYCLES, cases[0], run_on_pico(cases[0].model, find_files(), profile=False))
    architectures[CYCLES] = _fit_cycles(cases, sizes)
    _say(f"{CYCLES}: fitted to {architectures[CYCLES]['observations']} operators")
    coded = [variant for case in cases if case.name.startswith("fully") for variant in planned_otherwise(case)]
    for arch in () if bare else BOARDS:
        architectures[arch] = _fit_instructions(arch, [*cases, *coded])
        _say(f"{arch}: fitted to {architectures[arch]['observations']} networks and layers")
    DATA.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    _say(f"wrote {DATA}")


def _show() -> None:
    fitted = json.loads(DATA.read_text("utf-8"))["architectures"][CYCLES]
    observations = observe_cycles(list(plain_cases()))
    console(stderr=False).print(predictions_table(residuals(observations, {**fitted["costs"], COMPILED: 1.0})))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0, 1 for a wrong result, 2 for wrong usage, 5 when something is missing or fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description="The cost model and its fit.")
    parser.add_argument("--update", action="store_true", help="fit the model to new measurements and store it")
    parser.add_argument("--bare", action="store_true", help="with --update: without boards, cycles only")
    arguments = parser.parse_args(argv)
    try:
        if arguments.update:
            _update(arguments.bare)
        _show()
    except (WrongResult, WrongOutput) as error:
        _say(f"wrong result: {error}")
        return 1
    except (BuildError, MachineError, MissingModels, SmidgenError, OSError) as error:
        _say(str(error))
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
