"""Canonical, length-limited Huffman codes over int8 symbols.

Code lengths come from the package-merge algorithm (Larmore and Hirschberg, 1990), which is optimal under the
limit; codes and streams are laid out as docs/format.md section 5 says.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CODE_LENGTH = 15  # what the format can express
DEFAULT_CODE_LENGTH = 12  # short enough for small decoding tables; costs less than 0.1 % over 15 on real weights
_UNIT_BITS = 16


@dataclass(frozen=True, eq=False)
class CodeTable:
    """`lengths[s + 128]` is the length of symbol s's code in bits, 0 where the symbol has none."""

    lengths: NDArray[np.int64]

    @property
    def used_symbols(self) -> int:
        return int(np.count_nonzero(self.lengths))

    @property
    def max_length(self) -> int:
        """The longest code, in bits."""
        return int(self.lengths.max())

    @property
    def table_bytes(self) -> int:
        """Size of the table in a blob."""
        return 4 + 2 * self.max_length + self.used_symbols

    def coded_bits(self, counts: NDArray[np.int64]) -> int | None:
        """Bits for symbols that occur `counts[s + 128]` times; None if one of them has no code."""
        if np.any((counts > 0) & (self.lengths == 0)):
            return None
        return int(np.sum(counts * self.lengths))

    def serialize(self) -> bytes:
        """The code table as bytes (docs/format.md section 5)."""
        counts = np.bincount(self.lengths, minlength=self.max_length + 1)[1:]
        by_code = np.argsort(self.lengths, kind="stable")[256 - self.used_symbols :] - 128
        header = bytes([self.max_length, 0]) + np.array([self.used_symbols], "<u2").tobytes()
        return header + counts.astype("<u2").tobytes() + by_code.astype("<i1").tobytes()


def symbol_counts(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """How often each symbol occurs: [256], index symbol + 128."""
    return np.bincount(weights.reshape(-1).astype(np.int64) + 128, minlength=256)


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """Order-0 entropy of all symbols together, in bits: no code without context is shorter."""
    used = counts[counts > 0].astype(np.float64)
    return float(np.sum(used * np.log2(used.sum() / used)))


def huffman_bits(counts: NDArray[np.int64]) -> int:
    """Bits of all symbols with the best code of any length: a bit for each symbol of every pair that is joined."""
    joined = [int(count) for count in counts if count]
    heapq.heapify(joined)
    bits = joined[0] if len(joined) == 1 else 0
    while len(joined) > 1:
        pair = heapq.heappop(joined) + heapq.heappop(joined)
        bits += pair
        heapq.heappush(joined, pair)
    return bits


def build_code_table(counts: NDArray[np.int64], max_length: int = DEFAULT_CODE_LENGTH) -> CodeTable:
    """The best code with no code longer than max_length (8 .. 15).

    A single symbol gets a partner of length 1, because the format wants complete codes.
    """
    if not 8 <= max_length <= MAX_CODE_LENGTH:
        raise ValueError(f"the longest code must be 8 to {MAX_CODE_LENGTH} bits, not {max_length}")
    padded = counts.astype(np.int64).copy()
    used = np.flatnonzero(padded)
    if len(used) == 0:
        raise ValueError("there are no symbols to code")
    if len(used) == 1:
        padded[used[0] + (1 if used[0] < 255 else -1)] = 1
    return CodeTable(_package_merge(padded, max_length))


def _package_merge(counts: NDArray[np.int64], max_length: int) -> NDArray[np.int64]:
    """Optimal code lengths: a symbol's length is how often it is in the cheapest 2n-2 packages."""
    symbols = [int(symbol) for symbol in np.flatnonzero(counts)]
    leaves = sorted((int(counts[symbol]), (symbol,)) for symbol in symbols)
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(max_length):
        merged = sorted(leaves + packages, key=lambda item: item[0])
        packages = [
            (merged[i][0] + merged[i + 1][0], merged[i][1] + merged[i + 1][1]) for i in range(0, len(merged) - 1, 2)
        ]
    lengths = np.zeros(256, np.int64)
    for _, members in packages[: len(symbols) - 1]:
        np.add.at(lengths, list(members), 1)
    return lengths


def canonical_codes(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The code of each symbol as a number of `lengths` bits, given out in the order of (length, symbol)."""
    codes = np.zeros(256, np.int64)
    code = 0
    for length in range(1, int(lengths.max()) + 1):
        code *= 2
        for index in np.flatnonzero(lengths == length):
            codes[index] = code
            code += 1
    return codes


def encode(weights: NDArray[np.int8], table: CodeTable) -> tuple[bytes, int]:
    """The bit stream of `weights` and its exact length in bits."""
    index = weights.reshape(-1).astype(np.int64) + 128
    lengths, codes = table.lengths[index], canonical_codes(table.lengths)[index]
    if np.any(lengths == 0):
        raise ValueError("a weight has no code in this table")
    return pack_codes(codes, lengths)


def pack_codes(codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[bytes, int]:
    """Codes of so many bits, one behind the other, as a bit stream, and its exact length in bits."""
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    bits = np.zeros(-(-total // _UNIT_BITS) * _UNIT_BITS, np.uint8)
    for position in range(int(lengths.max())):
        has_bit = lengths > position
        where = (ends - lengths)[has_bit] + position
        bits[where] = (codes[has_bit] >> (lengths[has_bit] - 1 - position)) & 1
    units = np.packbits(bits).view(">u2").astype("<u2")
    return units.tobytes(), total
