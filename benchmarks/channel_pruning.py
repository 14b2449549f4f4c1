"""Prunes a quantised graph by whole channels, without training: for what that saves, not for what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.graph import Concatenation, Conv2D, DepthwiseConv2D, FullyConnected, Graph, Operator, Reshape, Weighted

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Group:
    """Tensors whose channels are the same ones: what goes through depthwise layers and pools, and what is added up."""

    channels: int
    producers: list[Weighted]  # that mix channels
    prunable: bool  # neither an input nor an output of the graph is among the tensors

    def kept(self, graph: Graph, fraction: float) -> Bools:
        """All but that fraction of the channels, those with the smallest weights in the layers that compute them."""
        kept = np.ones(self.channels, bool)
        if self.prunable:
            scores = sum(_mean_squares(graph, layer) for layer in self.producers)
            removed = min(round(fraction * self.channels), self.channels - 1)
            kept[np.argsort(scores, kind="stable")[:removed]] = False
        return kept


def prune_channels(graph: Graph, share: float) -> Graph:
    """Sets the weights of channels to zero, in place, the same fraction of the channels of all layers but the last.

    With a channel its weights in the layers that read it are gone, and its bias. The fraction is the least one with
    which at least `share` of the weights of CONV_2D and FULLY_CONNECTED belong to removed channels. Returns `graph`.
    Raises ValueError where so many do not belong to channels between two layers.
    """
    groups = _groups(graph)
    for fraction in np.arange(0, 1, 1 / 128):
        kept = {name: group.kept(graph, float(fraction)) for name, group in groups.items()}
        masks = {layer.weights: _mask(graph, layer, kept) for layer in _mixing(graph)}
        if sum(np.count_nonzero(~mask) for mask in masks.values()) >= share * sum(mask.size for mask in masks.values()):
            break
    else:
        raise ValueError(f"{share:.0%} of the weights of {graph.name} do not belong to channels between two layers")
    for layer in graph.operators:
        if isinstance(layer, DepthwiseConv2D):
            masks[layer.weights] = np.broadcast_to(kept[layer.output], graph.tensors[layer.weights].shape)
        if isinstance(layer, Weighted) and layer.bias is not None:
            masks[layer.bias] = kept[layer.output]
    for name, mask in masks.items():
        tensor = graph.tensors[name]
        assert tensor.data is not None
        tensor.data = np.where(mask.reshape(tensor.shape), tensor.data, 0).astype(tensor.data.dtype)
    return graph


def has_inner_channels(graph: Graph) -> bool:
    """Whether there are channels between two layers, which are all that `prune_channels` removes."""
    return any(group.prunable for group in _groups(graph).values())


def _mixing(graph: Graph) -> Iterator[Weighted]:
    return (operator for operator in graph.operators if isinstance(operator, Conv2D | FullyConnected))


def _groups(graph: Graph) -> dict[str, _Group]:
    """The group of every activation, by name."""
    names = [*graph.inputs, *(operator.output for operator in graph.operators)]
    label = {name: number for number, name in enumerate(names)}
    for operator in graph.operators:
        for name in operator.inputs:
            if name in label and _keeps_channels(graph, operator, name):
                old, new = label[name], label[operator.output]
                label = {other: new if number == old else number for other, number in label.items()}
    members: dict[int, list[str]] = {}
    for name, number in label.items():
        members.setdefault(number, []).append(name)
    groups = {number: _group(graph, tensors) for number, tensors in members.items()}
    return {name: groups[number] for name, number in label.items()}


def _keeps_channels(graph: Graph, operator: Operator, source: str) -> bool:
    if isinstance(operator, Conv2D | FullyConnected | Concatenation):
        return False
    channels = [graph.tensors[name].shape[-1] for name in (source, operator.output)]
    return channels[0] == channels[1] or not isinstance(operator, Reshape | DepthwiseConv2D)


def _group(graph: Graph, tensors: list[str]) -> _Group:
    producers = [layer for layer in _mixing(graph) if layer.output in tensors]
    ends = {*graph.inputs, *graph.outputs} & set(tensors)
    return _Group(graph.tensors[tensors[0]].shape[-1], producers, bool(producers) and not ends)


def _mean_squares(graph: Graph, layer: Weighted) -> NDArray[np.float64]:
    """Of the weights of each output channel, in units of the layer's mean."""
    weights = graph.tensors[layer.weights]
    squares = np.square(weights.dequantized().astype(np.float64)).reshape(weights.shape[0], -1).mean(axis=1)
    return np.asarray(squares / max(squares.mean(), 1e-30))


def _mask(graph: Graph, layer: Weighted, kept: dict[str, Bools]) -> Bools:
    """Which weights [outputs, the rest] stay. A flattened picture has its channels last."""
    outputs, rest = kept[layer.output], graph.tensors[layer.weights].data
    assert rest is not None
    inputs = kept[layer.inputs[0]]
    return outputs[:, None] & np.tile(inputs, rest[0].size // len(inputs))[None]
