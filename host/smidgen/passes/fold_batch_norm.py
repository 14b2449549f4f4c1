"""Folds per-channel MUL and ADD (batch normalisation) into the float weights before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.graph import Activation, Add, Conv2D, DepthwiseConv2D, FullyConnected, Graph, Mul, Tensor


def fold_batch_norm(graph: Graph) -> None:
    """conv -> MUL by a constant -> ADD of a constant, per channel, becomes one conv. Float graphs only:

    in an int8 graph each operator rounds, so that folding would change results."""
    if graph.is_quantized:
        return
    for operator in list(graph.operators):
        if not isinstance(operator, Mul | Add):
            continue
        source = graph.producer(operator.inputs[0]) or graph.producer(operator.inputs[1])
        factors = _per_channel_constant(graph, operator)
        if factors is None or not isinstance(source, Conv2D | DepthwiseConv2D | FullyConnected):
            continue
        if source.activation != Activation.NONE or source.output in graph.outputs:
            continue
        if len(graph.consumers(source.output)) > 1:
            continue
        if isinstance(operator, Mul):
            _scale(graph, source, factors)
        else:
            _shift(graph, source, factors)
        source.activation, source.output = operator.activation, operator.output
        graph.operators.remove(operator)


def _per_channel_constant(graph: Graph, operator: Mul | Add) -> NDArray[np.float32] | None:
    """The constant operand as one value for each channel of the output, if that is what it is."""
    channels = graph.tensors[operator.output].shape[-1]
    for name in operator.inputs:
        tensor = graph.tensors[name]
        if (
            tensor.data is not None
            and tensor.elements in (1, channels)
            and (tensor.shape or (1,))[-1] == tensor.elements
        ):
            return np.broadcast_to(tensor.data.astype(np.float32).reshape(-1), (channels,))
    return None


def _own_copy(graph: Graph, name: str, data: NDArray[np.float32]) -> str:
    """A new constant, so that a weight tensor shared with another operator stays as it was."""
    return graph.add(Tensor(graph.new_name(name), data.shape, np.dtype(np.float32), data=data)).name


def _bias(graph: Graph, source: Conv2D | DepthwiseConv2D | FullyConnected, channels: int) -> NDArray[np.float32]:
    if source.bias is None:
        return np.zeros(channels, np.float32)
    return graph.constant(source.bias).astype(np.float32)


def _scale(graph: Graph, source: Conv2D | DepthwiseConv2D | FullyConnected, factors: NDArray[np.float32]) -> None:
    weights = graph.constant(source.weights).astype(np.float32)
    channels_last = isinstance(source, DepthwiseConv2D)
    shaped = factors if channels_last else factors.reshape(-1, *[1] * (weights.ndim - 1))
    bias = _bias(graph, source, len(factors)) * factors
    source.weights = _own_copy(graph, source.weights, weights * shaped)
    source.bias = _own_copy(graph, source.bias or f"{source.output}_bias", bias)


def _shift(graph: Graph, source: Conv2D | DepthwiseConv2D | FullyConnected, offsets: NDArray[np.float32]) -> None:
    bias = _bias(graph, source, len(offsets)) + offsets
    source.bias = _own_copy(graph, source.bias or f"{source.output}_bias", bias)
