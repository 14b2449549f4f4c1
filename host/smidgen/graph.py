"""The typed graph: what a model file says, before anything is decided about how it runs.

A `Graph` holds tensors by name and operators in execution order. It is either a float graph (every
activation float32) or an int8 graph (every activation int8 with a per-tensor scale and zero point);
`Graph.is_quantized` says which. Layouts are TFLite's: activations NHWC with a batch of 1, CONV_2D
weights [out, kernel_h, kernel_w, in], DEPTHWISE_CONV_2D weights [1, kernel_h, kernel_w, out],
FULLY_CONNECTED weights [out, in]. Passes and readers build new graphs or edit one in place; operators
and tensors themselves are never shared between graphs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Activation(Enum):
    """Activation fused into an operator: a clamp of its real-valued output."""

    NONE = "NONE"
    RELU = "RELU"
    RELU6 = "RELU6"
    RELU_N1_TO_1 = "RELU_N1_TO_1"

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest real output."""
        return _ACTIVATION_BOUNDS[self]


_ACTIVATION_BOUNDS = {
    Activation.NONE: (-np.inf, np.inf),
    Activation.RELU: (0.0, np.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


@dataclass(frozen=True)
class Quantization:
    """real = scale * (q - zero_point). One scale for the tensor, or one for each index along `axis`."""

    scale: NDArray[np.float32]  # [1] or [channels], each > 0
    zero_point: NDArray[np.int32]  # the same length
    axis: int | None = None  # None: per tensor

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> Quantization:
        return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int32))

    @property
    def is_per_tensor(self) -> bool:
        return self.scale.size == 1


@dataclass
class Tensor:
    """An activation (`data` is None) or a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None
    data: Array | None = None

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    def dequantized(self) -> NDArray[np.float32]:
        """The real values of a constant."""
        if self.data is None:
            raise ValueError(f"tensor {self.name!r} is not a constant")
        if self.quantization is None or self.data.dtype.kind == "f":
            return self.data.astype(np.float32)
        shape = [1] * self.data.ndim
        if self.quantization.axis is not None:
            shape[self.quantization.axis] = -1
        scale, zero_point = self.quantization.scale.reshape(shape), self.quantization.zero_point.reshape(shape)
        real: NDArray[np.float32] = (self.data.astype(np.float32) - zero_point.astype(np.float32)) * scale
        return real


@dataclass(frozen=True)
class Padding:
    """Elements added round the input, in height and width."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def is_zero(self) -> bool:
        return not (self.top or self.bottom or self.left or self.right)


@dataclass
class Operator:
    """Base of all operators. `inputs` are activation tensors (for ADD and MUL possibly one constant), by name."""

    inputs: list[str]
    output: str
    source: str = ""  # where it stands in the model file, for messages: "operator 3"

    kind: ClassVar[str] = "?"

    @property
    def constants(self) -> list[str]:
        """Names of the weight and bias tensors."""
        return []


@dataclass
class Window(Operator):
    """Operators that slide a window over height and width."""

    stride: tuple[int, int] = (1, 1)
    padding: Padding = Padding()
    activation: Activation = Activation.NONE


@dataclass
class Weighted(Operator):
    """Operators with weights and an optional bias (tensor names)."""

    weights: str = ""
    bias: str | None = None

    @property
    def constants(self) -> list[str]:
        return [self.weights] + ([self.bias] if self.bias else [])


@dataclass
class Conv2D(Window, Weighted):
    kind: ClassVar[str] = "CONV_2D"
    dilation: tuple[int, int] = (1, 1)


@dataclass
class DepthwiseConv2D(Window, Weighted):
    """The channel multiplier is the output's channels divided by the input's."""

    kind: ClassVar[str] = "DEPTHWISE_CONV_2D"
    dilation: tuple[int, int] = (1, 1)


@dataclass
class FullyConnected(Weighted):
    kind: ClassVar[str] = "FULLY_CONNECTED"
    activation: Activation = Activation.NONE


@dataclass
class Add(Operator):
    kind: ClassVar[str] = "ADD"
    activation: Activation = Activation.NONE


@dataclass
class Mul(Operator):
    kind: ClassVar[str] = "MUL"
    activation: Activation = Activation.NONE


@dataclass
class AveragePool2D(Window):
    kind: ClassVar[str] = "AVERAGE_POOL_2D"
    kernel: tuple[int, int] = (1, 1)


