"""The samples that a network is compressed with: loaded, turned into its int8 inputs, and split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smidgen.arrays import SINGLE, load_arrays
from smidgen.errors import InputError
from smidgen.graph import Graph, Tensor
from smidgen.quantize.calibration import Array, as_calibration
from smidgen.samples import Int8Array, quantize_samples

Labels = NDArray[np.int64]
_LABEL_KEYS = ("labels", "label", "y")
_LEAST_SAMPLES = 8
_HELD_OUT = 0.25  # of the samples
_UINT8_OFFSET = 128


@dataclass(frozen=True)
class Samples:
    """inputs: for each network input int8 [samples, *shape]. labels: the right class of each sample, if known."""

    inputs: list[Int8Array]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def split(self, seed: int) -> tuple[Samples, Samples]:
        """Three quarters to compress with and one quarter to judge by, at random. Raises InputError if too few."""
        if len(self) < _LEAST_SAMPLES:
            raise InputError(
                f"compression needs at least {_LEAST_SAMPLES} calibration samples, some hundred are better; "
                f"there are {len(self)}"
            )
        order = np.random.default_rng(seed).permutation(len(self))
        count = max(2, round(len(self) * _HELD_OUT))
        return self.taken(np.sort(order[count:])), self.taken(np.sort(order[:count]))

    def taken(self, chosen: NDArray[np.int64]) -> Samples:
        """Some of the samples."""
        labels = None if self.labels is None else self.labels[chosen]
        return Samples([array[chosen] for array in self.inputs], labels)


def load_samples(
    path: str | Path, graph: Graph, scale: float | None = None, labels: str | Path | None = None
) -> Samples:
    """Samples for int8 `graph` from a .npy or .npz file, laid out as for `load_calibration`.

    Floating-point numbers are real values; int8 is taken as the network takes it, uint8 too where the model took uint8;
    with a scale, every number is first multiplied with it and then a real value. labels: .npy or .npz with the index of
    the right class of each sample. Raises InputError.
    """
    arrays = load_arrays(path)
    if scale is None:
        arrays = {name: _as_real(array, _tensor_of(graph, name), graph) for name, array in arrays.items()}
    source = arrays[SINGLE] if Path(path).suffix == ".npy" else arrays
    calibration = as_calibration(source, graph, scale, label=str(path))
    inputs = []
    for name in dict.fromkeys(graph.inputs):
        quantization = graph.tensors[name].quantization
        assert quantization is not None
        values = quantize_samples(calibration.inputs[name], quantization.scale[0], int(quantization.zero_point[0]))
        inputs.append(values)
    return Samples(inputs, None if labels is None else _load_labels(labels, graph, len(inputs[0])))


def _tensor_of(graph: Graph, array_name: str) -> Tensor:
    """The input that an array is for: by its name, or the first one."""
    return graph.tensors[array_name if array_name in graph.inputs else graph.inputs[0]]


def _as_real(array: Array, tensor: Tensor, graph: Graph) -> Array:
    """Integers that the network takes as they are, in real numbers; others unchanged."""
    quantization = tensor.quantization
    if quantization is None:
        return array
    scale, zero_point = np.float32(quantization.scale[0]), int(quantization.zero_point[0])
    if array.dtype == np.uint8 and tensor.name in graph.metadata.get("uint8_tensors", ()):
        zero_point += _UINT8_OFFSET
    elif array.dtype != np.int8:
        return array
    return np.asarray((array.astype(np.float32) - zero_point) * scale)


def _load_labels(path: str | Path, graph: Graph, samples: int) -> Labels:
    arrays = load_arrays(path)
    fitting = [arrays[key] for key in (*_LABEL_KEYS, SINGLE) if key in arrays]
    fitting += list(arrays.values()) if len(arrays) == 1 else []
    if not fitting:
        names = ", ".join(arrays) or "nothing"
        raise InputError(f"{path}: no array is named 'labels'; there is: {names}")
    labels = fitting[0].reshape(-1)
    classes = graph.tensors[graph.outputs[0]].elements
    if labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.rint(labels)):
        raise InputError(f"{path}: the labels must be whole numbers, the index of the right class of each sample")
    if len(labels) != samples:
        raise InputError(f"{path} holds {len(labels)} labels; there are {samples} calibration samples")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"{path}: labels are {labels.min()} to {labels.max()}; the output has {classes} elements, so that they "
            f"must be 0 to {classes - 1}"
        )
    return labels.astype(np.int64)
