"""Runs of zero weights in a bit stream (docs/format.md section 5): only the other weights have codes of their own.

A run is coded with a Golomb-Rice code: its quotient by a power of two as so many ones and a zero, then the remainder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.huffman import CodeTable, canonical_codes, pack_codes

MAX_LOW_BITS = 7  # what the format can express


def zero_runs(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """The zeros before each nonzero weight of each channel, and those behind a channel's last one if there are any.

    weights: [channels, weights]; the runs are in the order of the stream.
    """
    channels, per_channel = weights.shape
    marked = np.concatenate([weights != 0, np.ones((channels, 1), bool)], axis=1)  # a run ends behind each channel too
    ends = np.flatnonzero(marked)
    runs = np.diff(ends, prepend=-1) - 1
    coded: NDArray[np.int64] = runs[(ends % (per_channel + 1) < per_channel) | (runs > 0)]
    return coded


def run_bits(runs: NDArray[np.int64], low_bits: int) -> int:
    """Bits that the codes of all runs take."""
    return int(np.sum(runs >> low_bits)) + len(runs) * (1 + low_bits)


def best_low_bits(runs: NDArray[np.int64]) -> int:
    """Bits of the remainder, 0 .. MAX_LOW_BITS, with which the codes are shortest."""
    return min(range(MAX_LOW_BITS + 1), key=lambda low_bits: run_bits(runs, low_bits))


def encode_with_zero_runs(weights: NDArray[np.int8], table: CodeTable, low_bits: int) -> tuple[bytes, int]:
    """The bit stream of weights [channels, weights], and its exact length in bits."""
    codes = canonical_codes(table.lengths)
    values: list[int] = []
    lengths: list[int] = []
    for channel in weights:
        places = np.flatnonzero(channel)
        runs = zero_runs(channel[np.newaxis])
        symbols = channel[places].astype(np.int64) + 128
        for position, run in enumerate(runs.tolist()):
            quotient, rest = run >> low_bits, run & ((1 << low_bits) - 1)
            values += [1] * quotient + [rest]
            lengths += [1] * quotient + [1 + low_bits]
            if position < len(symbols):
                length = int(table.lengths[symbols[position]])
                if length == 0:
                    raise ValueError("a weight has no code in this table")
                values.append(int(codes[symbols[position]]))
                lengths.append(length)
    return pack_codes(np.array(values, np.int64), np.array(lengths, np.int64))
