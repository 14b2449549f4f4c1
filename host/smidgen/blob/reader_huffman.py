"""Canonical Huffman codes of the weights (docs/format.md, section 5): code tables and bit streams."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.reader_bytes import BlobBytes, require

MAX_CODE_LENGTH = 15
_TABLE_HEAD = struct.Struct("<BBH")
_REFILL_BYTES = 4


@dataclass(frozen=True)
class CodeTable:
    """counts[i] codes have i + 1 bits; symbols are in the order of their codes, the first of which is all zeros."""

    counts: tuple[int, ...]
    symbols: tuple[int, ...]

    @property
    def max_length(self) -> int:
        """The longest code, in bits."""
        return len(self.counts)

    def lookup(self) -> list[int]:
        """symbol << 4 | length, by the next max_length bits of the stream; symbols as u8.

        Canonical codes ascend, so the entries of one code after the other fill the table from the front, and a
        complete code fills it exactly.
        """
        entries: list[int] = []
        lengths = (length for length, count in enumerate(self.counts, 1) for _ in range(count))
        for symbol, length in zip(self.symbols, lengths, strict=True):
            entries += [(symbol & 0xFF) << 4 | length] * (1 << (self.max_length - length))
        return entries


def read_code_table(blob: BlobBytes, offset: int, operator: int) -> CodeTable:
    """The code table at an offset, complete and canonical. `operator` is the one that names it."""
    subject = f"code table of operator {operator}"
    head = blob.view(subject, offset, _TABLE_HEAD.size, alignment=4)
    max_length, zero, symbol_count = _TABLE_HEAD.unpack(head)
    require(1 <= max_length <= MAX_CODE_LENGTH, subject, f"max_length is {max_length}, expected 1 .. {MAX_CODE_LENGTH}")
    require(zero == 0, subject, f"its second byte is {zero}, expected 0")
    require(2 <= symbol_count <= 256, subject, f"symbol_count is {symbol_count}, expected 2 .. 256")
    size = _TABLE_HEAD.size + 2 * max_length + symbol_count
    body = blob.section(subject, offset, size, "code table", operator=operator)[_TABLE_HEAD.size :]
    counts = struct.unpack_from(f"<{max_length}H", body)
    symbols = struct.unpack_from(f"<{symbol_count}b", body, 2 * max_length)
    table = CodeTable(counts, symbols)
    _check_code(subject, table)
    return table


def _check_code(subject: str, table: CodeTable) -> None:
    count, symbol_count = sum(table.counts), len(table.symbols)
    require(count == symbol_count, subject, f"it counts {count} codes, but symbol_count is {symbol_count}")
    require(table.counts[-1] > 0, subject, f"max_length is {table.max_length}, but no code has so many bits")
    whole = 1 << table.max_length
    assigned = sum(count << (table.max_length - length) for length, count in enumerate(table.counts, 1))
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
