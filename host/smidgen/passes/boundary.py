"""Removes conversions at the edges: the packed network takes and gives int8."""

from __future__ import annotations

import numpy as np

from smidgen.errors import ModelError
from smidgen.graph import Dequantize, Graph, Operator, Quantize, Tensor

_UINT8_OFFSET = 128  # uint8 value = int8 value + 128


def remove_boundary_quantization(graph: Graph) -> None:
    """Drop QUANTIZE after the inputs and DEQUANTIZE (or QUANTIZE to uint8) before the outputs.

    The host, or `Model.predict` on the board, converts real numbers with the scale of the int8 tensor instead.
    """
    for operator in list(graph.operators):
        if _is_input_conversion(graph, operator):
            _take_over(graph, graph.inputs, operator.inputs[0], operator.output)
            graph.operators.remove(operator)
        elif _is_output_conversion(graph, operator):
            _take_over(graph, graph.outputs, operator.output, operator.inputs[0])
            graph.operators.remove(operator)


def _is_input_conversion(graph: Graph, operator: Operator) -> bool:
    if not isinstance(operator, Quantize) or operator.inputs[0] not in graph.inputs:
        return False
    source, result = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
    if len(graph.consumers(source.name)) > 1 or source.dtype == np.int8:
        return False
    _check_uint8(source, result, operator)
    return True


def _is_output_conversion(graph: Graph, operator: Operator) -> bool:
    if not isinstance(operator, Dequantize | Quantize) or operator.output not in graph.outputs:
        return False
    source, result = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
    if graph.consumers(result.name) or result.dtype == np.int8 or source.name in graph.outputs:
        return False
    _check_uint8(result, source, operator)
    return True


def _check_uint8(outside: Tensor, inside: Tensor, operator: Operator) -> None:
    """A uint8 tensor at the edge must be the int8 one plus 128."""
    if outside.dtype != np.uint8:
        return
    a, b = outside.quantization, inside.quantization
    if a is None or b is None or a.scale[0] != b.scale[0] or a.zero_point[0] - _UINT8_OFFSET != b.zero_point[0]:
        raise ModelError(
            f"{operator.source} {operator.kind}: uint8 tensor {outside.name!r} and int8 tensor {inside.name!r} do not "
            "mean the same numbers; export the model with int8 inputs and outputs"
        )


def _take_over(graph: Graph, edge: list[str], outside: str, inside: str) -> None:
    edge[edge.index(outside)] = inside
    if graph.tensors[outside].dtype == np.uint8:
        graph.metadata.setdefault("uint8_tensors", []).append(inside)
