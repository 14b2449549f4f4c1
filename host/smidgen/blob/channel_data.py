"""Writes the requantisation data of an operator with weights: docs/format.md, section 4."""

from __future__ import annotations

import struct

import numpy as np

from smidgen.errors import ModelError
from smidgen.network import WeightedOperator
from smidgen.requantization import Integers, wrap_int32

_TOP = 30  # multiplier bits below the leading one
_LEADING_ONE = 1 << _TOP
_HIGHEST_SHIFT = 31


def channel_data(operator: WeightedOperator, zero_point: int) -> bytes:
    """Biases, multipliers and shifts of all output channels in as few bits as they need; a multiple of 4 bytes.

    zero_point: of the input; it goes into the biases. Raises ModelError for multipliers too far apart for the format.
    """
    bias = folded_bias(operator, zero_point)
    multiplier = np.broadcast_to(operator.multiplier.astype(np.int64), operator.channels)
    shift = np.broadcast_to(operator.shift.astype(np.int64), operator.channels)
    base, multiplier_bits = _multiplier_grid(multiplier)
    steps = (multiplier - base) >> (_TOP - multiplier_bits)
    bias_bits, shift_bits = _signed_bits(bias), int(shift.max() - shift.min()).bit_length()
    least = min(int(shift.min()), _HIGHEST_SHIFT + 1 - 2**shift_bits)  # no entry may stand for more
    header = struct.pack("<IbBBB", base, least, bias_bits, multiplier_bits, shift_bits)
    return header + _stream((bias, bias_bits), (steps, multiplier_bits), (shift - least, shift_bits))


def folded_bias(operator: WeightedOperator, zero_point: int) -> Integers:
    """The biases for sums of plain inputs: bias - zero point * sum of the weights, modulo 2^32."""
    folded = -zero_point * operator.weights.sum(axis=1, dtype=np.int64)
    if operator.bias is not None:
        folded += operator.bias
    return wrap_int32(folded)


def _multiplier_grid(multiplier: Integers) -> tuple[int, int]:
    """The least multiplier that entries can have, and the bits with which they reach all of these."""
    least, largest = int(multiplier.min()), int(multiplier.max())
    if least == largest:
        return least, 0
    base = min(least, _LEADING_ONE)
    if largest - base >= _LEADING_ONE:
        raise ModelError(f"multipliers from {least} to {largest} in one operator; a blob holds a range of 2^30")
    steps = int(np.bitwise_or.reduce(multiplier - base))
    return base, _TOP + 1 - (steps & -steps).bit_length()


def _signed_bits(numbers: Integers) -> int:
    """Bits of two's complement that hold all of these; 0 if they are all 0."""
    if not numbers.any():
        return 0
    return 1 + int(np.where(numbers < 0, ~numbers, numbers).max()).bit_length()


def _stream(*fields: tuple[Integers, int]) -> bytes:
    """One entry after the other, each of the fields with their numbers of bits, lowest bit first."""
    bits = [(numbers[:, None] >> np.arange(width)) & 1 for numbers, width in fields]
    packed = np.packbits(np.concatenate(bits, axis=1).astype(np.uint8), bitorder="little").tobytes()
    return packed + bytes(-len(packed) % 4)
