"""Finds what belongs to the output channels of a layer besides its own weights."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import fx, nn

from smidgen.errors import ModelError

_BATCH_NORM = nn.BatchNorm1d | nn.BatchNorm2d
_CONVOLUTION = nn.Conv1d | nn.Conv2d
_ZERO_STAYS = (
    nn.AvgPool1d, nn.AvgPool2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity, nn.MaxPool1d, nn.MaxPool2d,
    nn.ReLU, nn.ReLU6, nn.ZeroPad2d,
)  # fmt: skip
_ZERO_STAYS_CALLS = {F.dropout, F.relu, F.relu6, torch.relu, "relu"}

Follower = nn.BatchNorm1d | nn.BatchNorm2d | nn.Conv1d | nn.Conv2d


def channel_followers(module: nn.Module, names: Collection[str]) -> dict[str, list[Follower]]:
    """For each named layer the batch normalisations and depthwise convolutions that see nothing but its channels.

    With those of a channel at zero beside its weights, the channel is zero all the way to the next layer that mixes
    channels. A layer whose output goes to several places has none. Without batch normalisation in the module nothing
    is looked for: there the channel is constant behind the layer in any case. Raises ModelError where torch.fx cannot
    trace the module.
    """
    if not any(isinstance(part, _BATCH_NORM) for part in module.modules()):
        return {name: [] for name in names}
    try:
        traced = fx.symbolic_trace(module)
    except Exception as error:
        raise ModelError(
            f"torch.fx cannot trace the module ({error}), so that the batch normalisation behind a pruned channel is "
            "not found; fold it into the layers first, or prune single weights or blocks"
        ) from error
    parts = dict(module.named_modules())
    nodes = {str(node.target): node for node in traced.graph.nodes if node.op == "call_module"}
    return {name: _followers(nodes[name], parts) if name in nodes else [] for name in names}


def _followers(node: fx.Node, parts: dict[str, nn.Module]) -> list[Follower]:
    found: list[Follower] = []
    while len(node.users) == 1:
        (node,) = node.users
        part = parts.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(part, _BATCH_NORM) or (isinstance(part, _CONVOLUTION) and _is_depthwise(part)):
            found.append(part)
        elif not isinstance(part, _ZERO_STAYS) and (part is not None or node.target not in _ZERO_STAYS_CALLS):
            break
    return found


def _is_depthwise(layer: nn.Conv1d | nn.Conv2d) -> bool:
    return layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1
