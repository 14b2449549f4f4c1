"""Where the output channels of a layer go until a layer mixes channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import fx, nn

from smidgen.errors import ModelError
from smidgen.train.layers import QuantizedAveragePool, QuantizedLayer

_BATCH_NORM = nn.BatchNorm1d | nn.BatchNorm2d
_CONVOLUTION = nn.Conv1d | nn.Conv2d
_ZERO_STAYS = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d,
    nn.Identity, nn.MaxPool1d, nn.MaxPool2d, nn.ReLU, nn.ReLU6, nn.ZeroPad2d, QuantizedAveragePool,
)  # fmt: skip
_ZERO_STAYS_CALLS = {
    F.avg_pool1d, F.avg_pool2d, F.dropout, F.max_pool1d, F.max_pool2d, F.relu, F.relu6, torch.relu, "contiguous",
    "relu",
}  # fmt: skip


@dataclass(frozen=True)
class Follower:
    """A batch normalisation or depthwise convolution. repeat: its channels for each channel of the layer."""

    part: nn.BatchNorm1d | nn.BatchNorm2d | nn.Conv1d | nn.Conv2d
    repeat: int


class ChannelFlow:
    """The layers of a module as torch.fx sees them. Layers are named as in `named_modules`.

    A module that cannot be traced is taken too if it has no batch normalisation: then no layer has followers. Otherwise
    raises ModelError.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parts = dict(module.named_modules())
        self._graph = _trace(module)
        self._calls: defaultdict[str, list[fx.Node]] = defaultdict(list)  # by the name of what is called
        for node in [] if self._graph is None else self._graph.nodes:
            if node.op == "call_module":
                self._calls[str(node.target)].append(node)

    def followers(self, name: str) -> list[Follower]:
        """What sees nothing but the channels of that layer, one by one.

        With those of a channel at zero beside the layer's own weights, the channel is zero until a layer mixes
        channels. A layer or follower that is called several times is left out.
        """
        calls = self._calls[_target(name)]
        found: list[Follower] = []
        waiting = [(user, 1) for user in calls[0].users] if len(calls) == 1 else []
        while waiting:
            user, repeat = waiting.pop()
            part, once = self._part(user), len(self._calls[str(user.target)]) == 1
            if isinstance(part, _CONVOLUTION) and _is_depthwise(part) and once:
                repeat *= part.out_channels // part.in_channels
                found.append(Follower(part, repeat))
            elif isinstance(part, _BATCH_NORM) and once:
                found.append(Follower(part, repeat))
            elif not _keeps_zeros(user, part):
                continue
            waiting += [(later, repeat) for later in user.users]
        return found

    def final_layers(self, names: list[str]) -> set[str]:
        """Those of the named layers whose channels are channels of an output; the last one if nothing was traced."""
        if self._graph is None:
            return set(names[-1:])
        return {name for name in names if any(node.op == "output" for node in self._reached(name))}

    def _reached(self, name: str) -> Iterator[fx.Node]:
        """The nodes behind a layer, up to layers that mix channels."""
        seen: set[fx.Node] = set()
        waiting = [user for call in self._calls[_target(name)] for user in call.users]
        while waiting:
            user = waiting.pop()
            part = self._part(user)
            mixes = isinstance(part, nn.Linear) or (isinstance(part, _CONVOLUTION) and not _is_depthwise(part))
            if user not in seen and not mixes:
                seen.add(user)
                waiting += user.users
                yield user

    def _part(self, node: fx.Node) -> nn.Module | None:
        part = self._parts.get(str(node.target)) if node.op == "call_module" else None
        return part.layer if isinstance(part, QuantizedLayer) else part


def _trace(module: nn.Module) -> fx.Graph | None:
    if isinstance(module, fx.GraphModule):
        return module.graph
    try:
        return fx.symbolic_trace(module).graph
    except Exception as error:
        if not any(isinstance(part, _BATCH_NORM) for part in module.modules()):
            return None
        raise ModelError(
            f"torch.fx cannot trace the module ({error}), so that the batch normalisation behind a pruned channel is "
            "not found; write the forward pass without decisions on values, or prune single weights or blocks"
        ) from error


def _target(name: str) -> str:
    """The module that a graph calls for a layer: in a prepared module the one around it."""
    return name.removesuffix(".layer")


def _is_depthwise(layer: nn.Conv1d | nn.Conv2d) -> bool:
    return layer.groups == layer.in_channels and layer.groups > 1


def _keeps_zeros(node: fx.Node, part: nn.Module | None) -> bool:
    """Whether a channel of zeros stays one."""
    if isinstance(part, nn.Hardtanh):  # ReLU6 is one
        return part.min_val <= 0 <= part.max_val
    return isinstance(part, _ZERO_STAYS) or (part is None and node.target in _ZERO_STAYS_CALLS)
