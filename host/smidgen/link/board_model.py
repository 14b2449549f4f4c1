"""A model that runs on the board: the computer sends int8 inputs and gets int8 outputs."""

from __future__ import annotations

import ast
import base64
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import BoardError, InputError
from smidgen.link.board_helper import CHUNK_BYTES
from smidgen.link.layout import BlobLayout, TensorLayout

Int8Array = NDArray[np.int8]


class Execute(Protocol):
    """Runs code on the board and returns what it printed."""

    def __call__(self, code: str, timeout: float | None = None) -> str: ...


class BoardModel:
    """Made by `Board.load`, valid until the session or the model is closed.

    `last_microseconds` is the duration of the last `run`, measured on the board without any transfer.
    """

    def __init__(self, execute: Execute, key: int, layout: BlobLayout) -> None:
        self._execute = execute
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
        code = f"{self._send_inputs(inputs)}_smg.run({self._key})"
        lines = self._execute(code, timeout=timeout).splitlines()
        self.last_microseconds = int(lines[0])
        tensors = _decode_tensors(lines[1:])
        return [
            _shaped(data, output.shape, f"output {index}")
            for index, (data, output) in enumerate(zip(tensors, self.outputs, strict=True))
        ]

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
        code = self._send_inputs(inputs or self._last_inputs)
        if index < len(self.inputs):  # a run uses up the inputs, so look before it
            code += f"_smg.show(_smg.models[{self._key}].inputs[{index}])"
        else:
            last = self._layout.completed_by(index) if until is None else until
            run = "" if last is None else f"_smg.models[{self._key}].run({last})\n"
            code += f"{run}_smg.show(_smg.models[{self._key}].tensor({index}))"
        (data,) = _decode_tensors(self._execute(code, timeout=timeout).splitlines())
        return _shaped(data, self._layout.tensors[index].shape, f"tensor {index}")

    def profile(self, timeout: float | None = None) -> list[tuple[int, str, tuple[int, ...], int, int]]:
        """Run once, with the inputs of the last `run` if there was one.

        (index, operator, output shape, multiply-accumulates, microseconds) for every operator.
        """
        code = self._send_inputs(self._last_inputs) if self._last_inputs else ""
        return [
            (index, name, tuple(shape), macs, microseconds)
            for index, name, shape, macs, microseconds in self._value("profile()", code, timeout)
        ]

    def selftest(self, timeout: float | None = None) -> int:
        """Run the blob's golden vectors on the board; how many. BoardError if a result differs, or there are none."""
        return int(self._value("selftest()", timeout=timeout))

    def top(self, count: int = 3) -> list[Any]:
        """The `count` best classes of the last run, as the board's `Model.top` gives them."""
        return list(self._value(f"top({count})"))

    def close(self) -> None:
        """Free the model's memory on the board. May be called twice."""
        self._execute(f"_smg.models.pop({self._key}, None)\n_smg.gc.collect()")

    def _value(self, call: str, before: str = "", timeout: float | None = None) -> Any:
        code = f"{before}print(repr(_smg.models[{self._key}].{call}))"
        return ast.literal_eval(self._execute(code, timeout=timeout).strip())

    def _send_inputs(self, inputs: tuple[Int8Array, ...]) -> str:
        """Fill the model's inputs. Returns code that writes the last piece: what uses the inputs goes with it."""
        *pieces, last = self._input_code(inputs)
        for piece in pieces:
            self._execute(piece)
        return last

    def _input_code(self, inputs: tuple[Int8Array, ...]) -> list[str]:
        """Code that fills the model's inputs, in pieces of at most CHUNK_BYTES."""
        self._check_count(len(inputs))
        for index, (tensor, array) in enumerate(zip(self.inputs, inputs, strict=True)):
            _check_input(index, tensor, array)
        self._last_inputs = tuple(array.copy() for array in inputs)
        pieces = [""]
        room = CHUNK_BYTES
        for index, array in enumerate(inputs):
            data = array.tobytes()
            for start in range(0, len(data), CHUNK_BYTES):
                chunk = data[start : start + CHUNK_BYTES]
                if len(chunk) > room:
                    pieces.append("")
                    room = CHUNK_BYTES
                pieces[-1] += f"_smg.write({self._key},{index},{start},{base64.b64encode(chunk)!r})\n"
                room -= len(chunk)
        return pieces

    def _check_count(self, count: int) -> None:
        if count != len(self.inputs):
            raise InputError(f"the model has {len(self.inputs)} inputs, got {count}")


def _check_input(index: int, tensor: TensorLayout, array: Int8Array) -> None:
    if array.dtype != np.int8:
        raise InputError(f"input {index} must be int8, it is {array.dtype}; predict() takes real numbers")
    if array.size != tensor.elements:
        raise InputError(f"input {index} has {tensor.elements} elements (shape {list(tensor.shape)}), got {array.size}")


def _decode_tensors(lines: list[str]) -> list[bytearray]:
    """What `_smg.show` printed: lines of base64, each on its own, and a line "-" after every tensor."""
    tensors, current = [], bytearray()
    for line in lines:
        if line == "-":
            tensors.append(current)
            current = bytearray()
        else:
            current += base64.b64decode(line)
    return tensors


def _shaped(data: bytearray, shape: tuple[int, ...], what: str) -> Int8Array:
    array = np.frombuffer(data, np.int8)
    expected = int(np.prod(shape))
    if array.size != expected:
        raise BoardError(f"{what} has {expected} elements in the blob, the board sent {array.size}")
    return array.reshape(shape)
