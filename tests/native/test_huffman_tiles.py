"""Huffman coded weights in tiles of any size give the results of raw weights, in exactly the scratch they declare."""

from __future__ import annotations

import numpy as np
import pytest

import blob_builder as b
from blob_builder import Blob, CodeTable, Operator, Tensor
from host_engine import HostEngine


def depthwise(weights: b.Weights, tile: int, count: int) -> Blob:
    return b.build(
        [Tensor((1, 5, 5, count), zero_point=3), Tensor((1, 5, 5, count))],
        [
            Operator(
                b.DEPTHWISE_CONV_2D, 0, 1, parameters=b.window((3, 3), pad=(1, 1)), weights=weights,
                tile=tile, requantization=b.channels([(1 << 30, -4)] * count, list(range(count))),
            )
        ],
    )  # fmt: skip


def conv(weights: b.Weights, tile: int, count: int) -> Blob:
    return b.build(
        [Tensor((1, 4, 3, 3), zero_point=-7), Tensor((1, 2, 2, count))],
        [
            Operator(
                b.CONV_2D, 0, 1, parameters=b.window((2, 1), stride=(2, 2)), weights=weights,
                tile=tile, requantization=b.channels([(1 << 30, -4)] * count, [5] * count),
            )
        ],
    )  # fmt: skip


def dense(weights: b.Weights, tile: int, count: int) -> Blob:
    return b.build(
        [Tensor((3, 11)), Tensor((3, count))],
        [
            Operator(
                b.FULLY_CONNECTED, 0, 1, weights=weights, tile=tile,
                requantization=b.channels([(1 << 30, -4)] * count, [5] * count),
            )
        ],
    )  # fmt: skip


LAYERS = {"conv": (conv, 6, 36), "depthwise": (depthwise, 9, 75), "dense": (dense, 11, 33)}
COUNT = 7


@pytest.mark.parametrize("spread", [1, 3, 30, 127])
@pytest.mark.parametrize("layer", LAYERS)
def test_tiles(engine: HostEngine, layer: str, spread: int) -> None:
    make, per_channel, inputs = LAYERS[layer]
    random = np.random.default_rng(spread)
    values = np.clip(np.round(random.laplace(0, spread, COUNT * per_channel)), -128, 127).astype(int).tolist()
    elements = inputs if layer != "depthwise" else 25 * COUNT
    sample = random.integers(-128, 128, elements).astype(np.int8)
    engine.load(bytes(make(b.raw(values), 1, COUNT).data))
    (expected,) = engine.run([sample])
    assert len(set(expected.reshape(-1).tolist())) > 3
    for tile in range(1, COUNT + 1):
        weights = b.huffman(values)
        assert weights.table is not None
        engine.load(bytes(make(weights, tile, COUNT).data))
        np.testing.assert_array_equal(engine.run([sample])[0], expected)
        use = engine.memory_use([sample])
        assert use.deterministic
        tensors = sum(tensor.elements for tensor in engine.tensors)
        scratch = weights.table.decoder_bytes() + tile * per_channel
        assert use.arena_bytes == -(-tensors // 4) * 4 + scratch


def test_no_scratch_for_raw_weights(engine: HostEngine) -> None:
    engine.load(bytes(dense(b.raw([1] * 77), 7, 7).data))
    assert engine.memory_use([bytes(33)]).arena_bytes == sum(tensor.elements for tensor in engine.tensors)


@pytest.mark.parametrize("lengths", [[*range(1, 16), 15], [15, *range(1, 16)], [0, 0, *range(15, 0, -1), 15, 0]])
def test_longest_codes(engine: HostEngine, lengths: list[int]) -> None:
    """Every length from 1 to 15, symbols in every order of length."""
    table = CodeTable(-9, lengths)
    symbols = sorted(table.codes())
    values = [symbols[(i * 7) % len(symbols)] for i in range(11 * 7)]
    sample = np.arange(-16, 17, dtype=np.int8)
    engine.load(bytes(dense(b.raw(values), 7, 7).data))
    (expected,) = engine.run([sample])
    engine.load(bytes(dense(b.huffman(values, table), 2, 7).data))
    np.testing.assert_array_equal(engine.run([sample])[0], expected)


def test_all_256_symbols(engine: HostEngine) -> None:
    values = [*range(-128, 128), *range(-128, -128 + 31)]  # 41 channels of 7
    table = CodeTable(-128, [8] * 256)
    sample = np.arange(7, dtype=np.int8)
    outputs = []
    for weights in (b.raw(values), b.huffman(values, table)):
        requantization = b.channels([b.QUARTER] * 41, [0] * 41)
        operator = Operator(b.FULLY_CONNECTED, 0, 1, weights=weights, tile=5, requantization=requantization)
        engine.load(bytes(b.build([Tensor((7,)), Tensor((41,))], [operator]).data))
        outputs.append(engine.run([sample])[0].tolist())
    assert outputs[0] == outputs[1]


def test_stream_that_ends_with_its_unit(engine: HostEngine) -> None:
    """Exactly 16, 32 and 48 bits: no unit is read behind the last."""
    for count in (8, 16, 24):
        values = [0, 1, 2, 3] * (count // 4)
        weights = b.huffman(values, CodeTable(0, [2, 2, 2, 2]))
        assert weights.bits == 2 * count and len(weights.data) == count // 4
        operator = Operator(b.FULLY_CONNECTED, 0, 1, weights=weights, requantization=b.channels([b.ONE], [0]))
        engine.load(bytes(b.build([Tensor((count,)), Tensor((1,))], [operator]).data))
        assert engine.run([bytes([1] * count)])[0].tolist() == [sum(values)]
