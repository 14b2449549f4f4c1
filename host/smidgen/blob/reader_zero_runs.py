"""Bit streams with zero runs (docs/format.md, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.reader_bytes import require
from smidgen.blob.reader_huffman import CodeTable

MAX_ZERO_RUNS = 8
_UNIT_BYTES = 2


@dataclass(frozen=True)
class WeightShape:
    """Output channels, and weights for each of them."""

    channels: int
    per_channel: int

    @property
    def count(self) -> int:
        return self.channels * self.per_channel


class _Bits:
    """The bits of a stream, most significant first; zeros behind its end."""

    def __init__(self, stream: memoryview) -> None:
        self._units = np.frombuffer(stream, "<u2").tolist()
        self._next = 0  # unit
        self._window = self._available = 0
        self.used = 0

    def peek(self, count: int) -> int:
        while self._available < count:
            unit = self._units[self._next] if self._next < len(self._units) else 0
            self._window = (self._window & ((1 << self._available) - 1)) << 8 * _UNIT_BYTES | unit
            self._next += 1
            self._available += 8 * _UNIT_BYTES
        return (self._window >> (self._available - count)) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        self.peek(count)
        self._available -= count
        self.used += count

    def rest(self) -> int:
        """The bits that are left of the last unit, as a number."""
        return self.peek(-self.used % (8 * _UNIT_BYTES))


def decode_zero_runs(
    subject: str, stream: memoryview, bits: int, shape: WeightShape, table: CodeTable, zero_runs: int
) -> NDArray[np.int8]:
    """The weights of all channels, flat; their codes must take exactly `bits` bits and every run end in its channel."""
    weights = np.zeros((shape.channels, shape.per_channel), np.uint8)
    lookup, reader = table.lookup(), _Bits(stream)
    for channel, row in enumerate(weights):
        place = 0
        while place < shape.per_channel:
            place += _read_run(reader, zero_runs - 1, shape.per_channel - place)
            require(
                place <= shape.per_channel,
                subject,
                f"a run of zeros ends {place - shape.per_channel} weights behind channel {channel}",
            )
            if place < shape.per_channel:
                entry = lookup[reader.peek(table.max_length)]
                reader.skip(entry & 15)
                row[place] = entry >> 4
                place += 1
            require(reader.used <= bits, subject, f"its weights take more than the {bits} bits that weights_bits says")
    require(reader.used == bits, subject, f"its weights take {reader.used} bits of the stream, weights_bits is {bits}")
    require(reader.rest() == 0, subject, f"the unused bits behind its weights are {reader.rest():#x}, expected zeros")
    return weights.view(np.int8).reshape(-1)


def _read_run(reader: _Bits, low_bits: int, most: int) -> int:
    """Zeros before the next weight; stops soon after `most` of them."""
    run = 0
    while reader.peek(1) and run <= most:
        reader.skip(1)
        run += 1 << low_bits
    reader.skip(1)
    run += reader.peek(low_bits)
    reader.skip(low_bits)
    return run
