"""The blob writer chooses the smallest form of each operator's numbers, and the reader gets them all back."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from smidgen.blob.reader import read_blob
from smidgen.blob.writer import (
    BIAS_16,
    HEADER_BYTES,
    NO_BIAS,
    OPERATOR_BYTES,
    SHARED_MULTIPLIER,
    TENSOR_BYTES,
    write_blob,
)
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator
from smidgen.plan import make_plan

CHANNELS = 8
SHARED, OWN = [2**30], [2**30 + i for i in range(CHANNELS)]
_FLAGS_OFFSET = 21  # in an operator's record


def _operator(multiplier: list[int], shift: list[int], biases: list[int] | None) -> WeightedOperator:
    weights = np.arange(2 * CHANNELS, dtype=np.int8).reshape(CHANNELS, 2)
    bias = None if biases is None else np.array(biases, np.int32)
    return WeightedOperator(Kind.FULLY_CONNECTED, 0, 1, weights=weights, bias=bias,
                            multiplier=np.array(multiplier, np.int32), shift=np.array(shift, np.int32))  # fmt: skip


def _blob(operator: WeightedOperator) -> bytes:
    tensors = [NetworkTensor((1, 2), 0.5, 0), NetworkTensor((1, CHANNELS), 0.5, 0)]
    return write_blob(make_plan(Network(tensors, [operator], 1, 1)))


def _flags(blob: bytes) -> int:
    return blob[HEADER_BYTES + 2 * TENSOR_BYTES + _FLAGS_OFFSET]


def _biases(largest: int) -> list[int]:
    return [0, 1, -1, 100, largest, -1000, 5, 7]


@pytest.mark.parametrize(
    ("multiplier", "shift", "biases", "flags", "data_bytes"),
    [
        (OWN, [0] * CHANNELS, _biases(2**15), 0, (4 + 4 + 1) * CHANNELS),
        (OWN, [0] * CHANNELS, _biases(2**15 - 1), BIAS_16, (4 + 2 + 1) * CHANNELS),
        (OWN, [0] * CHANNELS, _biases(1 - 2**15), BIAS_16, (4 + 2 + 1) * CHANNELS),
        (OWN, [0] * CHANNELS, None, NO_BIAS, (4 + 1) * CHANNELS),
        (SHARED * CHANNELS, list(range(CHANNELS)), None, NO_BIAS, (4 + 1) * CHANNELS),
        (SHARED * CHANNELS, [-3] * CHANNELS, _biases(2**15), SHARED_MULTIPLIER, 4 + 4 * CHANNELS + 1),
        (SHARED * CHANNELS, [-3] * CHANNELS, _biases(9), SHARED_MULTIPLIER | BIAS_16, 4 + 2 * CHANNELS + 1),
        (SHARED, [-3], None, SHARED_MULTIPLIER | NO_BIAS, 4 + 1),
    ],
)
def test_numbers_of_the_channels_take_the_smallest_form(
    multiplier: list[int], shift: list[int], biases: list[int] | None, flags: int, data_bytes: int
) -> None:
    blob = _blob(_operator(multiplier, shift, biases))
    assert _flags(blob) == flags
    (offset,) = struct.unpack_from("<I", blob, HEADER_BYTES + 2 * TENSOR_BYTES + 24)
    assert len(blob) == -(-(offset + data_bytes) // 4) * 4  # the numbers are the last thing in this blob
    assert offset == HEADER_BYTES + 2 * TENSOR_BYTES + OPERATOR_BYTES + 2 * CHANNELS  # after the weights


@pytest.mark.parametrize("largest", [2**31 - 1, 2**15, 2**15 - 1, 1 - 2**15, -(2**15), -(2**31)])
@pytest.mark.parametrize("shared", [False, True])
def test_numbers_of_the_channels_come_back(largest: int, shared: bool) -> None:
    written = _operator(SHARED * CHANNELS if shared else OWN, [-3] * CHANNELS, _biases(largest))
    (read,) = read_blob(_blob(written)).network.operators
    assert isinstance(read, WeightedOperator)
    assert read.bias is not None
    assert read.bias.tolist() == _biases(largest)
    assert np.broadcast_to(read.multiplier, CHANNELS).tolist() == written.multiplier.tolist()
    assert np.broadcast_to(read.shift, CHANNELS).tolist() == written.shift.tolist()
    assert np.array_equal(read.weights, written.weights)
