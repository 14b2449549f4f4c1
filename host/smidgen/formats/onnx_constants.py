"""What of an ONNX graph is known before it runs: initialisers, constants, quantised weights, computed shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from smidgen import graph as g
from smidgen.formats.channels_first import Constant, Value
from smidgen.formats.refused import Refused

_UINT8_OFFSET = 128


def initializers(graph: Any) -> dict[str, Constant]:
    """The constants stored in the file, by name."""
    return {item.name: Constant(item.name, numpy_helper.to_array(item)) for item in graph.initializer}


def folded(node: Any, opset: int, values: list[Value | Constant | None], output: str) -> Constant | None:
    """The result of an operator that depends on constants, or on a shape, only; else None."""
    if node.op_type == "Shape" and isinstance(values[0], Value):
        start, end = (next((a.i for a in node.attribute if a.name == n), None) for n in ("start", "end"))
        return Constant(output, np.array(values[0].shape[start:end], np.int64))
    if any(isinstance(value, Value) for value in values):
        return None
    constants = [value for value in values if isinstance(value, Constant)]
    if node.op_type == "DequantizeLinear":
        return _dequantized(node, constants, output)
    if node.op_type == "QuantizeLinear":
        return _quantized(node, constants, output)
    (result,) = _evaluate(node, opset, {constant.name: constant for constant in constants})
    return Constant(output, np.asarray(result))


def _evaluate(node: Any, opset: int, constants: dict[str, Constant]) -> list[Any]:
    """An operator on constants, by ONNX's own reference implementation."""
    feeds = dict(zip([name for name in node.input if name], constants.values(), strict=False))
    graph = onnx.helper.make_graph(
        [node], "constant",
        [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(c.data.dtype), c.shape)
         for name, c in feeds.items()],
        [onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.UNDEFINED, None)],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return list(ReferenceEvaluator(model).run(None, {name: c.data for name, c in feeds.items()}))


def _axis(node: Any, rank: int) -> int:
    return int(next((a.i for a in node.attribute if a.name == "axis"), 1)) % max(rank, 1)


def _dequantized(node: Any, constants: list[Constant], output: str) -> Constant:
    """Stays integer, with the scale that gives it its meaning."""
    data, scale = constants[0].data, constants[1].data.astype(np.float32).reshape(-1)
    zero_point = constants[2].data.reshape(-1).astype(np.int64) if len(constants) > 2 else np.zeros(1, np.int64)
    if data.dtype == np.uint8:
        data, zero_point = (data.astype(np.int16) - _UINT8_OFFSET).astype(np.int8), zero_point - _UINT8_OFFSET
    if data.dtype not in (np.dtype(np.int8), np.dtype(np.int32)):
        raise Refused(f"constants of type {data.dtype} are not supported, only int8, uint8 and int32")
    zero_points = np.broadcast_to(zero_point, scale.shape).astype(np.int32)
    axis = _axis(node, data.ndim) if scale.size > 1 else None
    if axis is not None and data.shape[axis] != scale.size:
        raise Refused(f"{scale.size} scales along axis {axis} of {list(data.shape)}; groups are not supported")
    return Constant(output, data, g.Quantization(scale, zero_points, axis))


def _quantized(node: Any, constants: list[Constant], output: str) -> Constant:
    """Rounded as QuantizeLinear does: to the nearest even."""
    real, scale = constants[0].real.astype(np.float64), constants[1].data.astype(np.float64)
    kind = constants[2].data.dtype if len(constants) > 2 else np.dtype(np.uint8)
    zero_point = constants[2].data.astype(np.float64) if len(constants) > 2 else np.zeros(1)
    if kind not in (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int32)):
        raise Refused(f"constants of type {kind} are not supported, only int8, uint8 and int32")
    if scale.size > 1:
        shape = [1] * real.ndim
        shape[_axis(node, real.ndim)] = -1
        scale, zero_point = scale.reshape(shape), np.broadcast_to(zero_point, scale.shape).reshape(shape)
    limits = np.iinfo(kind)
    values = np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max)
    return Constant(output, values.astype(kind))
