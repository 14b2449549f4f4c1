"""Zero runs: what the writer encodes the independent reader decodes, the parameter is the best, and plans use them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from smidgen.blob.reader_huffman import CodeTable as ReaderTable
from smidgen.blob.reader_zero_runs import WeightShape, decode_zero_runs
from smidgen.errors import BlobError
from smidgen.huffman import CodeTable, build_code_table, huffman_bits, symbol_counts
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator
from smidgen.plan.optimize import Budget, Goal, choose_plan
from smidgen.plan.weights import coded_symbol_counts, plan_weights, symbols_to_code
from smidgen.zero_runs import best_low_bits, encode_with_zero_runs, run_bits, zero_runs

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 60))
WEIGHTS = arrays.arrays(np.int8, SHAPES, elements=st.one_of(st.just(0), st.integers(-128, 127)), fill=st.just(0))


def _table(weights: np.ndarray) -> CodeTable:
    return build_code_table(symbols_to_code(coded_symbol_counts(weights, 1)))


def _decode(stream: bytes, bits: int, shape: tuple[int, int], table: CodeTable, low_bits: int) -> np.ndarray:
    lengths = [int(np.sum(table.lengths == length)) for length in range(1, table.max_length + 1)]
    symbols = [
        int(s) - 128 for length in range(1, table.max_length + 1) for s in np.flatnonzero(table.lengths == length)
    ]
    read = ReaderTable(tuple(lengths), tuple(symbols))
    return decode_zero_runs("weights", memoryview(stream), bits, WeightShape(*shape), read, low_bits + 1).reshape(shape)


@settings(deadline=None)
@given(weights=WEIGHTS, low_bits=st.integers(0, 7))
def test_decoding_gives_the_weights(weights: np.ndarray, low_bits: int) -> None:
    table = _table(weights)
    stream, bits = encode_with_zero_runs(weights, table, low_bits)
    counts = coded_symbol_counts(weights, 1)
    assert bits == run_bits(zero_runs(weights), low_bits) + (table.coded_bits(counts) or 0)
    assert len(stream) == -(-bits // 16) * 2
    np.testing.assert_array_equal(_decode(stream, bits, weights.shape, table, low_bits), weights)


def test_runs() -> None:
    weights = np.array([[0, 0, 5, 0], [1, 2, 3, 4], [0, 0, 0, 0], [0, 0, 0, 9]], np.int8)
    assert zero_runs(weights).tolist() == [2, 1, 0, 0, 0, 0, 4, 3]


@pytest.mark.parametrize(("share", "expected"), [(0.5, {0}), (0.8, {1, 2}), (0.9, {2, 3}), (0.99, {6})])
def test_the_parameter_follows_from_the_share_of_zeros(share: float, expected: set[int]) -> None:
    random = np.random.default_rng(1)
    weights = (random.random((20, 2000)) >= share).astype(np.int8)
    assert best_low_bits(zero_runs(weights)) in expected


@pytest.mark.parametrize("extra", [1, 2, 16])
def test_streams_of_the_wrong_length(extra: int) -> None:
    weights = np.array([[0, 3, 0], [0, 0, 0]], np.int8)
    table = _table(weights)
    stream, bits = encode_with_zero_runs(weights, table, 1)
    with pytest.raises(BlobError, match=f"take {bits} bits of the stream, weights_bits is {bits + extra}"):
        _decode(stream + bytes(2), bits + extra, (2, 3), table, 1)


def test_a_run_that_is_one_too_long() -> None:
    weights = np.array([[0, 3, 0, 0]], np.int8)
    table = _table(weights)
    stream, bits = encode_with_zero_runs(weights, table, 1)
    with pytest.raises(BlobError, match="a run of zeros ends 1 weights behind channel 0"):
        _decode(stream, bits, (1, 3), table, 1)


def test_huffman_bits_are_those_of_the_code_table() -> None:
    random = np.random.default_rng(2)
    for deviation in (1, 5, 40):
        counts = symbol_counts(random.normal(0, deviation, 5000).round().clip(-128, 127).astype(np.int8))
        assert huffman_bits(counts) == build_code_table(counts, 15).coded_bits(counts)


def _network(share: float) -> Network:
    random = np.random.default_rng(3)
    weights = np.where(random.random((32, 400)) < share, 0, random.normal(0, 40, (32, 400)).round().clip(-127, 127))
    operator = WeightedOperator(
        Kind.FULLY_CONNECTED, 0, 1, weights=weights.astype(np.int8), bias=None,
        multiplier=np.full(32, 2**30, np.int32), shift=np.full(32, -7, np.int32),
    )  # fmt: skip
    return Network([NetworkTensor((1, 400), 1.0, 0), NetworkTensor((1, 32), 1.0, 0)], [operator], 1, 1)


@pytest.mark.parametrize(("share", "coding"), [(0, "huffman"), (0.2, "huffman"), (0.8, "zero runs"), (1, "zero runs")])
def test_the_smaller_coding_is_planned(share: float, coding: str) -> None:
    network = _network(share)
    plans, _ = plan_weights(network, "huffman")
    assert plans[0].coding == coding
    plans, _ = plan_weights(network, "huffman", without_zero_runs=[0])
    assert plans[0].coding == "huffman"


def test_a_plan_for_speed_stores_sparse_weights_in_the_fastest_way() -> None:
    candidate = choose_plan(_network(0.97), Goal.SPEED, Budget(2**20))
    assert candidate.plan.weights[0].coding == "zero runs"  # hardly anything to multiply
    candidate = choose_plan(_network(0.3), Goal.SPEED, Budget(2**20))
    assert candidate.plan.weights[0].coding == "raw"
