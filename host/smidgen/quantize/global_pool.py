"""Turns an average over the whole image into MEAN, which may change the scale."""

from __future__ import annotations

from smidgen.graph import Activation, AveragePool2D, Graph, Mean


def pool_to_mean(graph: Graph) -> None:
    """AVERAGE_POOL_2D over all of height and width becomes MEAN, in a float graph.

    The averages cover a much smaller range than what they are taken from. int8 AVERAGE_POOL_2D must keep its input's
    scale, which wastes most of the 256 levels; MEAN has a scale of its own for its output.
    """
    for index, pool in enumerate(graph.operators):
        if not isinstance(pool, AveragePool2D) or pool.activation != Activation.NONE or not pool.padding.is_zero:
            continue
        shape, output = graph.tensors[pool.inputs[0]].shape, graph.tensors[pool.output]
        if len(shape) == 4 and shape[1:3] == pool.kernel:
            # The output may already be flat, because a RESHAPE that followed was removed
            keep_dims = len(output.shape) == 4
            graph.operators[index] = Mean(pool.inputs, pool.output, pool.source, axes=(1, 2), keep_dims=keep_dims)
