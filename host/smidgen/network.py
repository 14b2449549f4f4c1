"""The integer network: exactly what a blob holds, with every number of the arithmetic decided.

A `Network` is what the packager lowers a quantised `Graph` to, what the reference executor runs, and
what the blob reader returns. docs/format.md defines every field. Memory (where tensors lie, tiles,
coding of the weights) is not here but in `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """Kinds of operators, docs/format.md section 4."""

    CONV_2D = 1
    DEPTHWISE_CONV_2D = 2
    FULLY_CONNECTED = 3
    ADD = 4
    MUL = 5
    AVERAGE_POOL_2D = 6
    MAX_POOL_2D = 7
    MEAN = 8
    PAD = 9
    COPY = 10
    LOOKUP = 11
    SOFTMAX = 12


@dataclass(frozen=True, eq=False)
class NetworkTensor:
    """An int8 tensor; real = scale * (q - zero_point). `data` is set for constants (shape as the tensor's)."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int
    data: NDArray[np.int8] | None = None
    name: str = ""

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dimensions(self) -> tuple[int, int, int, int]:
        """The shape aligned to the right in four dimensions (batch, height, width, channels)."""
        batch, height, width, channels = (1,) * (4 - len(self.shape)) + self.shape
        return batch, height, width, channels


@dataclass(frozen=True)
class WindowParameters:
    """(height, width) pairs; padding at top and left, the rest follows from the output's shape."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class NetworkOperator:
    """`input`, `output` are tensor indices; the clamp applies to kinds with a fused activation."""

    kind: Kind
    input: int
    output: int
    activation_min: int = -128
    activation_max: int = 127

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input,)


@dataclass(frozen=True, eq=False)
class WeightedOperator(NetworkOperator):
    """CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED.

    weights int8 [output channels, weights per channel] in the order of docs/format.md; bias int32 [output
    channels] or None; multiplier and shift int32 [output channels], or [1] when all channels share them.
    """

    weights: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))
    bias: NDArray[np.int32] | None = None
    multiplier: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    shift: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    window: WindowParameters | None = None  # None for FULLY_CONNECTED

    @property
    def channels(self) -> int:
        return int(self.weights.shape[0])


@dataclass(frozen=True, eq=False)
class BinaryOperator(NetworkOperator):
    """ADD (three multipliers: input, input2, sum) and MUL (one). Element i uses input2[(i // repeat) % size]."""

    input2: int = 0
    repeat: int = 1
    multipliers: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input, self.input2)


@dataclass(frozen=True, eq=False)
class LinearAddOperator(NetworkOperator):
    """ADD as clamp((x * p + y * q + r) >> n), factors (p, q); i32 all, n in 0 .. 31. Broadcast as BinaryOperator."""

    input2: int = 0
    repeat: int = 1
    factors: tuple[int, int] = (0, 0)
    offset: int = 0
    exponent: int = 0

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input, self.input2)


@dataclass(frozen=True, eq=False)
class PoolOperator(NetworkOperator):
    """AVERAGE_POOL_2D, MAX_POOL_2D."""

    window: WindowParameters = WindowParameters((1, 1))


@dataclass(frozen=True, eq=False)
class MeanOperator(NetworkOperator):
    """MEAN of an input seen as [outer, n, inner]."""

    inner: int = 1
    multiplier: int = 0
    shift: int = 0


@dataclass(frozen=True, eq=False)
class PadOperator(NetworkOperator):
    """PAD: elements before and after in height, width and channels."""

    paddings: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0), (0, 0))


@dataclass(frozen=True, eq=False)
class CopyOperator(NetworkOperator):
    """COPY of rows of `chunk` elements to `start + row * stride`."""

    chunk: int = 1
    stride: int = 1
    start: int = 0


@dataclass(frozen=True, eq=False)
class LookupOperator(NetworkOperator):
    """LOOKUP: output = table[input + 128]; table int8 [256]."""

    table: NDArray[np.int8] = field(default_factory=lambda: np.zeros(256, np.int8))


@dataclass(frozen=True, eq=False)
class SoftmaxOperator(NetworkOperator):
    """SOFTMAX over the last dimension; inputs further than `minimum` below the row's largest count as zero."""

    multiplier: int = 0
    shift: int = 0
    minimum: int = 0


@dataclass
class Network:
    """Tensors by index (inputs first, then outputs), operators in execution order."""

    tensors: list[NetworkTensor]
    operators: list[NetworkOperator]
    input_count: int
    output_count: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> list[int]:
        return list(range(self.input_count))

    @property
    def outputs(self) -> list[int]:
        return list(range(self.input_count, self.input_count + self.output_count))

    def macs(self, operator: NetworkOperator) -> int:
        """Multiply-accumulates of one operator, padding included; operators without weights count none."""
        if not isinstance(operator, WeightedOperator):
            return 0
        positions = self.tensors[operator.output].elements // operator.channels
        return positions * int(operator.weights.size)
