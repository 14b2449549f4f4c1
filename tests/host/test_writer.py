"""The blob writer chooses the smallest form of each operator's numbers, and the reader gets them all back."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from smidgen.blob.channel_data import channel_data
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import HEADER_BYTES, OPERATOR_BYTES, TENSOR_BYTES, write_blob
from smidgen.errors import ModelError
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator
from smidgen.plan import make_plan

CHANNELS = 8
SHARED, OWN = [2**30], [2**30 + i for i in range(CHANNELS)]


def _operator(multiplier: list[int], shift: list[int], biases: list[int] | None) -> WeightedOperator:
    weights = np.arange(2 * CHANNELS, dtype=np.int8).reshape(CHANNELS, 2)
    bias = None if biases is None else np.array(biases, np.int32)
    return WeightedOperator(Kind.FULLY_CONNECTED, 0, 1, weights=weights, bias=bias,
                            multiplier=np.array(multiplier, np.int32), shift=np.array(shift, np.int32))  # fmt: skip


def _blob(operator: WeightedOperator, zero_point: int) -> bytes:
    """Written without a plan's changes to the multipliers."""
    tensors = [NetworkTensor((1, 2), 0.5, zero_point), NetworkTensor((1, CHANNELS), 0.5, 0)]
    network = Network(tensors, [operator], 1, 1)
    return write_blob(replace(make_plan(network), network=network))


def _biases(largest: int) -> list[int]:
    return [0, 1, -1, 100, largest, -1000, 5, 7]


@pytest.mark.parametrize(
    ("multiplier", "shift", "biases", "bits"),
    [
        (OWN, [0] * CHANNELS, _biases(2**15), (17, 30, 0)),
        (OWN, [0] * CHANNELS, _biases(2**15 - 1), (16, 30, 0)),
        (OWN, [0] * CHANNELS, _biases(-(2**15)), (16, 30, 0)),
        (OWN, [0] * CHANNELS, None, (0, 30, 0)),
        ([2**30 + 2**29, 2**31 - 2**12] * 4, [0] * CHANNELS, None, (0, 18, 0)),
        (SHARED * CHANNELS, list(range(-4, 4)), None, (0, 0, 3)),
        (SHARED * CHANNELS, [-31, 30] * 4, [-(2**31), 2**31 - 1] * 4, (32, 0, 6)),
        (SHARED, [-3], None, (0, 0, 0)),
        ([2**29, 2**30] * 4, [-1, -2] * 4, [-1] * CHANNELS, (1, 1, 1)),
    ],
)
def test_numbers_of_the_channels_take_the_fewest_bits(
    multiplier: list[int], shift: list[int], biases: list[int] | None, bits: tuple[int, int, int]
) -> None:
    blob = _blob(_operator(multiplier, shift, biases), 0)
    (offset,) = struct.unpack_from("<I", blob, HEADER_BYTES + 2 * TENSOR_BYTES + 24)
    assert offset == HEADER_BYTES + 2 * TENSOR_BYTES + OPERATOR_BYTES + 2 * CHANNELS  # after the weights
    least = min([*shift, 32 - 2 ** bits[2]])  # no entry may stand for a shift above 31
    assert struct.unpack_from("<bBBB", blob, offset + 4) == (least, *bits)
    assert len(blob) == offset + 8 + -(-CHANNELS * sum(bits) // 32) * 4  # the last thing in this blob


@pytest.mark.parametrize("largest", [2**31 - 1, 2**15, 2**15 - 1, 1 - 2**15, -(2**15), -(2**31)])
@pytest.mark.parametrize("zero_point", [0, -128, 127])
@pytest.mark.parametrize("shared", [False, True])
def test_numbers_of_the_channels_come_back(largest: int, zero_point: int, shared: bool) -> None:
    written = _operator(SHARED * CHANNELS if shared else OWN, [-3] * CHANNELS, _biases(largest))
    (read,) = read_blob(_blob(written, zero_point)).network.operators
    assert isinstance(read, WeightedOperator)
    assert read.bias is not None
    assert read.bias.tolist() == _biases(largest)
    assert np.broadcast_to(read.multiplier, CHANNELS).tolist() == written.multiplier.tolist()
    assert np.broadcast_to(read.shift, CHANNELS).tolist() == written.shift.tolist()
    assert np.array_equal(read.weights, written.weights)


def test_multipliers_too_far_apart() -> None:
    operator = _operator([5] * 7 + [2**30 + 5], [0] * CHANNELS, None)
    with pytest.raises(ModelError, match="multipliers from 5 to 1073741829 in one operator"):
        channel_data(operator, 0)
