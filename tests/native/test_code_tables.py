"""Code tables and bit streams that break a rule of docs/format.md, section 5, are refused."""

from __future__ import annotations

import struct

import pytest

import blob_builder as b
from blob_builder import Blob, CodeTable, Operator, Tensor
from host_engine import STATUS, HostEngine


def refuse(engine: HostEngine, data: bytes, status: str | None) -> None:
    fault = engine.check(data)
    assert (fault.status if fault else None) == (STATUS[status] if status else None), str(fault)


def code_blob(table: CodeTable, values: list[int], bits: int | None = None) -> Blob:
    """A fully connected operator whose weights have this code table."""
    weights = b.huffman(values, table)
    weights.bits += bits or 0
    return b.build(
        [Tensor((len(values),)), Tensor((1,))],
        [Operator(b.FULLY_CONNECTED, 0, 1, weights=weights, requantization=b.channels([b.ONE], [0]))],
        golden=[bytes(len(values) + 1)],
    )


@pytest.mark.parametrize(
    ("lengths", "status"),
    [
        ([1, 1], None),
        ([1, 2, 2], None),
        ([0, 1, 0, 1], None),
        ([*range(1, 16), 15], None),
        ([1], "INCOMPLETE_CODE"),
        ([1, 2], "INCOMPLETE_CODE"),
        ([1, 1, 1], "INCOMPLETE_CODE"),
        ([1, 2, 2, 15], "INCOMPLETE_CODE"),
        ([2, 2, 2], "INCOMPLETE_CODE"),
    ],
)
def test_completeness(engine: HostEngine, lengths: list[int], status: str | None) -> None:
    first = next(place for place, length in enumerate(lengths) if length)
    refuse(engine, bytes(code_blob(CodeTable(0, lengths), [first]).data), status)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_symbols_and_counts_go_together(engine: HostEngine, count: int) -> None:
    blob = code_blob(CodeTable(126, [1, 1]), [126, 127])
    refuse(engine, bytes(blob.data), None)
    struct.pack_into("<H", blob.data, blob.places["table 0"] + 2, count)
    refuse(engine, blob.sealed(), "BAD_CODE_TABLE")


@pytest.mark.parametrize("longest", [0, 2, 16])
def test_longest_length(engine: HostEngine, longest: int) -> None:
    blob = code_blob(CodeTable(0, [1, 1]), [0, 1] * 50)
    struct.pack_into("<B", blob.data, blob.places["table 0"], longest)
    refuse(engine, blob.sealed(), "BAD_CODE_TABLE")


@pytest.mark.parametrize("bits", [-1, 1, 16])
def test_stream_of_the_wrong_length(engine: HostEngine, bits: int) -> None:
    values = [0, 1, 2, 3] * 7
    blob = code_blob(CodeTable(0, [2, 2, 2, 2]), values, bits)
    refuse(engine, bytes(blob.data), "BAD_STREAM")


def test_bits_behind_the_stream(engine: HostEngine) -> None:
    blob = code_blob(CodeTable(0, [2, 2, 2, 2]), [3] * 12)  # 24 bits: 8 are left of the second unit
    blob.data[blob.places["weights 0"] + 2] |= 1
    refuse(engine, blob.sealed(), "BAD_STREAM")


def test_too_much_shared_work(engine: HostEngine) -> None:
    """Many operators that share one long stream would make loading take as long as anyone likes."""
    values = [0, 1] * 16000
    weights = b.huffman(values)
    count = 400
    tensors = [Tensor((len(values),)), *(Tensor((1,)) for _ in range(count))]
    empty = b.Weights(2, weights.bits, b"")
    operators = [
        Operator(b.FULLY_CONNECTED, 0, 1 + i, weights=empty if i else weights, requantization=b.channels([b.ONE], [0]))
        for i in range(count)
    ]
    blob = b.build(tensors, operators)
    for index in range(1, count):
        blob.set_operator(index, "weights_offset", blob.places["weights 0"])
        blob.set_operator(index, "code_table_offset", blob.places["table 0"])
        blob.set_operator(index, "scratch_offset", len(values) + count)
    fault = engine.check(blob.sealed())
    assert fault is not None and fault.status == STATUS["TOO_MUCH_WORK"]
    assert fault.place == "operator" and fault.index > 15  # ordinary sharing is accepted