@dataclass
class MaxPool2D(Window):
    kind: ClassVar[str] = "MAX_POOL_2D"
    kernel: tuple[int, int] = (1, 1)


@dataclass
class Mean(Operator):
    """Mean over `axes` (non-negative, ascending)."""

    kind: ClassVar[str] = "MEAN"
    axes: tuple[int, ...] = (1, 2)
    keep_dims: bool = False


@dataclass
class Pad(Operator):
    """Padding with real zero; `paddings[i]` = elements before and after along axis i."""

    kind: ClassVar[str] = "PAD"
    paddings: tuple[tuple[int, int], ...] = ()


@dataclass
class Concatenation(Operator):
    kind: ClassVar[str] = "CONCATENATION"
    axis: int = -1
    activation: Activation = Activation.NONE


@dataclass
class Reshape(Operator):
    kind: ClassVar[str] = "RESHAPE"


@dataclass
class Softmax(Operator):
    """Over the last axis: exp(beta*x) / sum exp(beta*x)."""

    kind: ClassVar[str] = "SOFTMAX"
    beta: float = 1.0


@dataclass
class Logistic(Operator):
    kind: ClassVar[str] = "LOGISTIC"


@dataclass
class Relu(Operator):
    kind: ClassVar[str] = "RELU"


@dataclass
class Relu6(Operator):
    kind: ClassVar[str] = "RELU6"


@dataclass
class Quantize(Operator):
    """float32 -> int8, or int8 -> int8 with other parameters."""

    kind: ClassVar[str] = "QUANTIZE"


@dataclass
class Dequantize(Operator):
    kind: ClassVar[str] = "DEQUANTIZE"


@dataclass
class Graph:
    """Tensors by name, operators in execution order, names of the network's inputs and outputs."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def is_quantized(self) -> bool:
        """True when some operator computes on int8 activations."""
        return any(
            self.tensors[name].dtype == np.int8 and not self.tensors[name].is_constant
            for operator in self.operators
            if not isinstance(operator, Dequantize)
            for name in operator.inputs
        )

    def add(self, tensor: Tensor) -> Tensor:
        """Add a tensor; its name must be new."""
        if tensor.name in self.tensors:
            raise ValueError(f"the graph already has a tensor named {tensor.name!r}")
        self.tensors[tensor.name] = tensor
        return tensor

    def new_name(self, base: str) -> str:
        """A tensor name that is not taken: `base`, or base_1, base_2 ..."""
        if base not in self.tensors:
            return base
        number = 1
        while f"{base}_{number}" in self.tensors:
            number += 1
        return f"{base}_{number}"

    def constant(self, name: str) -> Array:
        """The data of constant tensor `name`."""
        data = self.tensors[name].data
        if data is None:
            raise ValueError(f"tensor {name!r} is not a constant")
        return data

    def producer(self, name: str) -> Operator | None:
        """The operator that writes tensor `name`; None for inputs and constants."""
        for operator in self.operators:
            if operator.output == name:
                return operator
        return None

    def consumers(self, name: str) -> list[Operator]:
        """The operators that read activation `name`, in execution order."""
        return [operator for operator in self.operators if name in operator.inputs]

    def replace_uses(self, old: str, new: str) -> None:
        """Make every operator and every network output that used tensor `old` use `new`."""
        for operator in self.operators:
            operator.inputs = [new if name == old else name for name in operator.inputs]
        self.outputs = [new if name == old else name for name in self.outputs]

    def prune(self) -> None:
        """Drop operators whose result nobody uses, and tensors nobody names."""
        needed = set(self.outputs)
        kept: list[Operator] = []
        for operator in reversed(self.operators):
            if operator.output in needed:
                needed.update(operator.inputs)
                kept.append(operator)
        self.operators = kept[::-1]
        used = set(self.inputs) | set(self.outputs)
        for operator in self.operators:
            used.update(operator.inputs, operator.constants, [operator.output])
        self.tensors = {name: tensor for name, tensor in self.tensors.items() if name in used}

    def activations(self) -> Iterator[Tensor]:
        """The network's inputs, then every operator's output in execution order."""
        for name in self.inputs:
            yield self.tensors[name]
        for operator in self.operators:
            yield self.tensors[operator.output]
