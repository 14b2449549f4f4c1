"""The refusal of a model that holds something smidgen cannot run: all of it, in one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.errors import ModelError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OperatorProblem:
    """One operator of the model file that cannot be run, and why."""

    index: int
    name: str
    inputs: Sequence[Shape]
    outputs: Sequence[Shape]
    reason: str

    def __str__(self) -> str:
        shapes = " x ".join(str(list(shape)) for shape in self.inputs)
        results = ", ".join(str(list(shape)) for shape in self.outputs)
        return f"operator {self.index} {self.name} ({shapes} -> {results}): {self.reason}"


class UnsupportedModelError(ModelError):
    """`problems` holds every offending operator, `supported` the names of the operators that can be run."""

    def __init__(self, label: str, problems: Sequence[OperatorProblem], supported: Sequence[str]) -> None:
        self.problems = list(problems)
        self.supported = list(supported)
        count = len(self.problems)
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"{label} cannot be packed, {count} operator{'s' if count > 1 else ''} cannot be run:\n{listed}\n"
            f"supported operators: {', '.join(self.supported)}"
        )
