"""Loading NumPy files that may be damaged, or be something else."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError

SINGLE = "input"  # the name under which the array of a .npy file is given
# What NumPy and the zip reader raise for files that are not what they should be.
_DAMAGE = (
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file by name, or of a .npy file under the name "input".

    Raises InputError for a file that is missing, damaged, or holds anything but plain arrays.
    """
    path = Path(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {SINGLE: loaded}
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except _DAMAGE as error:
        reason = "it holds Python objects" if "Object arrays" in str(error) else str(error)
        if "pickle" in reason:  # NumPy takes what it does not know for a pickle
            reason = "it starts like neither"
        raise InputError(
            f"{path} is not a NumPy file of plain arrays (.npy or .npz), or is damaged: {reason}"
        ) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path}: {name!r} is not an array")
    return arrays


def as_channels_last(samples: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Samples [n, C, H, W] (or [n, C, L]) for a model whose own input shape is [1, C, H, W], as [n, H, W, C].

    Samples of another shape, such as channels last already, are returned as they are.
    """
    own = tuple(shape[1:])
    if samples.shape[-len(own) :] != own or samples.ndim not in (len(own), len(own) + 1):
        return samples
    return np.ascontiguousarray(np.moveaxis(samples, -len(own), -1))
