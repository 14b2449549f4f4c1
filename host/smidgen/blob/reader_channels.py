"""Requantisation data of the operators with weights: a bias, a multiplier and a shift for each output channel."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.reader_bytes import BlobBytes, require
from smidgen.requantization import INT32_MAX

_HEADER = struct.Struct("<IbBBB")
_LIMITS = {"bias_bits": 32, "multiplier_bits": 30, "shift_bits": 6}
_LEAST_SHIFT, _LARGEST_SHIFT = -32, 31


@dataclass(frozen=True, eq=False)
class ChannelNumbers:
    """int32 arrays [channels]; multiplier and shift are [1] if no bits tell them apart.

    The bias contains the input's zero point (docs/format.md, section 4).
    """

    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]


def read_channel_numbers(blob: BlobBytes, subject: str, index: int, offset: int, channels: int) -> ChannelNumbers:
    """The numbers at requantization_offset; BlobError if they break a rule."""
    subject = f"{subject}: requantization"
    multiplier, shift, *bits = _HEADER.unpack(blob.view(subject, offset, _HEADER.size, alignment=4))
    for (name, limit), found in zip(_LIMITS.items(), bits, strict=True):
        require(found <= limit, subject, f"{name} is {found}, the limit is {limit}")
    bias_bits, multiplier_bits, shift_bits = bits
    largest = multiplier + 2**30 - 2 ** (30 - multiplier_bits)
    require(largest <= INT32_MAX, subject, f"its multipliers reach up to {largest}, they must be below 2^31")
    last = shift + 2**shift_bits - 1
    require(
        shift >= _LEAST_SHIFT and last <= _LARGEST_SHIFT,
        subject,
        f"its shifts reach from {shift} to {last}, they must be within {_LEAST_SHIFT} .. {_LARGEST_SHIFT}",
    )
    entry_bits = sum(bits)
    size = _HEADER.size + 4 * -(-channels * entry_bits // 32)
    view = blob.section(subject, offset, size, "requantization", operator=index, alignment=4)
    stream = np.unpackbits(np.frombuffer(view[_HEADER.size :], np.uint8), bitorder="little")
    require(not stream[channels * entry_bits :].any(), subject, "the bits behind the last entry are not zero")
    entries = stream[: channels * entry_bits].reshape(channels, entry_bits)
    bias, steps, extra = (_field(part) for part in np.split(entries, np.cumsum(bits[:-1]), axis=1))
    if multiplier_bits == shift_bits == 0:
        steps, extra = steps[:1], extra[:1]
    return ChannelNumbers(
        np.where(bias >> max(bias_bits - 1, 0) == 1, bias - 2**bias_bits, bias).astype(np.int32),
        (multiplier + (steps << (30 - multiplier_bits))).astype(np.int32),
        (shift + extra).astype(np.int32),
    )


def _field(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The unsigned numbers in rows of bits, lowest first."""
    numbers: NDArray[np.int64] = bits.astype(np.int64) @ (np.int64(1) << np.arange(bits.shape[1]))
    return numbers
