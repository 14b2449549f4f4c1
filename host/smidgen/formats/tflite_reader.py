"""Reads `.tflite` files into a typed `Graph`, without TensorFlow.

The schema is read with the packages `tflite` and `flatbuffers`. Every operator that cannot be run is
collected, so that one refusal names them all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.formats.refused import Refused
from smidgen.formats.tflite_operators import BUILDERS, DTYPES, OperatorContext, dtype_name
from smidgen.formats.unsupported import OperatorProblem, UnsupportedModelError

_OPERATOR_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_ACTIVATION_TYPES = (np.dtype(np.int8), np.dtype(np.float32))
_MAX_RANK = 4
_MAX_DIMENSION = 0xFFFF


def read_tflite(path: str | Path) -> g.Graph:
    """Read the model file at `path`.

    Raises InputError if there is no such file, ModelError if it is not a readable .tflite file and
    UnsupportedModelError (with every offending operator) if it holds something that smidgen cannot run.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror}") from error
    graph = parse_tflite(data, str(path))
    graph.name = path.stem
    return graph


def parse_tflite(data: bytes, label: str = "model") -> g.Graph:
    """Read a model from bytes; `label` names it in messages. Errors as `read_tflite`."""
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise ModelError(f"{label} is not a .tflite file: bytes 4..7 are {data[4:8]!r}, expected b'TFL3'")
    try:
        return _Reader(data, label).read()
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, MemoryError, OverflowError) as error:
        raise ModelError(f"{label} is damaged or cut short ({len(data)} bytes): {error}") from error


@dataclass
class _Reader:
    data: bytes
    label: str
    graph: g.Graph = field(default_factory=g.Graph)
    names: list[str] = field(default_factory=list)  # tensor index in the file -> name in the graph
    problems: list[OperatorProblem] = field(default_factory=list)

    def read(self) -> g.Graph:
        model = tflite.Model.GetRootAs(self.data, 0)
        if model.SubgraphsLength() != 1:
            raise ModelError(
                f"{self.label} has {model.SubgraphsLength()} subgraphs; only models with exactly 1 can be packed"
            )
        subgraph = model.Subgraphs(0)
        for index in range(subgraph.TensorsLength()):
            self._read_tensor(model, subgraph.Tensors(index), index)
        self.graph.inputs = [self.names[subgraph.Inputs(i)] for i in range(subgraph.InputsLength())]
        self.graph.outputs = [self.names[subgraph.Outputs(i)] for i in range(subgraph.OutputsLength())]
        for index in range(subgraph.OperatorsLength()):
            self._read_operator(model, subgraph.Operators(index), index)
        if self.problems:
            raise UnsupportedModelError(self.label, self.problems, sorted(BUILDERS))
        self.graph.prune()
        for what, found in (
            ("operators", self.graph.operators), ("inputs", self.graph.inputs), ("outputs", self.graph.outputs),
        ):  # fmt: skip
            if not found:
                raise ModelError(f"{self.label} has no {what}")
        return self.graph

    def _read_tensor(self, model: Any, tensor: Any, index: int) -> None:
        raw_name = tensor.Name()
        name = self.graph.new_name(raw_name.decode("utf-8", "replace") if raw_name else f"tensor_{index}")
        type_code = tensor.Type()
        shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        dtype = np.dtype(DTYPES.get(type_code, np.void))
        data = self._constant_data(model, tensor, name, shape, dtype)
        self.names.append(name)
        self.graph.add(g.Tensor(name, shape, dtype, _read_quantization(tensor.Quantization()), data))

    def _constant_data(self, model: Any, tensor: Any, name: str, shape: tuple[int, ...], dtype: Any) -> g.Array | None:
        buffer = model.Buffers(tensor.Buffer())
        if buffer is None or buffer.DataIsNone() or buffer.DataLength() == 0:
            return None
        if dtype == np.void:
            return np.zeros(0, np.uint8)
        raw = buffer.DataAsNumpy()
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if raw.size != expected:
            raise ModelError(
                f"{self.label}: tensor {name!r} {list(shape)} needs {expected} bytes, its buffer has {raw.size}"
            )
        return np.frombuffer(raw.tobytes(), dtype.newbyteorder("<")).astype(dtype).reshape(shape)

    def _read_operator(self, model: Any, operator: Any, index: int) -> None:
        code = model.OperatorCodes(operator.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATOR_NAMES.get(number, f"operator code {number}")
        if name == "CUSTOM" and code.CustomCode():
            name = f"CUSTOM {code.CustomCode().decode('utf-8', 'replace')}"
        inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]
        context = OperatorContext(
            self.graph,
            index,
            operator.BuiltinOptions(),
            [self.names[i] if i >= 0 else None for i in inputs],
            [self.names[operator.Outputs(i)] for i in range(operator.OutputsLength())],
        )
        try:
            if name not in BUILDERS:
                raise Refused("this operator is not supported")
            built = BUILDERS[name](context)
            if built is not None:
                _check_activations(self.graph, built)
                self.graph.operators.append(built)
        except Refused as refusal:
            shapes = [self.graph.tensors[n].shape for n in context.input_names if n is not None]
            outputs = [self.graph.tensors[n].shape for n in context.output_names]
            self.problems.append(OperatorProblem(index, name, shapes, outputs, str(refusal)))


