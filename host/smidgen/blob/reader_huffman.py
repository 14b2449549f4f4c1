"""Canonical Huffman codes of the weights (docs/format.md, section 5): code tables and bit streams."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.reader_bytes import BlobBytes, require

MAX_CODE_LENGTH = 15
_TABLE_HEAD = struct.Struct("<bBH")
_REFILL_BYTES = 4


@dataclass(frozen=True)
class CodeTable:
    """lengths[i] is the length in bits of the code of symbol first_symbol + i, 0 for a symbol that has none."""

    first_symbol: int
    max_length: int
    lengths: tuple[int, ...]

    @property
    def used(self) -> int:
        """Number of symbols that have a code."""
        return sum(length > 0 for length in self.lengths)

    def lookup(self) -> list[int]:
        """symbol << 4 | length, by the next max_length bits of the stream; symbols as u8.

        Canonical codes ascend in the order of (length, symbol), so the entries of one code after the other
        fill the table from the front, and a complete code fills it exactly.
        """
        entries: list[int] = []
        for length in range(1, self.max_length + 1):
            for index, symbol_length in enumerate(self.lengths):
                if symbol_length == length:
                    entry = ((self.first_symbol + index) & 0xFF) << 4 | length
                    entries += [entry] * (1 << (self.max_length - length))
        return entries


def read_code_table(blob: BlobBytes, offset: int, operator: int) -> CodeTable:
    """The code table at an offset, complete and canonical. `operator` is the one that names it."""
    subject = f"code table of operator {operator}"
    head = blob.view(subject, offset, _TABLE_HEAD.size, alignment=4)
    first_symbol, max_length, symbol_count = _TABLE_HEAD.unpack(head)
    require(1 <= max_length <= MAX_CODE_LENGTH, subject, f"max_length is {max_length}, expected 1 .. {MAX_CODE_LENGTH}")
    require(1 <= symbol_count <= 256, subject, f"symbol_count is {symbol_count}, expected 1 .. 256")
    last_symbol = first_symbol + symbol_count - 1
    require(
        last_symbol <= 127,
        subject,
        f"{symbol_count} symbols from {first_symbol} end at {last_symbol}, the limit is 127",
    )
    size = _TABLE_HEAD.size + (symbol_count + 1) // 2
    packed = blob.section(subject, offset, size, "code table", operator=operator)[_TABLE_HEAD.size :]
    halves = [half for byte in packed for half in (byte & 15, byte >> 4)]
    require(not any(halves[symbol_count:]), subject, f"the unused half of its last byte is {halves[-1]}, expected 0")
    table = CodeTable(first_symbol, max_length, tuple(halves[:symbol_count]))
    _check_code(subject, table)
    return table


def _check_code(subject: str, table: CodeTable) -> None:
    longest = max(table.lengths)
    require(
        longest == table.max_length,
        subject,
        f"max_length is {table.max_length}, but the longest code has {longest} bits",
    )
    whole = 1 << table.max_length
    assigned = sum(whole >> length for length in table.lengths if length)
    require(
        assigned == whole,
        subject,
        f"the code is not complete: its lengths cover {assigned} of {whole} bit patterns, pack the model again",
    )


def decode_huffman(subject: str, stream: memoryview, bits: int, count: int, table: CodeTable) -> NDArray[np.int8]:
    """`count` symbols from a stream of u16 units, most significant bit first, that must take exactly `bits` bits.

    The caller has made sure that count <= bits, so that damaged numbers cannot ask for more memory than the
    stream is worth. Behind the end of the stream zeros are decoded; the length check then finds it out.
    """
    swapped = np.frombuffer(stream, "<u2").byteswap().tobytes()
    in_order = swapped.ljust(-(-len(swapped) // _REFILL_BYTES) * _REFILL_BYTES, b"\0")
    lookup, max_length = table.lookup(), table.max_length
    symbols = bytearray(count)
    window = available = position = 0  # `available` bits of the stream wait in window
    for index in range(count):
        if available < max_length:
            following = in_order[position : position + _REFILL_BYTES]
            window = window << 8 * _REFILL_BYTES | int.from_bytes(following, "big")
            position += _REFILL_BYTES
            available += 8 * _REFILL_BYTES
        entry = lookup[window >> (available - max_length)]
        symbols[index] = entry >> 4
        available -= entry & 15
        window &= (1 << available) - 1
    used_bits = 8 * position - available
    require(used_bits == bits, subject, f"{count} weights take {used_bits} bits of the stream, weights_bits is {bits}")
    _check_unused_bits(subject, in_order, bits, len(swapped))
    return np.frombuffer(symbols, np.int8)


def _check_unused_bits(subject: str, in_order: bytes, bits: int, size: int) -> None:
    unused = 8 * size - bits
    last_unit = int.from_bytes(in_order[size - 2 : size], "big")
    rest = last_unit & ((1 << unused) - 1)
    require(rest == 0, subject, f"the {unused} unused bits behind its weights are {rest:#x}, expected zeros")
