"""Decides how each weight tensor is stored: raw, or Huffman coded with a table of its own or a shared one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smidgen.huffman import DEFAULT_CODE_LENGTH, CodeTable, build_code_table, entropy_bits, symbol_counts
from smidgen.network import Network, WeightedOperator

Coding = Literal["smallest", "huffman", "raw"]
CODINGS: tuple[Coding, ...] = get_args(Coding)

LOOKUP_BITS = 8  # codes up to this length are looked up
_TABLE_FIXED_BYTES = 4 + 2 * DEFAULT_CODE_LENGTH  # of a code table, besides the symbols


@dataclass(frozen=True)
class WeightPlan:
    """`table` indexes `Plan.code_tables`; None means raw. decoder_bytes: scratch for decoding, without the weights."""

    table: int | None
    decoder_bytes: int


@dataclass(frozen=True)
class _Group:
    """Tensors that share a code table. `cost` in bytes, estimated from the entropy."""

    members: tuple[int, ...]
    counts: NDArray[np.int64]
    cost: float


def plan_weights(
    network: Network, coding: Coding = "smallest", raw: Collection[int] = ()
) -> tuple[dict[int, WeightPlan], list[CodeTable]]:
    """A plan for each operator with weights, by operator index, and the code tables they use.

    With "smallest", a coded tensor never takes more bytes than a raw one, its share of the table included. With
    "huffman" every tensor is coded, with "raw" none: the fastest, since nothing has to be decoded. raw: indices of
    operators whose weights are raw whatever `coding` says.
    """
    if coding not in CODINGS:
        raise ValueError(f"the coding must be one of {', '.join(CODINGS)}, not {coding!r}")
    weighted = {i: op for i, op in enumerate(network.operators) if isinstance(op, WeightedOperator)}
    if coding == "raw":
        return dict.fromkeys(weighted, WeightPlan(None, 0)), []
    counts = {index: symbol_counts(operator.weights) for index, operator in weighted.items() if index not in raw}
    plans = {index: WeightPlan(None, 0) for index in weighted if index in raw}
    tables: list[CodeTable] = []
    for group in _group(counts, may_be_raw=coding == "smallest"):
        if coding == "huffman":
            coded: set[int] = set(group.members)
            table: CodeTable | None = build_code_table(group.counts)
        else:
            coded, table = _coded_members(group, counts)
        if table is not None:
            tables.append(table)
        for index in group.members:
            number = len(tables) - 1 if index in coded else None
            plans[index] = _weight_plan(tables, number)
    return dict(sorted(plans.items())), tables


def _weight_plan(tables: Sequence[CodeTable], number: int | None) -> WeightPlan:
    return WeightPlan(number, 0 if number is None else decoder_scratch_bytes(tables[number].max_length))


def decoder_scratch_bytes(max_length: int) -> int:
    """Scratch for decoding with a table whose longest code has so many bits, without the weights (docs/format.md
    section 6)."""
    return (2 << LOOKUP_BITS) + 4 * max(max_length - LOOKUP_BITS, 0)


def _estimate(members: tuple[int, ...], counts: NDArray[np.int64], may_be_raw: bool) -> _Group:
    """A group and its cost; a single tensor may also stay raw, if it may at all."""
    table = _TABLE_FIXED_BYTES + int(np.count_nonzero(counts))
    coded = entropy_bits(counts) / 8 + table
    raw = may_be_raw and len(members) == 1
    return _Group(members, counts, min(coded, float(counts.sum())) if raw else coded)


def _group(counts: dict[int, NDArray[np.int64]], may_be_raw: bool) -> list[_Group]:
    """Join the two groups that save most, until no joint table is smaller than two."""
    groups = [_estimate((index,), count, may_be_raw) for index, count in counts.items()]
    joined: dict[tuple[int, ...], _Group] = {}
    while len(groups) > 1:
        best: tuple[float, int, int, _Group] | None = None
        for i, first in enumerate(groups):
            for j in range(i + 1, len(groups)):
                members = tuple(sorted(first.members + groups[j].members))
                if members not in joined:
                    joined[members] = _estimate(members, first.counts + groups[j].counts, may_be_raw)
                saving = first.cost + groups[j].cost - joined[members].cost
                if best is None or saving > best[0]:
                    best = saving, i, j, joined[members]
        assert best is not None
        if best[0] <= 0:
            break
        groups = [group for k, group in enumerate(groups) if k not in best[1:3]] + [best[3]]
    return groups


def _coded_members(group: _Group, counts: dict[int, NDArray[np.int64]]) -> tuple[set[int], CodeTable | None]:
    """The members for which coding pays under the real code, and that code; (empty, None) if it does not."""
    coded = set(group.members)
    while coded:
        table = build_code_table(sum((counts[index] for index in coded), np.zeros(256, np.int64)))
        bits = {index: table.coded_bits(counts[index]) for index in coded}
        kept = {index for index in coded if (bits[index] or 0) < 8 * int(counts[index].sum())}
        if kept == coded:
            saved = sum(int(counts[index].sum()) - -(-(bits[index] or 0) // 16) * 2 for index in coded)
            return (coded, table) if saved > table.table_bytes else (set(), None)
        coded = kept
    return set(), None
