"""Input data for packed networks: loading arrays, and turning them into the int8 the network takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.arrays import as_channels_last, load_arrays
from smidgen.errors import InputError
from smidgen.network import Network, NetworkTensor
from smidgen.requantization import round_half_away

Int8Array = NDArray[np.int8]
_UINT8_OFFSET = 128


def load_inputs(path: str | Path, network: Network) -> list[list[Int8Array]]:
    """Input sets for `network` from a .npy file, or from a .npz file with the array `input`.

    Networks with several inputs take a .npz file with the arrays `input_0`, `input_1`, ...
    """
    arrays = load_arrays(path)
    names = ["input"] if network.input_count == 1 else [f"input_{i}" for i in range(network.input_count)]
    columns = [prepare(_named(arrays, name, path), network, index) for index, name in enumerate(names)]
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise InputError(f"{path}: the inputs have different numbers of samples: {sorted(lengths)}")
    return [list(row) for row in zip(*columns, strict=True)]


def _named(arrays: dict[str, NDArray[Any]], name: str, path: str | Path) -> NDArray[Any]:
    if name not in arrays:
        raise InputError(f"{path} has no array named {name!r}; it has {', '.join(sorted(arrays)) or 'none'}")
    return arrays[name]


def prepare(array: NDArray[Any], network: Network, index: int) -> Int8Array:
    """Samples for input `index` as int8 [samples, *shape].

    array: one sample or many (any shape whose size is a multiple of the tensor's). int8 is taken as it is,
    floats are real values and are quantised, uint8 is accepted where the model file took uint8. Where the model is
    channels first, samples in its own shape are rearranged.
    """
    tensor = network.tensors[index]
    if own_shape := network.metadata.get("channels_first", {}).get(str(index)):
        array = as_channels_last(array, own_shape)
    if array.size == 0 or array.size % tensor.elements:
        raise InputError(
            f"input {index} takes {tensor.elements} elements a sample (shape {list(tensor.shape)}); "
            f"got {array.size} (shape {list(array.shape)})"
        )
    return _as_int8(array, network, index).reshape(-1, *tensor.shape)


def _as_int8(array: NDArray[Any], network: Network, index: int) -> Int8Array:
    if array.dtype == np.int8:
        return array
    if array.dtype == np.uint8 and index in network.metadata.get("uint8_tensors", ()):
        return (array.astype(np.int16) - _UINT8_OFFSET).astype(np.int8)
    if array.dtype.kind == "f":
        return quantize_samples(array, network.tensors[index].scale, network.tensors[index].zero_point)
    raise InputError(
        f"input {index} is {array.dtype}; give int8 (as the network takes it) or floating point (real values, "
        f"scale {network.tensors[index].scale:g}, zero point {network.tensors[index].zero_point})"
    )


def quantize_samples(array: NDArray[Any], scale: float, zero_point: int) -> Int8Array:
    """Real values as int8: divided in single precision, rounded half away from zero, saturated (as TFLite does)."""
    if not np.all(np.isfinite(array)):
        raise InputError("the input holds values that are not finite (NaN or infinity)")
    scaled = round_half_away(array.astype(np.float32) / np.float32(scale)) + zero_point
    saturated: Int8Array = np.clip(scaled, -128, 127).astype(np.int8)
    return saturated


def dequantize(array: Int8Array, scale: float, zero_point: int) -> NDArray[np.float32]:
    """Real values of int8 elements."""
    real: NDArray[np.float32] = (array.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def load_golden(path: str | Path, network: Network) -> tuple[list[list[Int8Array]], list[list[Int8Array]] | None]:
    """Inputs and expected outputs from a .npz file with `input` and, if present, `output`
    (`output_0`, ... where there are several). None when the file holds no outputs."""
    arrays = load_arrays(path)
    inputs = load_inputs(path, network)
    names = ["output"] if network.output_count == 1 else [f"output_{i}" for i in range(network.output_count)]
    similar = [name for name in arrays if name.startswith("output")]
    if not similar:
        return inputs, None
    columns = [
        _expected(_named(arrays, name, path), name, network.tensors[index], len(inputs), path)
        for name, index in zip(names, network.outputs, strict=True)
    ]
    return inputs, [list(row) for row in zip(*columns, strict=True)]


def _expected(array: NDArray[Any], name: str, tensor: NetworkTensor, count: int, path: str | Path) -> Int8Array:
    if array.dtype != np.int8 or array.size != count * tensor.elements:
        raise InputError(
            f"{path}: {name} must be int8 with {count} x {tensor.elements} elements, "
            f"it is {array.dtype} with shape {list(array.shape)}"
        )
    return array.reshape(count, *tensor.shape)