def _read_quantization(table: Any) -> g.Quantization | None:
    if table is None or table.ScaleLength() == 0:
        return None
    scale = np.array(table.ScaleAsNumpy(), np.float32)
    zero_point = np.array(table.ZeroPointAsNumpy(), np.int32) if table.ZeroPointLength() else np.zeros(1, np.int32)
    if zero_point.size != scale.size:
        zero_point = np.broadcast_to(zero_point[:1], scale.shape).astype(np.int32)
    return g.Quantization(scale, zero_point, int(table.QuantizedDimension()) if scale.size > 1 else None)


def _check_activations(graph: g.Graph, operator: g.Operator) -> None:
    """Types, ranks, sizes and quantisation of everything that lives in the arena."""
    boundary = isinstance(operator, g.Quantize | g.Dequantize)
    for name in [*operator.inputs, operator.output]:
        tensor = graph.tensors[name]
        at_edge = name in graph.inputs or name in graph.outputs
        allowed = tensor.dtype in _ACTIVATION_TYPES or (boundary and at_edge and tensor.dtype == np.uint8)
        if not allowed:
            raise Refused(f"tensor {name!r} is {dtype_name(tensor.dtype)}; int8 and float32 are supported")
        if not 1 <= len(tensor.shape) <= _MAX_RANK:
            raise Refused(f"tensor {name!r} has {len(tensor.shape)} dimensions; 1 to {_MAX_RANK} are supported")
        if min(tensor.shape) < 1 or max(tensor.shape) > _MAX_DIMENSION:
            raise Refused(
                f"tensor {name!r} has shape {list(tensor.shape)}; each dimension must be 1 to {_MAX_DIMENSION}"
            )
        if tensor.dtype == np.int8 and (tensor.quantization is None or not tensor.quantization.is_per_tensor):
            raise Refused(f"int8 tensor {name!r} needs one scale and one zero point")
        _check_scale(tensor)
    dtypes = {graph.tensors[name].dtype for name in [*operator.inputs, operator.output]}
    if len(dtypes) != 1 and not boundary:
        raise Refused("it mixes float32 and int8 activations")


def _check_scale(tensor: g.Tensor) -> None:
    if tensor.dtype == np.int8 and tensor.quantization is not None:
        scale = tensor.quantization.scale
        if not (np.all(np.isfinite(scale)) and np.all(scale > 0)):
            raise Refused(f"tensor {tensor.name!r} has scale {scale.tolist()}; it must be finite and above 0")
        zero_point = tensor.quantization.zero_point
        if np.any(zero_point < -128) or np.any(zero_point > 127):
            raise Refused(f"tensor {tensor.name!r} has zero point {zero_point.tolist()}; it must be -128 to 127")
