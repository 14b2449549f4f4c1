"""A model that runs on the board: the computer sends int8 inputs and gets int8 outputs."""

from __future__ import annotations

import ast
import struct
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import BoardError, InputError
from smidgen.link.layout import BlobLayout, TensorLayout
from smidgen.link.link import Operation

Int8Array = NDArray[np.int8]


# What a request to infer begins with: the model, a tensor or ALL_OUTPUTS, the last operator or one of the others.
INFER_HEADER = struct.Struct("<Hhh")
DURATION = struct.Struct("<I")  # what its result begins with, in microseconds
ALL_OUTPUTS = ALL_OPERATORS = -1
NO_OPERATOR = -2


class Service(Protocol):
    """The board's side of the link."""

    def request(self, operation: Operation, body: bytes = b"", timeout: float | None = None) -> bytes: ...

    def evaluate(self, expression: str, timeout: float | None = None) -> Any: ...

    def require_model(self, key: int) -> None: ...


class BoardModel:
    """Made by `Board.load`, valid until the session or the model is closed.

    `last_microseconds` is the duration of the last `run`, measured on the board without any transfer.
    """

    def __init__(self, service: Service, key: int, layout: BlobLayout) -> None:
        self._service = service
        self._key = key
        self._layout = layout
        self._last_inputs: tuple[Int8Array, ...] = ()
        self.last_microseconds: int | None = None

    def __repr__(self) -> str:
        def shapes(tensors: tuple[TensorLayout, ...]) -> str:
            return ", ".join("x".join(map(str, tensor.shape)) for tensor in tensors)

        last = f", last run {self.last_microseconds:,} us" if self.last_microseconds is not None else ""
        arena = f"arena {self._layout.arena_bytes:,} bytes"
        return f"<BoardModel {shapes(self.inputs)} -> {shapes(self.outputs)}, {arena}{last}>"

    @property
    def key(self) -> int:
        """Its number on the board."""
        return self._key

    @property
    def freeing(self) -> str:
        """The expression that frees the model's memory on the board; harmless when that has been done."""
        return f"_smg.unload({self._key})"

    @property
    def inputs(self) -> tuple[TensorLayout, ...]:
        return self._layout.inputs

    @property
    def outputs(self) -> tuple[TensorLayout, ...]:
        return self._layout.outputs

    def run(self, *inputs: Int8Array, timeout: float | None = None) -> list[Int8Array]:
        """Outputs for one set of inputs, in the shapes of the output tensors.

        inputs: for each input tensor an int8 array with as many elements as it has, in any shape. Raises InputError
        (a ValueError) before anything is sent when they do not fit.
        """
        results = self._infer(self._input_bytes(inputs), ALL_OUTPUTS, ALL_OPERATORS, timeout)
        arrays = []
        for index, output in enumerate(self.outputs):
            arrays.append(_shaped(results[: output.elements], output.shape, f"output {index}"))
            results = results[output.elements :]
        return arrays

    def predict(self, *inputs: NDArray[np.floating[Any]], timeout: float | None = None) -> list[NDArray[np.float32]]:
        """`run` on real numbers: quantizes the inputs and dequantizes the outputs with the blob's scales."""
        self._check_count(len(inputs))
        quantized = [tensor.quantize(real) for tensor, real in zip(self.inputs, inputs, strict=True)]
        results = self.run(*quantized, timeout=timeout)
        return [tensor.dequantize(result) for tensor, result in zip(self.outputs, results, strict=True)]

    def tensor(
        self, index: int, *inputs: Int8Array, until: int | None = None, timeout: float | None = None
    ) -> Int8Array:
        """Tensor `index` of the blob for `inputs` (without any: for those of the last `run`).

        The board runs up to operator `until`, by default the last one that writes the tensor, because operators
        after that may use its memory.
        """
        if not 0 <= index < len(self._layout.tensors):
            raise InputError(f"there is no tensor {index}: the model has 0 to {len(self._layout.tensors) - 1}")
        if not inputs and not self._last_inputs:
            raise InputError("no inputs: call run first, or give them")
        last: int | None = NO_OPERATOR  # a run uses up the inputs, so look before it
        if index >= len(self.inputs):
            last = self._layout.completed_by(index) if until is None else until
        data = self._infer(
            self._input_bytes(inputs or self._last_inputs), index, NO_OPERATOR if last is None else last, timeout
        )
        return _shaped(data, self._layout.tensors[index].shape, f"tensor {index}")

    def profile(self, timeout: float | None = None) -> list[tuple[int, str, tuple[int, ...], int, int]]:
        """Run once, with the inputs of the last `run` if there was one.

        (index, operator, output shape, multiply-accumulates, microseconds) for every operator.
        """
        self._service.require_model(self._key)
        inputs = self._input_bytes(self._last_inputs) if self._last_inputs else b""
        header = INFER_HEADER.pack(self._key, ALL_OUTPUTS, ALL_OPERATORS)
        rows = ast.literal_eval(self._service.request(Operation.PROFILE, header + inputs, timeout).decode())
        return [(index, name, tuple(shape), macs, microseconds) for index, name, shape, macs, microseconds in rows]

    def selftest(self, timeout: float | None = None) -> int:
        """Run the blob's golden vectors on the board; how many. BoardError if a result differs, or there are none."""
        return int(self._value("selftest()", timeout))

    def top(self, count: int = 3) -> list[Any]:
        """The `count` best classes of the last run, as the board's `Model.top` gives them."""
        return list(self._value(f"top({count})"))

    def close(self) -> None:
        """Free the model's memory on the board. May be called twice."""
        self._service.evaluate(self.freeing)

    def _value(self, call: str, timeout: float | None = None) -> Any:
        self._service.require_model(self._key)
        return self._service.evaluate(f"_smg.models[{self._key}].{call}", timeout)

    def _infer(self, inputs: bytes, tensor: int, until: int, timeout: float | None) -> bytes:
        self._service.require_model(self._key)
        body = INFER_HEADER.pack(self._key, tensor, until) + inputs
        result = self._service.request(Operation.INFER, body, timeout)
        if tensor == ALL_OUTPUTS:
            (self.last_microseconds,) = DURATION.unpack_from(result)
        return result[DURATION.size :]

    def _input_bytes(self, inputs: tuple[Int8Array, ...]) -> bytes:
        self._check_count(len(inputs))
        for index, (tensor, array) in enumerate(zip(self.inputs, inputs, strict=True)):
            _check_input(index, tensor, array)
        self._last_inputs = tuple(array.copy() for array in inputs)
        return b"".join(array.tobytes() for array in inputs)

    def _check_count(self, count: int) -> None:
        if count != len(self.inputs):
            raise InputError(f"the model has {len(self.inputs)} inputs, got {count}")


def _check_input(index: int, tensor: TensorLayout, array: Int8Array) -> None:
    if array.dtype != np.int8:
        raise InputError(f"input {index} must be int8, it is {array.dtype}; predict() takes real numbers")
    if array.size != tensor.elements:
        raise InputError(f"input {index} has {tensor.elements} elements (shape {list(tensor.shape)}), got {array.size}")


def _shaped(data: bytes, shape: tuple[int, ...], what: str) -> Int8Array:
    array = np.frombuffer(data, np.int8)
    expected = int(np.prod(shape))
    if array.size != expected:
        raise BoardError(f"{what} has {expected} elements in the blob, the board sent {array.size}")
    return array.reshape(shape)
