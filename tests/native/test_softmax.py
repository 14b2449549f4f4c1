"""SOFTMAX: against the real function, and bit for bit against the definitions of docs/format.md, section 4."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

import blob_builder as b
import sample_blobs
from blob_builder import Operator, Tensor
from host_engine import HostEngine


def run(engine: HostEngine, blob: b.Blob, values: list[int]) -> list[int]:
    engine.load(bytes(blob.data))
    return [int(value) for value in engine.run([np.array(values, np.int8)])[0].reshape(-1)]


def high(x: int, y: int) -> int:
    """doubling_high_multiply, for any x and y but twice -2^31"""
    product = x * y
    nudged = product + (1 << 30 if product >= 0 else 1 - (1 << 30))
    return abs(nudged) // (1 << 31) * (1 if nudged >= 0 else -1)


def shift_right(x: int, n: int) -> int:
    remainder = x & ((1 << n) - 1)
    return (x >> n) + (remainder > (((1 << n) - 1) >> 1) + (x < 0))


def exponential(a: int) -> int:
    if a == 0:
        return 2**31 - 1
    r = (a & (2**24 - 1)) - 2**24
    x = r * 32 + 2**28
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    t = shift_right(high(shift_right(x4, 2) + x3, 715827883) + x2, 1)
    y = min(2**31 - 1, 1895147668 + high(1895147668, x + t))
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for bit, factor in enumerate(factors, start=24):
        if (r - a) >> bit & 1:
            y = high(y, factor)
    return y


def reciprocal(a: int) -> int:
    half = (a + 2**31) // 2
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        x += high(x, 2**29 - high(half, x)) * 4
    return min(2**31 - 1, x * 2)


def softmax_row(row: list[int], multiplier: int, shift: int, minimum: int) -> list[int]:
    differences = [x - max(row) for x in row]
    terms = [exponential(high(d << shift, multiplier)) if d >= minimum else None for d in differences]
    total = sum(shift_right(term, 12) for term in terms if term is not None)
    zeros = 32 - total.bit_length()
    factor = reciprocal((total << zeros) - 2**31)
    outputs = []
    for term in terms:
        scaled = 0 if term is None else shift_right(high(factor, term), 35 - zeros)
        outputs.append(min(127, max(-128, scaled - 128)))
    return outputs


@pytest.mark.parametrize(("multiplier", "shift"), [(1 << 30, 23), (1518500250, 21), (2140000001, 19), (1 << 30, 24)])
def test_bit_exact(engine: HostEngine, multiplier: int, shift: int) -> None:
    random = np.random.default_rng(shift)
    minimum = -((31 << 26) // (multiplier >> (31 - shift)))  # e^-31 is as good as 0
    for length, count in ((2, 1500), (3, 1500), (10, 400), (300, 10)):
        rows = np.clip(random.normal(0, 60, (count, length)), -128, 127).astype(np.int8)
        blob = b.build(
            [Tensor((count, length)), Tensor((count, length), zero_point=-128)],
            [Operator(b.SOFTMAX, 0, 1, requantization=struct.pack("<iii", multiplier, shift, minimum))],
        )
        expected = [value for row in rows.tolist() for value in softmax_row(row, multiplier, shift, minimum)]
        assert run(engine, blob, rows.reshape(-1).tolist()) == expected


def test_real_function(engine: HostEngine) -> None:
    """Within one step of the real function, and exactly equal scores for equal inputs."""
    rows = [[0, 0, 0], [16, 0, -16]]
    result = run(engine, sample_blobs.softmax(), [value for row in rows for value in row])
    for row, got in zip(rows, (result[:3], result[3:]), strict=True):
        total = sum(math.exp(value / 16) for value in row)
        for value, quantized in zip(row, got, strict=True):
            assert abs((quantized + 128) / 256 - math.exp(value / 16) / total) <= 1 / 256
    assert result[0] == result[1] == result[2] == 85 - 128


def test_below_the_minimum(engine: HostEngine) -> None:
    blob = sample_blobs.softmax()
    start = blob.places["requantization 0"]
    blob.data[start : start + 12] = struct.pack("<iii", 1 << 30, 23, -10)
    blob.data[:] = blob.sealed()
    # -11 is too far below the largest to count at all: the other two share everything.
    assert run(engine, blob, [0, 0, -11, 100, 89, -128])[:3] == [0, 0, -128]
    assert run(engine, blob, [0, 0, -11, 100, 89, -128])[3:] == [127, -128, -128]
    assert run(engine, blob, [0, 0, -10, 100, 90, -128]) == [
        *softmax_row([0, 0, -10], 1 << 30, 23, -10), *softmax_row([100, 90, -128], 1 << 30, 23, -10)
    ]  # fmt: skip
    assert run(engine, blob, [0, 0, -10, 100, 90, -128])[2] > -128


@pytest.mark.parametrize("count", [1, 2, 511, 512, 4095])
def test_of_equal_elements(engine: HostEngine, count: int) -> None:
    """The sum of 4095 ones is the largest that there may be."""
    blob = b.build(
        [Tensor((count,)), Tensor((count,), zero_point=-128)],
        [Operator(b.SOFTMAX, 0, 1, requantization=struct.pack("<iii", 1 << 30, 23, -248))],
    )
    assert run(engine, blob, [3] * count) == [min(127, round(256 / count) - 128)] * count


@pytest.mark.parametrize("shift", [0, 27, 31])
@pytest.mark.parametrize("multiplier", [0, 1 << 30, 0x7FFFFFFF])
def test_with_any_scaling(engine: HostEngine, multiplier: int, shift: int) -> None:
    """Differences that overflow the fixed point numbers wrap; nothing undefined happens."""
    blob = sample_blobs.softmax()
    start = blob.places["requantization 0"]
    blob.data[start : start + 12] = struct.pack("<iii", multiplier, shift, -(1 << 31))
    blob.data[:] = blob.sealed()
    assert len(run(engine, blob, [127, -128, -127, 0, 1, -1])) == 6
