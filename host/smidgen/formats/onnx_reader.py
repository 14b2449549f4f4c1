"""Reads `.onnx` files into a typed `Graph`: float models, and int8 models in QDQ form.

QDQ: QuantizeLinear and DequantizeLinear stand round every operator, and say the scale of every tensor.
ONNX is channels first, the graph is channels last: `channels_first.py` says how. An input [1, C, H, W] becomes
[1, H, W, C]; `metadata["channels_first"]` names such inputs with the model's shape, so that files with samples in the
model's order can be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.formats.annotated import is_annotated, quantize_annotated
from smidgen.formats.channels_first import Builder, Constant, Value
from smidgen.formats.refused import Refused
from smidgen.formats.unsupported import OperatorProblem, UnsupportedModelError

_MISSING = "reading .onnx files needs the package onnx: pip install 'smidgen[onnx]'"


def read_onnx(path: str | Path) -> g.Graph:
    """Read the model file at `path`.

    Raises InputError if there is no such file or the package onnx is not installed, ModelError if it is not a readable
    .onnx file, and UnsupportedModelError (with every offending operator) if it holds something that cannot be run.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror}") from error
    graph = parse_onnx(data, str(path))
    graph.name = path.stem
    return graph


def parse_onnx(data: bytes, label: str = "model") -> g.Graph:
    """Read a model from bytes; `label` names it in messages. Errors as `read_onnx`."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise InputError(_MISSING) from error
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(f"{label} is no complete .onnx file ({len(data)} bytes): {error}") from error
    return _Reader(model, label).read()


@dataclass
class _Reader:
    model: Any
    label: str
    builder: Builder = field(default_factory=Builder)
    values: dict[str, Value | Constant] = field(default_factory=dict)
    problems: list[OperatorProblem] = field(default_factory=list)
    layouts: dict[str, list[int]] = field(default_factory=dict)

    def read(self) -> g.Graph:
        from smidgen.formats.onnx_constants import initializers

        graph = self.model.graph
        self.values.update(initializers(graph))
        self.opset = next((item.version for item in self.model.opset_import if item.domain in ("", "ai.onnx")), 0)
        for item in graph.input:
            if item.name not in self.values:
                self._read_input(item)
        for index, node in enumerate(graph.node):
            self._read_node(node, index)
        if self.problems:
            raise self._refusal()
        for item in graph.output:
            value = self.values.get(item.name)
            if not isinstance(value, Value):
                raise ModelError(f"{self.label}: output {item.name!r} is not computed by any operator")
            self.builder.output(value)
        return self._finish()

    def _finish(self) -> g.Graph:
        result = self.builder.graph
        result.prune()
        if not (result.operators and result.inputs):
            raise ModelError(f"{self.label} has no {'operators' if result.inputs else 'inputs'}")
        if is_annotated(result):
            try:
                quantize_annotated(result)
            except Refused as refusal:
                raise ModelError(f"{self.label}: {refusal}") from refusal
        if self.layouts:
            result.metadata["channels_first"] = self.layouts
        return result

    def _refusal(self) -> UnsupportedModelError:
        from smidgen.formats.onnx_operators import BUILDERS

        return UnsupportedModelError(self.label, self.problems, sorted(BUILDERS))

    def _read_input(self, item: Any) -> None:
        kind = item.type.tensor_type
        shape = [dimension.dim_value for dimension in kind.shape.dim]
        shape = [1 if axis == 0 and size < 1 else size for axis, size in enumerate(shape)]  # the batch may be open
        if kind.elem_type not in (1, 10, 2, 3) or not 1 <= len(shape) <= 4 or min(shape) < 1:
            raise ModelError(
                f"{self.label}: input {item.name!r} has shape {shape} and type {kind.elem_type}; float32 or int8 with "
                "1 to 4 fixed dimensions is supported: export the model with the sizes it will run with"
            )
        channels_last = len(shape) in (3, 4) and self._is_picture(item.name)
        value = self.builder.input(item.name, tuple(shape), channels_last)
        self.values[item.name] = value
        if not value.is_plain:
            self.layouts[item.name] = shape

    def _is_picture(self, name: str) -> bool:
        """Whether an input is used channels first: not transposed or reshaped before anything else."""
        for node in self.model.graph.node:
            if name in node.input:
                if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Identity", "Cast"):
                    return self._is_picture(node.output[0])
                return node.op_type in (
                    "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization",
                    "Pad", "Mul", "Add", "Sub", "Div",
                )  # fmt: skip
        return False

    def _read_node(self, node: Any, index: int) -> None:
        import onnx

        from smidgen.formats.onnx_constants import folded
        from smidgen.formats.onnx_operators import BUILDERS, Node

        self.builder.source = f"operator {index}"
        try:
            values = [self._operand(name) for name in node.input]
            known = folded(node, self.opset, values, node.output[0])
            if known is not None:
                self.values[node.output[0]] = known
                return
            if node.op_type not in BUILDERS or node.domain not in ("", "ai.onnx"):
                raise Refused("this operator is not supported")
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            context = Node(self.builder, self.opset, values, attributes, node.output[0])
            self.values[node.output[0]] = BUILDERS[node.op_type](context)
        except Refused as refusal:
            shapes = [value.shape for name in node.input if (value := self.values.get(name)) is not None]
            self.problems.append(OperatorProblem(index, node.op_type, shapes, [], str(refusal)))
        except _Unknown:
            pass  # it reads the result of an operator that was refused

    def _operand(self, name: str) -> Value | Constant | None:
        if not name:
            return None
        if name not in self.values:
            if self.problems:
                raise _Unknown
            raise ModelError(f"{self.label}: {self.builder.source} reads {name!r}, which nothing computes")
        return self.values[name]


class _Unknown(Exception):
    """An operand that cannot be known."""
