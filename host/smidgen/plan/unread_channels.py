"""Removes channels that no output depends on, with the weights that compute them and those that read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.network import (
    BinaryOperator,
    CopyOperator,
    Kind,
    MeanOperator,
    Network,
    NetworkOperator,
    NetworkTensor,
    PadOperator,
    WeightedOperator,
)
from smidgen.plan.channel_groups import ChannelGroups

Mask = NDArray[np.bool_]


def remove_unread_channels(network: Network) -> Network:
    """The network without channels that are multiplied by nothing but zero. Every tensor keeps at least one.

    Tensors keep their indices and operators theirs; a tensor's last dimension shrinks, and what is left of it holds the
    values that it held. Returns `network` itself if there is nothing to remove.
    """
    kept = kept_channels(network)
    if all(mask.all() for mask in kept):
        return network
    tensors = [_tensor(tensor, mask) for tensor, mask in zip(network.tensors, kept, strict=True)]
    operators = [_operator(operator, kept) for operator in network.operators]
    return replace(network, tensors=tensors, operators=operators)


def kept_channels(network: Network) -> list[Mask]:
    """A mask over the channels of each tensor: the least set that holds all that a kept channel is computed from."""
    groups = ChannelGroups(network)
    kept = groups.fixed.copy()
    _keep_what_is_read(network, groups, kept)
    for tensor in range(len(network.tensors)):
        if not kept[groups.of(tensor)].any():
            kept[groups.of(tensor)[0]] = True
            _keep_what_is_read(network, groups, kept)
    return [kept[groups.of(tensor)] for tensor in range(len(network.tensors))]


def _keep_what_is_read(network: Network, groups: ChannelGroups, kept: Mask) -> None:
    """Add what kept outputs of CONV_2D and FULLY_CONNECTED read, until nothing is missing."""
    before = -1
    while before != (before := int(kept.sum())):
        for operator in reversed(network.operators):
            if isinstance(operator, WeightedOperator):
                source = groups.of(operator.input)
                weights = operator.weights[kept[groups.of(operator.output)]]
                if operator.kind != Kind.DEPTHWISE_CONV_2D and weights.shape[1] % len(source) == 0:
                    kept[source[weights.reshape(-1, len(source)).any(axis=0)]] = True


def _tensor(tensor: NetworkTensor, kept: Mask) -> NetworkTensor:
    if kept.all():
        return tensor
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data.reshape(tensor.shape)[..., kept])
    return replace(tensor, shape=(*tensor.shape[:-1], int(kept.sum())), data=data)


def _operator(operator: NetworkOperator, kept: list[Mask]) -> NetworkOperator:
    source, target = kept[operator.input], kept[operator.output]
    if source.all() and target.all():
        return operator
    match operator:
        case WeightedOperator():
            return _weighted(operator, source, target)
        case BinaryOperator() if operator.repeat > 1:
            return replace(operator, repeat=_scaled(operator.repeat, target))
        case MeanOperator():
            return replace(operator, inner=_scaled(operator.inner, target))
        case PadOperator():
            height, width, (before, after) = operator.paddings
            amounts = int(target[:before].sum()), int(target[len(target) - after :].sum())
            return replace(operator, paddings=(height, width, amounts))
        case CopyOperator():
            return replace(
                operator,
                chunk=_scaled(operator.chunk, source),
                stride=_scaled(operator.stride, target),
                start=_scaled(operator.start, target),
            )
        case _:
            return operator


def _scaled(elements: int, kept: Mask) -> int:
    """How many of the first `elements` elements of a tensor are kept."""
    positions, channels = divmod(elements, len(kept))
    return positions * int(kept.sum()) + int(kept[:channels].sum())


def _weighted(operator: WeightedOperator, source: Mask, target: Mask) -> WeightedOperator:
    weights = operator.weights[target]
    if operator.kind != Kind.DEPTHWISE_CONV_2D and not source.all():
        weights = weights.reshape(len(weights), -1, len(source))[:, :, source].reshape(len(weights), -1)
    return replace(
        operator,
        weights=np.ascontiguousarray(weights),
        bias=None if operator.bias is None else _selected(operator.bias, target),
        multiplier=_selected(operator.multiplier, target),
        shift=_selected(operator.shift, target),
    )


def _selected(values: Any, kept: Mask) -> Any:
    """Of numbers for each channel; a number for all of them stays."""
    return values[kept] if len(values) == len(kept) else values
