"""Folds RELU and RELU6 into the operator before them."""

from __future__ import annotations

import numpy as np

from smidgen.graph import (
    Activation,
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    MaxPool2D,
    Mul,
    Relu,
    Relu6,
)

_CLAMPING = Conv2D | DepthwiseConv2D | FullyConnected | Add | Mul | AveragePool2D | MaxPool2D
_COMBINED = {
    (Activation.NONE, Activation.RELU): Activation.RELU,
    (Activation.NONE, Activation.RELU6): Activation.RELU6,
    (Activation.RELU, Activation.RELU): Activation.RELU,
    (Activation.RELU, Activation.RELU6): Activation.RELU6,
    (Activation.RELU6, Activation.RELU): Activation.RELU6,
    (Activation.RELU6, Activation.RELU6): Activation.RELU6,
}


def fold_activation(graph: Graph) -> None:
    """operator -> RELU becomes an operator with a fused activation.

    In an int8 graph only where both tensors have the same scale and zero point: otherwise the RELU rounds again. And
    only where both have the same shape, which a removed RESHAPE between them may have changed.
    """
    for relu in [operator for operator in graph.operators if isinstance(operator, Relu | Relu6)]:
        source = graph.producer(relu.inputs[0])
        if (
            not isinstance(source, _CLAMPING)
            or len(graph.consumers(source.output)) > 1
            or source.output in graph.outputs
        ):
            continue
        activation = Activation.RELU6 if isinstance(relu, Relu6) else Activation.RELU
        combined = _COMBINED.get((source.activation, activation))
        if combined is None or not _same_meaning(graph, source.output, relu.output):
            continue
        source.activation, source.output = combined, relu.output
        graph.operators.remove(relu)


def _same_meaning(graph: Graph, first: str, second: str) -> bool:
    a, b = graph.tensors[first], graph.tensors[second]
    if a.shape != b.shape:
        return False
    if a.dtype != np.int8 or a.quantization is None or b.quantization is None:
        return True
    return bool(
        a.quantization.scale[0] == b.quantization.scale[0]
        and a.quantization.zero_point[0] == b.quantization.zero_point[0]
    )
