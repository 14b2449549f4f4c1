"""An int8 graph in real numbers: float kernels on dequantised constants, every result rounded to its int8 grid.

Fast, because it runs many samples at once, and within a unit or so in the last place of the integer network;
used to correct biases and to compare methods, never as a reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from smidgen import graph as g
from smidgen.reference.float_executor import Floats, run_float_operator


def dequantized(graph: g.Graph) -> g.Graph:
    """A float32 graph with the real values of the constants of an int8 graph. Operators are shared with `graph`."""
    tensors = {}
    for name, tensor in graph.tensors.items():
        data = None if tensor.data is None else tensor.dequantized()
        tensors[name] = replace(tensor, dtype=np.dtype(np.float32), quantization=None, data=data)
    return g.Graph(tensors, graph.operators, graph.inputs, graph.outputs, graph.name)


def on_grid(tensor: g.Tensor, values: Floats) -> Floats:
    """The real values that the int8 tensor holds for `values`."""
    assert tensor.quantization is not None
    scale, zero_point = tensor.quantization.scale[0], np.float32(tensor.quantization.zero_point[0])
    levels = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return np.asarray((levels - zero_point) * scale, np.float32)


def run_simulated_operator(graph: g.Graph, real: g.Graph, operator: g.Operator, values: Mapping[str, Floats]) -> Floats:
    """One operator of int8 `graph`, computed in `real` (its `dequantized`), rounded to the output's grid."""
    conversion = isinstance(operator, g.Quantize)
    result = values[operator.inputs[0]] if conversion else run_float_operator(real, operator, values)
    return on_grid(graph.tensors[operator.output], result)


def last_uses(graph: g.Graph) -> Iterator[tuple[g.Operator, list[str]]]:
    """Operators in order, each with the activations that are not needed after it."""
    last: dict[str, int] = {}
    for index, operator in enumerate(graph.operators):
        for name in [*operator.inputs, operator.output]:
            if graph.tensors[name].data is None:
                last[name] = index
    for index, operator in enumerate(graph.operators):
        yield operator, [name for name, when in last.items() if when == index and name not in graph.outputs]
