"""What the cost model is fitted to: networks and single layers, planned in several ways, and their steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.models import NAMES, BenchmarkModel, load_model
from benchmarks.synthetic import FURTHER_LAYERS, LAYERS, synthetic_model

from smidgen.blob.execution import blob_executions
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.plan import Coding, make_plan
from smidgen.plan.cost import steps_on
from smidgen.plan.cost_steps import Steps

ARENA_FACTORS = (0.8, 1.5)  # of the arena that a network gets by default


@dataclass(frozen=True)
class Case:
    """A network to be measured."""

    model: BenchmarkModel

    @property
    def name(self) -> str:
        return self.model.name

    def steps(self, architecture: str) -> list[Steps]:
        """Of every operator."""
        blob = self.model.blob
        executions = blob_executions(blob)
        count = len(blob.network.operators)
        return [steps_on(architecture, blob.network, index, executions.get(index)) for index in range(count)]


class MissingModels(Exception):
    """A fit needs all networks."""


def plain_cases() -> Iterator[Case]:
    """All networks as they are packed by default, and all single layers. Raises MissingModels."""
    for name in NAMES:
        model = load_model(name)
        if model is None:
            raise MissingModels("the folder of reference models is not here; set SMIDGEN_MODELS to it")
        yield Case(model)
    for name in (*LAYERS, *FURTHER_LAYERS):
        yield Case(synthetic_model(name))


def planned_otherwise(case: Case) -> Iterator[Case]:
    """A network with less and with more memory; a single convolution with hardly any."""
    blob = case.model.blob
    if len(blob.network.operators) > 2:
        for factor in ARENA_FACTORS:
            yield _planned(case, f"{factor:g} times the arena", arena_limit=int(blob.arena_bytes * factor))
        yield _planned(case, "raw", coding="raw")
    elif blob.storage:
        yield _planned(case, "least arena", arena_limit=0)
        yield _planned(case, "raw", coding="raw")
        yield _planned(case, "coded", coding="huffman")


def _planned(case: Case, how: str, arena_limit: int | None = None, coding: Coding = "smallest") -> Case:
    model = case.model
    data = write_blob(make_plan(model.blob.network, arena_limit=arena_limit, coding=coding))
    return Case(replace(model, name=f"{model.name}, {how}", data=data, blob=read_blob(data)))
