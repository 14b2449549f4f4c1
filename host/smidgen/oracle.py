"""Independent interpreters for int8 .tflite models, where they are installed: the judges of exactness.

tflite-micro is TFLite Micro's own interpreter; tflite-runtime 2.14 with its reference kernels gives the same
numbers. Newer runtimes do not, so other versions are not used.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Int8Array = NDArray[np.int8]
_RUNTIME_VERSION = "2.14.0"
_RUNTIME_NUMPY = "1."  # that build was made for NumPy 1


class Interpreter(Protocol):
    """Runs one model."""

    name: str

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        """Outputs for one set of inputs, in the model's shapes."""


class TfliteMicro:
    """PyPI `tflite-micro`."""

    name = "tflite-micro"

    def __init__(self, model: bytes) -> None:
        from tflite_micro import runtime  # type: ignore[import-untyped,unused-ignore]

        self._interpreter = runtime.Interpreter.from_bytes(model)
        self._outputs = _output_count(model)

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        for index, array in enumerate(inputs):
            shape = self._interpreter.get_input_details(index)["shape"]
            self._interpreter.set_input(array.reshape(shape), index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(index)) for index in range(self._outputs)]


class TfliteRuntime:
    """PyPI `tflite-runtime` 2.14.0 with its reference kernels."""

    name = "tflite-runtime"

    def __init__(self, model: bytes) -> None:
        from tflite_runtime import interpreter as tflite

        self._interpreter = tflite.Interpreter(
            model_content=model, experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_REF, num_threads=1
        )
        self._interpreter.allocate_tensors()

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        for details, array in zip(self._interpreter.get_input_details(), inputs, strict=True):
            self._interpreter.set_tensor(details["index"], array.reshape(details["shape"]))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(details["index"]) for details in self._interpreter.get_output_details()]


def open_interpreter(model: bytes) -> Interpreter | None:
    """The best interpreter that is installed, or None."""
    if _installed("tflite-micro"):
        return TfliteMicro(model)
    if _installed("tflite-runtime", _RUNTIME_VERSION) and np.__version__.startswith(_RUNTIME_NUMPY):
        return TfliteRuntime(model)
    return None


def _installed(package: str, version: str | None = None) -> bool:
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return version is None or found == version


def _output_count(model: bytes) -> int:
    import tflite

    return int(tflite.Model.GetRootAs(model, 0).Subgraphs(0).OutputsLength())
