"""Removes RESHAPE: the elements stay where they are, only a shape changes."""

from __future__ import annotations

from smidgen.graph import (
    Add,
    Dequantize,
    FullyConnected,
    Graph,
    Logistic,
    Mul,
    Operator,
    Quantize,
    Relu,
    Relu6,
    Reshape,
    Softmax,
)

_ELEMENTWISE = (Logistic, Relu, Relu6, Quantize, Dequantize, Reshape)


def remove_reshapes(graph: Graph) -> None:
    """Let one tensor stand for both sides of a RESHAPE where the operators round it allow that.

    A RESHAPE between two operators that both depend on the shape stays, and becomes a COPY in the blob.
    """
    for reshape in [operator for operator in graph.operators if isinstance(operator, Reshape)]:
        before, after = graph.tensors[reshape.inputs[0]], graph.tensors[reshape.output]
        if before.name in graph.inputs and after.name in graph.outputs:
            continue
        if _readers_accept(graph, after.name, before.shape) and after.name not in graph.outputs:
            kept = before.shape
        elif _can_be_reshaped(graph, before.name, after.shape, reshape):
            kept = after.shape
        else:
            continue
        before.shape = kept
        graph.operators.remove(reshape)
        graph.replace_uses(after.name, before.name)


def _can_be_reshaped(graph: Graph, name: str, shape: tuple[int, ...], besides: Operator) -> bool:
    """Whether tensor `name` may have `shape` for its producer and for every reader except `besides`."""
    if name in graph.outputs:
        return False
    producer = graph.producer(name)
    if producer is not None and not _output_may_have(graph, producer, shape):
        return False
    return _readers_accept(graph, name, shape, besides)


def _readers_accept(graph: Graph, name: str, shape: tuple[int, ...], besides: Operator | None = None) -> bool:
    return all(_input_may_have(graph, reader, name, shape) for reader in graph.consumers(name) if reader is not besides)


def _input_may_have(graph: Graph, operator: Operator, name: str, shape: tuple[int, ...]) -> bool:
    if isinstance(operator, (FullyConnected, *_ELEMENTWISE)):
        return True
    if isinstance(operator, Softmax):
        return graph.tensors[name].shape[-1] == shape[-1]
    return _same_elements(graph, operator)


def _output_may_have(graph: Graph, operator: Operator, shape: tuple[int, ...]) -> bool:
    if isinstance(operator, _ELEMENTWISE):
        return True
    if isinstance(operator, FullyConnected | Softmax):
        return graph.tensors[operator.output].shape[-1] == shape[-1]
    return _same_elements(graph, operator)


def _same_elements(graph: Graph, operator: Operator) -> bool:
    """ADD and MUL without broadcasting do not look at shapes."""
    if not isinstance(operator, Add | Mul):
        return False
    return len({graph.tensors[name].elements for name in [*operator.inputs, operator.output]}) == 1
