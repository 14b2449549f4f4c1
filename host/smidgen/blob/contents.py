"""What a blob holds, as the reader gives it: the network, where everything lies, and what every byte is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Network


@dataclass(frozen=True)
class WeightStorage:
    """How the weights of one operator are stored and decoded."""

    coding: str  # "raw", "huffman" or "zero runs": Huffman with zero runs
    zero_runs: int  # of the record, 0 without
    offset: int  # bytes from the start of the blob
    bits: int  # exact length
    code_table_offset: int  # 0 for raw
    kernel: int
    tile: int  # kernel 0: output channels decoded at a time; kernel 1: pairs of output rows in a block, or 1
    workspace_bytes: int  # of kernel 1 of the convolutions, for what it gathers and compiles; 0 for kernel 0
    scratch_bytes: int  # all working memory while the operator runs, the decoding table included
    scratch_offset: int  # where that lies in the arena; 0 if it is nothing


@dataclass(frozen=True, eq=False)
class GoldenVector:
    """Inputs and the outputs they must give, in the shapes of the network's tensors."""

    inputs: list[NDArray[np.int8]]
    outputs: list[NDArray[np.int8]]


@dataclass(frozen=True)
class Span:
    """`size` bytes at `offset` that are there for `purpose`; operator is the first that uses them, or None."""

    offset: int
    size: int
    purpose: str  # as in docs/format.md: header, tensors, weights, code table, multipliers, golden, padding ...
    operator: int | None = None


@dataclass
class Blob:
    """Everything in a blob. `spans` covers it from the first byte to the last, without gaps or overlaps."""

    network: Network
    arena_offsets: list[int | None]  # by tensor; None for constants
    storage: dict[int, WeightStorage]  # by operator index, for operators with weights
    arena_bytes: int  # all working memory
    scratch_bytes: int  # of that, what the hungriest operator uses besides tensors
    blob_bytes: int
    crc32: int
    golden: list[GoldenVector] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
