"""Decides how each weight tensor is stored: raw, or Huffman coded with or without zero runs, with a code table of its
own or a shared one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smidgen.huffman import DEFAULT_CODE_LENGTH, CodeTable, build_code_table, entropy_bits, huffman_bits, symbol_counts
from smidgen.network import Network, WeightedOperator
from smidgen.zero_runs import best_low_bits, run_bits, zero_runs

Coding = Literal["smallest", "huffman", "raw"]
CODINGS: tuple[Coding, ...] = get_args(Coding)

LOOKUP_BITS = 8  # codes up to this length are looked up
_TABLE_FIXED_BYTES = 4 + 2 * DEFAULT_CODE_LENGTH  # of a code table, besides the symbols


@dataclass(frozen=True)
class WeightPlan:
    """`table` indexes `Plan.code_tables`; None means raw. decoder_bytes: scratch for decoding, without the weights.

    zero_runs: of the operator's record (docs/format.md section 2.3), 0 without. run_bits: what the runs' codes take.
    """

    table: int | None
    decoder_bytes: int
    zero_runs: int = 0
    run_bits: int = 0

    @property
    def coding(self) -> str:
        """For people: "raw", "huffman" or "zero runs"."""
        if self.table is None:
            return "raw"
        return "zero runs" if self.zero_runs else "huffman"


@dataclass(frozen=True)
class _Coded:
    """A tensor as it is coded. counts: of symbols; zero_runs, run_bits: as in WeightPlan."""

    size: int
    counts: NDArray[np.int64]
    zero_runs: int = 0
    run_bits: int = 0

    @staticmethod
    def plain(weights: NDArray[np.int8]) -> _Coded:
        return _Coded(weights.size, symbol_counts(weights))

    @staticmethod
    def with_zero_runs(weights: NDArray[np.int8]) -> _Coded:
        runs = zero_runs(weights)
        low_bits = best_low_bits(runs)
        return _Coded(weights.size, coded_symbol_counts(weights, 1 + low_bits), 1 + low_bits, run_bits(runs, low_bits))

    @property
    def least_bits(self) -> int:
        """With a code table of its own."""
        return huffman_bits(self.counts) + self.run_bits

    def bits(self, table: CodeTable) -> int:
        coded = table.coded_bits(self.counts)
        assert coded is not None
        return coded + self.run_bits


def coded_symbol_counts(weights: NDArray[np.int8], zero_runs: int) -> NDArray[np.int64]:
    """How often each symbol has to be coded: all but zero with zero runs."""
    counts = symbol_counts(weights)
    if zero_runs:
        counts[128] = 0
    return counts


@dataclass(frozen=True)
class _Group:
    """Tensors that share a code table. `cost` in bytes, estimated from the entropy."""

    members: tuple[int, ...]
    counts: NDArray[np.int64]
    cost: float


def plan_weights(
    network: Network, coding: Coding = "smallest", raw: Collection[int] = (), without_zero_runs: Collection[int] = ()
) -> tuple[dict[int, WeightPlan], list[CodeTable]]:
    """A plan for each operator with weights, by operator index, and the code tables they use.

    With "smallest", a coded tensor never takes more bytes than a raw one, its share of the table included. With
    "huffman" every tensor is coded, with "raw" none: the fastest, since nothing has to be decoded. raw,
    without_zero_runs: indices of operators that are stored so whatever would be smaller.
    """
    if coding not in CODINGS:
        raise ValueError(f"the coding must be one of {', '.join(CODINGS)}, not {coding!r}")
    weighted = {i: op for i, op in enumerate(network.operators) if isinstance(op, WeightedOperator)}
    if coding == "raw":
        return dict.fromkeys(weighted, WeightPlan(None, 0)), []
    tensors = {
        index: _Coded.plain(operator.weights) if index in without_zero_runs else _coded(operator.weights)
        for index, operator in weighted.items()
        if index not in raw
    }
    plans = {index: WeightPlan(None, 0) for index in weighted if index in raw}
    tables: list[CodeTable] = []
    for group in _group(tensors, may_be_raw=coding == "smallest"):
        if coding == "huffman":
            coded: set[int] = set(group.members)
            table: CodeTable | None = build_code_table(symbols_to_code(group.counts))
        else:
            coded, table = _coded_members(group, tensors)
        if table is not None:
            tables.append(table)
        for index in group.members:
            number = len(tables) - 1 if index in coded else None
            plans[index] = _weight_plan(tables, number, tensors[index])
    return dict(sorted(plans.items())), tables


def _coded(weights: NDArray[np.int8]) -> _Coded:
    """With zero runs if that is smaller."""
    return min(_Coded.plain(weights), _Coded.with_zero_runs(weights), key=lambda coded: coded.least_bits)


def symbols_to_code(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Symbols to make a code table for, where all weights are zeros in runs."""
    return counts if counts.any() else np.bincount([129], minlength=256)


