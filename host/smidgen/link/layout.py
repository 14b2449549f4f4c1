"""What a session needs to know of a blob: its tensors and who writes them (docs/format.md, 2.1 to 2.3).

Only that, so that the link does not depend on the reader; whether the blob is sound, the engine checks on loading, and
`check_sum` for a blob that nobody loads yet.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.errors import BlobError
from smidgen.samples import dequantize, quantize_samples

HEADER_BYTES = 64
CHECK_SUM = struct.Struct("<II")  # size of the blob, and the CRC-32 of what follows
CHECK_SUM_OFFSET = 8
TENSOR = struct.Struct("<I4HBBbBf")
OPERATOR_BYTES = 52
OPERATOR_OUTPUT = 8  # where in its record an operator names its output tensor


@dataclass(frozen=True)
class TensorLayout:
    """real value = scale * (q - zero_point)."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def elements(self) -> int:
        return prod(self.shape)

    def quantize(self, real: ArrayLike) -> NDArray[np.int8]:
        return quantize_samples(np.asarray(real), self.scale, self.zero_point)

    def dequantize(self, quantized: NDArray[np.int8]) -> NDArray[np.float32]:
        return dequantize(quantized, self.scale, self.zero_point)


@dataclass(frozen=True)
class BlobLayout:
    """Tensors by their index in the blob: first the inputs, then the outputs, then the others."""

    tensors: tuple[TensorLayout, ...]
    input_count: int
    output_count: int
    operator_outputs: tuple[int, ...]  # the tensor that each operator writes
    arena_bytes: int  # RAM that a run needs besides the blob

    @property
    def inputs(self) -> tuple[TensorLayout, ...]:
        return self.tensors[: self.input_count]

    @property
    def outputs(self) -> tuple[TensorLayout, ...]:
        return self.tensors[self.input_count : self.input_count + self.output_count]

    def completed_by(self, tensor: int) -> int | None:
        """The last operator that writes this tensor; None for an input or a constant."""
        writers = [number for number, output in enumerate(self.operator_outputs) if output == tensor]
        return writers[-1] if writers else None


def read_layout(blob: bytes) -> BlobLayout:
    """Raises BlobError when this is no blob of version 1, or it is cut off."""
    if len(blob) < HEADER_BYTES or blob[:4] != b"SMG\x1a":
        raise BlobError(f"not a .smg file: {len(blob)} bytes beginning with {blob[:4]!r}")
    version, blob_bytes = struct.unpack_from("<HxxI", blob, 4)
    if version != 1:
        raise BlobError(f"the blob has format version {version}; this smidgen reads version 1")
    tensor_count, operator_count, input_count, output_count = struct.unpack_from("<HHBB", blob, 24)
    tensors_offset, operators_offset = struct.unpack_from("<II", blob, 32)
    needed = max(
        blob_bytes, tensors_offset + tensor_count * TENSOR.size, operators_offset + operator_count * OPERATOR_BYTES
    )
    if len(blob) < needed:
        raise BlobError(f"the blob is cut off: {len(blob)} bytes, its header speaks of {needed}")
    if input_count + output_count > tensor_count:
        raise BlobError(f"the blob has {tensor_count} tensors, but {input_count} inputs and {output_count} outputs")
    tensors = tuple(_tensor(blob, tensors_offset + index * TENSOR.size) for index in range(tensor_count))
    outputs = tuple(
        struct.unpack_from("<H", blob, operators_offset + number * OPERATOR_BYTES + OPERATOR_OUTPUT)[0]
        for number in range(operator_count)
    )
    (arena_bytes,) = struct.unpack_from("<I", blob, 16)
    return BlobLayout(tensors, input_count, output_count, outputs, arena_bytes)


def check_sum(blob: bytes) -> None:
    """Raises BlobError when this is no complete blob, or its check sum is wrong."""
    read_layout(blob)
    size, expected = CHECK_SUM.unpack_from(blob, CHECK_SUM_OFFSET)
    found = zlib.crc32(memoryview(blob)[CHECK_SUM_OFFSET + CHECK_SUM.size : size])
    if found != expected:
        raise BlobError(
            f"the blob is damaged: its CRC-32 is {found:08x}, its header says {expected:08x}; copy it again or pack "
            f"the model again"
        )


def _tensor(blob: bytes, offset: int) -> TensorLayout:
    _, *dimensions, rank, _, zero_point, _, scale = TENSOR.unpack_from(blob, offset)
    if not 1 <= rank <= 4:
        raise BlobError(f"the tensor record at {offset} has rank {rank}; 1 to 4 are possible")
    return TensorLayout(tuple(dimensions[4 - rank :]), scale, zero_point)
