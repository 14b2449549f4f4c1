"""Calibration data: samples of real inputs, read from a file and checked against the model.

Quantisation needs to see what the activations look like. Some hundred typical inputs are enough, labels are
not needed, and the numbers must be those that the float model is fed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.arrays import SINGLE, as_channels_last, load_arrays
from smidgen.errors import InputError
from smidgen.graph import Graph, Tensor

Array = NDArray[Any]
Floats = NDArray[np.float32]

USUAL_KEYS = ("input", "x", "data")  # names under which the samples of a single input are looked for


@dataclass(frozen=True)
class Calibration:
    """For each network input, by name, float32 [samples, *shape]."""

    inputs: dict[str, Floats]

    @property
    def samples(self) -> int:
        return len(next(iter(self.inputs.values())))

    def taken(self, count: int) -> Calibration:
        """At most `count` samples, evenly spread over the data."""
        if self.samples <= count:
            return self
        chosen = np.linspace(0, self.samples - 1, count).round().astype(int)
        return Calibration({name: array[chosen] for name, array in self.inputs.items()})


def load_calibration(path: str | Path, graph: Graph, scale: float | None = None, offset: float = 0.0) -> Calibration:
    """Read calibration samples for `graph` from a .npy or .npz file.

    A .npy file holds the samples [N, *shape] of the only input. In a .npz file the array of each input is looked
    for under the input's name; for a model with one input also under `input`, `x` and `data`, and then the only
    array that fits its shape is taken. The leading 1 of the input's shape may be left out, and dimensions of 1
    do not matter. Every number becomes `number * scale + offset`. Without a scale floating-point numbers are taken
    as they are, and integers are refused: whether pixel 200 is the real value 200.0 or 0.784 decides everything.
    Raises InputError.
    """
    return as_calibration(_read_arrays(Path(path), graph), graph, scale, offset, str(path))


def as_calibration(
    arrays: Mapping[str, Array] | Array,
    graph: Graph,
    scale: float | None = None,
    offset: float = 0.0,
    label: str = "calibration data",
) -> Calibration:
    """The same from arrays: one array for a model with one input, or arrays by name. `label` names them in messages."""
    if not isinstance(arrays, Mapping):
        arrays = {_only_input(graph, label): np.asarray(arrays)}
    own_shapes = graph.metadata.get("channels_first", {})
    arrays = {
        key: as_channels_last(array, next(iter(own_shapes.values()))) if len(own_shapes) == 1
        else as_channels_last(array, own_shapes[key]) if key in own_shapes
        else array
        for key, array in arrays.items()
    }  # fmt: skip
    inputs = {}
    for name in graph.inputs:
        array = _choose(arrays, graph, name, label)
        if scale is None and array.dtype.kind in "iub":
            raise InputError(
                f"{label}: input {name!r} is {array.dtype}, {array.min()} to {array.max()}, but quantisation needs the "
                "real values that the float model takes: give floating-point numbers, or say what one step is worth "
                "(--calibration-scale 1 if the numbers are the real values, 0.0039216 for pixels from 0 to 1)"
            )
        inputs[name] = _checked(array, graph.tensors[name], 1.0 if scale is None else scale, offset, label)
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"{label}: the inputs have different numbers of samples: {counts}")
    return Calibration(inputs)


def _only_input(graph: Graph, label: str) -> str:
    if len(graph.inputs) != 1:
        names = ", ".join(map(repr, graph.inputs))
        raise InputError(
            f"{label}: the model has {len(graph.inputs)} inputs ({names}); give a .npz file with an array for each"
        )
    return graph.inputs[0]


def _read_arrays(path: Path, graph: Graph) -> dict[str, Array]:
    arrays = load_arrays(path)
    if path.suffix == ".npy":
        return {_only_input(graph, str(path)): arrays[SINGLE]}
    return arrays


def _choose(arrays: Mapping[str, Array], graph: Graph, name: str, label: str) -> Array:
    """The array that holds the samples of input `name`."""
    if name in arrays:
        return arrays[name]
    fitting = []
    if len(graph.inputs) == 1:
        for key in USUAL_KEYS:
            if key in arrays:
                return arrays[key]
        fitting = [key for key, array in arrays.items() if _fits(array, graph.tensors[name])]
    if len(fitting) == 1:
        return arrays[fitting[0]]
    present = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items()) or "nothing"
    reason = f"{len(fitting)} arrays fit" if fitting else "no array fits"
    raise InputError(
        f"{label}: {reason} input {name!r} of shape {list(graph.tensors[name].shape)}; there is: {present}. "
        f"Name the array {name!r}" + (" or 'input'" if len(graph.inputs) == 1 else "")
    )


def _fits(array: Array, tensor: Tensor) -> bool:
    """Whether `array` is [samples, *shape], apart from dimensions of 1."""
    wanted = [size for size in tensor.shape if size != 1]
    numbers = array.ndim > 0 and len(array) > 0 and array.dtype.kind in "iubf"
    return numbers and [size for size in array.shape[1:] if size != 1] == wanted


def _checked(array: Array, tensor: Tensor, scale: float, offset: float, label: str) -> Floats:
    where = f"{label}: the samples of input {tensor.name!r}"
    if array.dtype.kind not in "iubf":
        raise InputError(f"{where} must be numbers, they are {array.dtype}")
    if not _fits(array, tensor):
        shape = ", ".join(map(str, tensor.shape[1:] if tensor.shape[0] == 1 else tensor.shape))
        raise InputError(f"{where} must have shape [N, {shape}] with N at least 1, they have {list(array.shape)}")
    values = array.astype(np.float32) * np.float32(scale) + np.float32(offset)
    finite = np.isfinite(values)
    if not finite.all():
        sample = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
        count = int((~finite).sum())
        raise InputError(f"{where} hold {count} numbers that are not finite, the first in sample {sample}")
    shaped: Floats = values.reshape(len(values), *tensor.shape)
    return shaped