def _weight_plan(tables: Sequence[CodeTable], number: int | None, coded: _Coded) -> WeightPlan:
    if number is None:
        return WeightPlan(None, 0)
    return WeightPlan(number, decoder_scratch_bytes(tables[number].max_length), coded.zero_runs, coded.run_bits)


def decoder_scratch_bytes(max_length: int) -> int:
    """Scratch for decoding with a table whose longest code has so many bits, without the weights (docs/format.md
    section 6)."""
    return (2 << LOOKUP_BITS) + 4 * max(max_length - LOOKUP_BITS, 0)


def _estimate(members: tuple[int, ...], tensors: dict[int, _Coded], may_be_raw: bool) -> _Group:
    """A group and its cost; a single tensor may also stay raw, if it may at all."""
    counts = sum((tensors[index].counts for index in members), np.zeros(256, np.int64))
    table = _TABLE_FIXED_BYTES + int(np.count_nonzero(counts))
    runs = sum(tensors[index].run_bits for index in members)
    coded = (entropy_bits(counts) + runs) / 8 + table
    raw = may_be_raw and len(members) == 1
    return _Group(members, counts, min(coded, float(tensors[members[0]].size)) if raw else coded)


def _group(tensors: dict[int, _Coded], may_be_raw: bool) -> list[_Group]:
    """Join the two groups that save most, until no joint table is smaller than two."""
    groups = [_estimate((index,), tensors, may_be_raw) for index in tensors]
    joined: dict[tuple[int, ...], _Group] = {}
    while len(groups) > 1:
        best: tuple[float, int, int, _Group] | None = None
        for i, first in enumerate(groups):
            for j in range(i + 1, len(groups)):
                members = tuple(sorted(first.members + groups[j].members))
                if members not in joined:
                    joined[members] = _estimate(members, tensors, may_be_raw)
                saving = first.cost + groups[j].cost - joined[members].cost
                if best is None or saving > best[0]:
                    best = saving, i, j, joined[members]
        assert best is not None
        if best[0] <= 0:
            break
        groups = [group for k, group in enumerate(groups) if k not in best[1:3]] + [best[3]]
    return groups


def _coded_members(group: _Group, tensors: dict[int, _Coded]) -> tuple[set[int], CodeTable | None]:
    """The members for which coding pays under the real code, and that code; (empty, None) if it does not."""
    coded = set(group.members)
    while coded:
        table = build_code_table(
            symbols_to_code(sum((tensors[index].counts for index in coded), np.zeros(256, np.int64)))
        )
        bits = {index: tensors[index].bits(table) for index in coded}
        kept = {index for index in coded if bits[index] < 8 * tensors[index].size}
        if kept == coded:
            saved = sum(tensors[index].size - -(-bits[index] // 16) * 2 for index in coded)
            return (coded, table) if saved > table.table_bytes else (set(), None)
        coded = kept
    return set(), None
