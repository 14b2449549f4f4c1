"""Removes, exactly, the channels that no output depends on: those that never change, and those that nobody reads."""

from __future__ import annotations

from smidgen.network import Network
from smidgen.plan.constants import fold_constants
from smidgen.plan.ranges import find_bounds
from smidgen.plan.unread_channels import remove_unread_channels


def remove_constant_channels(network: Network) -> Network:
    """A network with the same outputs for every input, with fewer channels where that is possible.

    Tensors and operators keep their indices. Returns `network` itself if there is nothing to remove. Rarely a second
    round finds more: a depthwise convolution that is left with one input may lose single outputs.
    """
    while (smaller := remove_unread_channels(fold_constants(network, find_bounds(network)))) is not network:
        network = smaller
    return network
