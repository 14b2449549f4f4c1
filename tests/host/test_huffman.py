"""Code tables and streams: optimal, complete, limited, and decodable by a decoder that knows only the rules."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import model_path
from smidgen.formats.tflite_reader import read_tflite
from smidgen.huffman import build_code_table, canonical_codes, encode, entropy_bits, symbol_counts
from smidgen.lower import lower
from smidgen.network import WeightedOperator
from smidgen.passes import simplify
from smidgen.plan.weights import plan_weights

_WEIGHTS = st.lists(st.integers(-128, 127), min_size=1, max_size=400).map(lambda values: np.array(values, np.int8))


def _decode(stream: bytes, bits: int, lengths: np.ndarray) -> list[int]:
    """Bit by bit, from the definition of the canonical code."""
    codes = {(int(lengths[s]), int(canonical_codes(lengths)[s])): s - 128 for s in np.flatnonzero(lengths)}
    units = np.frombuffer(stream, "<u2")
    text = "".join(f"{unit:016b}" for unit in units)
    symbols, start, position = [], 0, 0
    while position < bits:
        position += 1
        key = (position - start, int(text[start:position], 2))
        if key in codes:
            symbols.append(codes[key])
            start = position
    assert start == bits, "the stream does not end with a code"
    assert "1" not in text[bits:], "unused bits are not zero"
    return symbols


def _huffman_cost(counts: list[int]) -> int:
    """Total bits of an unlimited Huffman code: the sum of all merged weights."""
    heap = list(counts)
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


@given(weights=_WEIGHTS)
def test_round_trip(weights: np.ndarray) -> None:
    table = build_code_table(symbol_counts(weights))
    stream, bits = encode(weights, table)
    assert len(stream) == -(-bits // 16) * 2
    assert _decode(stream, bits, table.lengths) == weights.tolist()
    assert bits == table.coded_bits(symbol_counts(weights))


@given(weights=_WEIGHTS, limit=st.integers(8, 15))
def test_codes_are_complete_and_limited(weights: np.ndarray, limit: int) -> None:
    lengths = build_code_table(symbol_counts(weights), limit).lengths
    used = lengths[lengths > 0]
    assert used.max() <= limit
    assert np.sum(2.0**-used) == 1.0


@given(weights=_WEIGHTS.filter(lambda weights: len(set(weights.tolist())) > 1))
def test_codes_are_optimal_where_the_limit_does_not_bind(weights: np.ndarray) -> None:
    counts = symbol_counts(weights)
    table = build_code_table(counts, 15)
    cost = table.coded_bits(counts)
    optimum = _huffman_cost([int(count) for count in counts if count])
    assert cost is not None
    if table.lengths.max() < 15:
        assert cost == optimum
    assert cost >= entropy_bits(counts) - 1e-6


def test_a_limit_that_binds_is_still_the_best_code() -> None:
    """Fibonacci counts want codes of up to 19 bits; under a limit of 8, brute force over lengths agrees."""
    counts = np.zeros(256, np.int64)
    fibonacci = [1, 1]
    while len(fibonacci) < 20:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    counts[100:120] = fibonacci
    table = build_code_table(counts, 8)
    assert table.lengths.max() == 8
    assert table.coded_bits(counts) == _best_limited_cost(sorted(fibonacci, reverse=True), 8)


def _best_limited_cost(counts: list[int], limit: int) -> int:
    """Dynamic programme over non-decreasing lengths with the Kraft sum exactly one (in units of 2**-limit)."""
    states = {(0, 1): 0}  # (Kraft sum, smallest allowed length) -> cost
    for count in counts:
        following: dict[tuple[int, int], int] = {}
        for (kraft, shortest), cost in states.items():
            for length in range(shortest, limit + 1):
                total = kraft + (1 << (limit - length))
                if total <= 1 << limit:
                    key = (total, length)
                    following[key] = min(following.get(key, cost + count * length), cost + count * length)
        states = following
    return min(cost for (kraft, _), cost in states.items() if kraft == 1 << limit)


def test_one_symbol_gets_a_partner() -> None:
    for symbol in (-128, 0, 127):
        table = build_code_table(symbol_counts(np.full(5, symbol, np.int8)))
        assert table.used_symbols == 2
        assert table.lengths[symbol + 128] == 1


def test_serialized_table() -> None:
    """-1 and 1 with two bits, 0 with one: longest 2, three symbols, one code of one bit, two of two; 0, -1, 1."""
    table = build_code_table(symbol_counts(np.array([0, 0, 0, 1, -1], np.int8)))
    assert table.serialize() == bytes([2, 0, 3, 0, 1, 0, 2, 0, 0, 0xFF, 1])
    assert table.table_bytes == 11


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no symbols"):
        build_code_table(np.zeros(256, np.int64))
    with pytest.raises(ValueError, match="8 to 15"):
        build_code_table(symbol_counts(np.zeros(3, np.int8)), 16)
    table = build_code_table(symbol_counts(np.array([1, 2, 3], np.int8)))
    with pytest.raises(ValueError, match="no code"):
        encode(np.array([4], np.int8), table)


@pytest.mark.parametrize("name", ["ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "person_detect"])
def test_streams_are_within_a_percent_of_the_entropy(name: str) -> None:
    """Of the weights that share a code table. Not of models with less than a bit a weight, which no code reaches."""
    network = lower(simplify(read_tflite(model_path(name))))
    plans, tables = plan_weights(network, "huffman")
    counts = [np.zeros(256, np.int64) for _ in tables]
    for index, plan in plans.items():
        operator = network.operators[index]
        assert isinstance(operator, WeightedOperator) and plan.table is not None
        counts[plan.table] += symbol_counts(operator.weights)
    coded = sum(table.coded_bits(count) or 0 for table, count in zip(tables, counts, strict=True))
    assert sum(map(entropy_bits, counts)) < coded <= 1.01 * sum(map(entropy_bits, counts))
