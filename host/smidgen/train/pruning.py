"""Pruning by magnitude, of single weights, blocks or whole channels, a little more at each step of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

import torch
from torch import nn

from smidgen.errors import InputError
from smidgen.train.channel_flow import ChannelFlow, Follower

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
Structure = Callable[[torch.Tensor], torch.Tensor]  # weights -> number of the group of each weight, same shape


def single_weights(weights: torch.Tensor) -> torch.Tensor:
    """Every weight for itself."""
    return torch.arange(weights.numel()).reshape(weights.shape)


def whole_channels(weights: torch.Tensor) -> torch.Tensor:
    """All weights of an output channel. A channel without weights and bias is constant: the packager removes it.

    Where a fraction s of the channels of all layers is gone, 1 - (1 - s)^2 of the weights between them are: 80 % for
    s = 0.55.
    """
    shape = (-1, *[1] * (weights.ndim - 1))
    return torch.arange(weights.shape[0]).reshape(shape).expand(weights.shape)


def blocks(outputs: int, inputs: int) -> Structure:
    """Weights of neighbouring output and input channels at one place of the window, outputs x inputs of them.

    (1, n) is a run of n weights in the order in which the engine stores those of CONV_2D and FULLY_CONNECTED. Blocks
    at the end are smaller where the channels do not divide.
    """
    if outputs < 1 or inputs < 1:
        raise InputError(f"blocks of {outputs} x {inputs} weights are not possible; both have to be at least 1")
    return partial(_block_groups, outputs, inputs)


def _block_groups(outputs: int, inputs: int, weights: torch.Tensor) -> torch.Tensor:
    rows, columns, *window = weights.shape
    row = torch.arange(rows) // outputs
    column = torch.arange(columns) // inputs
    place = torch.arange(weights[0, 0].numel()).reshape(window)
    ends = (1,) * len(window)
    across = row.reshape(-1, 1, *ends) * (int(column[-1]) + 1) + column.reshape(1, -1, *ends)
    return across * place.numel() + place


def cubic_sparsity(step: int, steps: int, target: float) -> float:
    """The fraction of zeros after `step` of `steps`: fast at first, slow at the end.

    Zhu and Gupta, "To prune, or not to prune" (2017).
    """
    progress = min(max(step / steps, 0.0), 1.0) if steps > 0 else 1.0
    return target * (1 - (1 - progress) ** 3)


def prunable_layers(module: nn.Module) -> dict[str, Layer]:
    """Convolutions and dense layers by name, but for depthwise ones: they have few weights, and need them all."""
    return {
        name: part
        for name, part in module.named_modules()
        if isinstance(part, Layer) and getattr(part, "groups", 1) == 1
    }


class Pruning:
    """Holds weights at zero, more of them as training goes on. Call `step` after every step of the optimiser.

    sparsity: the fraction of each layer's groups that is zero in the end, 0 .. 1, after `steps` calls; from then on
    it stays. structure: `single_weights`, `whole_channels` or `blocks(outputs, inputs)`. layers: names of layers, as
    `prunable_layers` has them; without, all of those with at least `smallest` weights. Weights once removed do not come
    back, and one group of a layer always stays. With `whole_channels` the biases go too, and the channel's part of
    batch normalisation and depthwise convolutions that follow, so that it is zero until channels are mixed; layers
    whose channels are those of an output, such as the classes, are left out unless they are named. Raises ModelError
    where torch.fx cannot find what follows.
    """

    def __init__(
        self,
        module: nn.Module,
        sparsity: float,
        steps: int,
        structure: Structure = single_weights,
        layers: Collection[str] | None = None,
        smallest: int = 0,
    ) -> None:
        if not 0 <= sparsity < 1:
            raise InputError(f"a sparsity of {sparsity:g} is not possible; it has to be at least 0 and less than 1")
        found = prunable_layers(module)
        if layers is not None:
            unknown = [name for name in layers if name not in found]
            if unknown:
                raise InputError(f"there is no layer {unknown[0]!r} to prune; there are: {', '.join(found)}")
            found = {name: found[name] for name in layers}
        else:
            found = {name: layer for name, layer in found.items() if layer.weight.numel() >= smallest}
        self.followers: dict[str, list[Follower]] = {}
        if structure is whole_channels:
            flow = ChannelFlow(module)
            final = set() if layers is not None else flow.final_layers(list(prunable_layers(module)))
            found = {name: layer for name, layer in found.items() if name not in final}
            self.followers = {name: flow.followers(name) for name in found}
        self.sparsity, self.steps, self.structure = sparsity, steps, structure
        self.layers = found
        self.groups = {name: structure(layer.weight) for name, layer in found.items()}
        self.kept = {name: torch.ones(int(group.max()) + 1, dtype=torch.bool) for name, group in self.groups.items()}
        self.done = 0

    @torch.no_grad()
    def step(self) -> None:
        """Remove what the schedule says by now, and put zeros where weights have been removed."""
        self.done += 1
        if self.done <= self.steps:
            wanted = cubic_sparsity(self.done, self.steps, self.sparsity)
            for name, layer in self.layers.items():
                self.kept[name] = self._choose(layer.weight, self.groups[name], self.kept[name], wanted)
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Put zeros where weights have been removed."""
        for name, layer in self.layers.items():
            layer.weight.mul_(self.kept[name][self.groups[name]])
            if self.structure is whole_channels:
                self._clear_channels([layer.bias], self.kept[name])
                for follower in self.followers[name]:
                    part = follower.part
                    tensors = [part.weight, part.bias, getattr(part, "running_mean", None)]
                    self._clear_channels(tensors, self.kept[name].repeat_interleave(follower.repeat))

    def state_dict(self) -> dict[str, object]:
        """What has to be kept to go on later."""
        return {"done": self.done, "kept": dict(self.kept)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on where another object with the same arguments was."""
        done, kept = state["done"], state["kept"]
        if not isinstance(done, int) or not isinstance(kept, dict) or set(kept) != set(self.kept):
            raise InputError("this is the state of a pruning of other layers")
        self.done, self.kept = done, dict(kept)

    def _clear_channels(self, tensors: Iterable[torch.Tensor | None], kept: torch.Tensor) -> None:
        for tensor in tensors:
            if tensor is not None:
                tensor.mul_(kept.reshape(-1, *[1] * (tensor.ndim - 1)))

    def _choose(self, weights: torch.Tensor, groups: torch.Tensor, kept: torch.Tensor, sparsity: float) -> torch.Tensor:
        """The groups that stay: all but the fraction with the smallest mean square."""
        sizes = torch.bincount(groups.flatten(), minlength=len(kept))
        sums = torch.zeros(len(kept), dtype=torch.float64)
        sums.index_add_(0, groups.flatten(), weights.flatten().double().square())
        scores = torch.where(kept, sums / sizes, -1.0)
        removed = max(min(round(sparsity * len(kept)), len(kept) - 1), int((~kept).sum()))
        chosen = torch.ones_like(kept)
        chosen[torch.argsort(scores, stable=True)[:removed]] = False
        return chosen
