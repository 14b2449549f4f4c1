"""The data of a recipe, and the user's functions that give it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from smidgen.errors import InputError, SmidgenError
from smidgen.train.recipe.config import Reference

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]  # a batch of inputs -> changed ones


@dataclass(frozen=True)
class Data:
    """Inputs float32 [samples, C, H, W], [samples, C, L] or [samples, F], and classes int64 [samples].

    labels: names of the classes. The test samples are measured with, and nothing else.
    """

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    labels: tuple[str, ...]

    @property
    def example(self) -> torch.Tensor:
        """One input."""
        return self.train_x[:1]


def load_function(reference: Reference) -> Callable[..., Any]:
    """The function that a configuration names. Its file is run, as importing it would, but for bytecode that Python
    keeps: that would be taken for a file of the same size that was changed within the same second."""
    name = f"smidgen_recipe_{reference.file.stem}"
    specification = importlib.util.spec_from_file_location(name, reference.file)
    if specification is None:
        raise InputError(f"{reference.file} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look themselves up
    try:
        exec(compile(reference.file.read_bytes(), str(reference.file), "exec"), module.__dict__)
    except SmidgenError:
        raise
    except Exception as error:
        raise InputError(f"{reference.file} cannot be run: {type(error).__name__}: {error}") from error
    function = getattr(module, reference.name, None)
    if not callable(function):
        raise InputError(f"{reference.file} has no function {reference.name!r}")
    return function  # type: ignore[no-any-return]


def load_data(reference: Reference) -> Data:
    """What the user's function returns, checked. Raises InputError."""
    data = load_function(reference)()
    where = f"{reference.file.name}:{reference.name}"
    if not isinstance(data, Data):
        raise InputError(f"{where} must return smidgen.train.recipe.Data, it returned {type(data).__name__}")
    for part, x, y in (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y)):
        if x.dtype != torch.float32 or not 2 <= x.ndim <= 4 or len(x) == 0:
            raise InputError(
                f"{where}: {part}_x must be float32 with 2 to 4 dimensions and at least one sample, "
                f"it is {x.dtype} with shape {list(x.shape)}"
            )
        if y.dtype != torch.int64 or y.shape != x.shape[:1]:
            raise InputError(f"{where}: {part}_y must be int64 [{len(x)}], it is {y.dtype} {list(y.shape)}")
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= len(data.labels):
            raise InputError(f"{where}: {part}_y has classes {low} to {high}, there are {len(data.labels)} labels")
        if not bool(torch.isfinite(x).all()):
            raise InputError(f"{where}: {part}_x has numbers that are not finite")
    if data.train_x.shape[1:] != data.test_x.shape[1:]:
        raise InputError(
            f"{where}: training inputs are {list(data.train_x.shape[1:])}, "
            f"test inputs {list(data.test_x.shape[1:])}; they have to be equal"
        )
    return data
