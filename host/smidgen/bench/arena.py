"""Which bytes of the arena hold something while each operator runs."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.blob.contents import Blob


@dataclass(frozen=True)
class ArenaBlock:
    """`size` bytes at `offset`, in use from operator `first` to `last`. tensor: None for an operator's scratch."""

    offset: int
    size: int
    first: int
    last: int
    tensor: int | None


def arena_blocks(blob: Blob) -> list[ArenaBlock]:
    """Tensors and scratch. Inputs are there from the first operator on, outputs to the last."""
    network = blob.network
    end = len(network.operators) - 1
    first = dict.fromkeys(network.inputs, 0)
    last = dict.fromkeys(network.outputs, end)
    for index, operator in enumerate(network.operators):
        first.setdefault(operator.output, index)
        for tensor in (*operator.inputs, operator.output):
            last[tensor] = max(last.get(tensor, 0), index)
    blocks = [
        ArenaBlock(offset, network.tensors[tensor].elements, first[tensor], last[tensor], tensor)
        for tensor, offset in enumerate(blob.arena_offsets)
        if offset is not None and tensor in first and tensor in last
    ]
    for index, storage in blob.storage.items():
        if storage.scratch_bytes:
            blocks.append(ArenaBlock(storage.scratch_offset, storage.scratch_bytes, index, index, None))
    return blocks


def occupied_bytes(blocks: list[ArenaBlock], operator: int) -> int:
    """While this operator runs; bytes that two blocks share count once."""
    spans = sorted(
        (block.offset, block.offset + block.size) for block in blocks if block.first <= operator <= block.last
    )
    total = reached = 0
    for start, end in spans:
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total
