"""Folds PAD into the window of the convolutions that follow."""

from __future__ import annotations

from smidgen.graph import Conv2D, DepthwiseConv2D, Graph, Operator, Pad, Padding


def fold_pad(graph: Graph) -> None:
    """Height and width padding before convolutions becomes their own padding.

    Exact: padding holds real zero, and taps outside the input contribute zero. Kept where it is wider than
    the window, because then whole windows lie outside the input.
    """
    for pad in [operator for operator in graph.operators if isinstance(operator, Pad)]:
        consumers = graph.consumers(pad.output)
        if pad.output in graph.outputs or not consumers or not _only_height_and_width(pad):
            continue
        merged = [_merged(graph, pad, consumer) for consumer in consumers]
        if any(padding is None for padding in merged):
            continue
        for consumer, padding in zip(consumers, merged, strict=True):
            assert isinstance(consumer, Conv2D | DepthwiseConv2D) and padding is not None
            consumer.padding = padding
            consumer.inputs = [pad.inputs[0]]
        graph.operators.remove(pad)


def _only_height_and_width(pad: Pad) -> bool:
    return len(pad.paddings) == 4 and pad.paddings[0] == (0, 0) and pad.paddings[3] == (0, 0)


def _merged(graph: Graph, pad: Pad, consumer: Operator) -> Padding | None:
    """The consumer's padding with the PAD's added; None if it cannot take it."""
    if not isinstance(consumer, Conv2D | DepthwiseConv2D):
        return None
    own, (top, bottom), (left, right) = consumer.padding, pad.paddings[1], pad.paddings[2]
    padding = Padding(own.top + top, own.bottom + bottom, own.left + left, own.right + right)
    shape = graph.tensors[consumer.weights].shape
    reach = [(shape[1 + axis] - 1) * consumer.dilation[axis] for axis in range(2)]
    fits = max(padding.top, padding.bottom) <= reach[0] and max(padding.left, padding.right) <= reach[1]
    return padding if fits else None
