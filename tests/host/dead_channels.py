"""Integer networks in which many channels never change or are never read: residual blocks, joins, all windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.network import (
    BinaryOperator,
    CopyOperator,
    Kind,
    LookupOperator,
    MeanOperator,
    Network,
    NetworkOperator,
    NetworkTensor,
    PadOperator,
    PoolOperator,
    WeightedOperator,
    WindowParameters,
)

ADD_FACTORS: dict[str, Any] = {"multipliers": (2**30, 2**30, 2**30), "shifts": (0, 0, -17)}  # half of the sum


class NetworkBuilder:
    """Adds operators one by one; methods return the index of the tensor that is written."""

    def __init__(self, *shape: int, zero_point: int = -128, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors = [NetworkTensor(shape, 1.0, zero_point)]
        self.operators: list[NetworkOperator] = []

    def finish(self, output: int) -> Network:
        """The network with tensor `output` as its output. The builder is used up: tensors change places."""
        places = {output: 1, 1: output}
        self.tensors[1], self.tensors[output] = self.tensors[output], self.tensors[1]
        for operator in self.operators:
            for field in ("input", "output", "input2"):
                if (index := getattr(operator, field, None)) in places:
                    object.__setattr__(operator, field, places[index])
        return Network(self.tensors, self.operators, 1, 1)

    def tensor(self, *shape: int, zero_point: int | None = None, data: Any = None) -> int:
        zero = int(self.random.choice([-128, 0, 5])) if zero_point is None else zero_point
        self.tensors.append(NetworkTensor(shape, 1.0, zero, data))
        return len(self.tensors) - 1

    def channels(self, tensor: int) -> int:
        return self.tensors[tensor].shape[-1]

    def requantization(self, channels: int, taps: int) -> dict[str, Any]:
        """Biases and factors with which about half of the channels are alive; the others stand still somewhere."""
        random = self.random
        bias = random.integers(-500, 500, channels)
        fate = random.integers(0, 8, channels)
        bias[fate == 0], bias[fate == 1] = -(2**24), 2**24
        multiplier = random.integers(2**30, 2**31, channels)
        multiplier[fate == 2] = 0
        shift = np.full(channels, -6 - taps.bit_length() // 2)
        shift[fate == 3] = -29
        return {
            "bias": bias.astype(np.int32),
            "multiplier": multiplier.astype(np.int32),
            "shift": shift.astype(np.int32),
        }

    def weights(self, channels: int, taps: int) -> Any:
        values = self.random.integers(-127, 128, (channels, taps))
        values[self.random.random(channels) < 0.2] = 0
        return values.astype(np.int8)

    def convolution(self, source: int, kind: Kind, channels: int, **changes: Any) -> int:
        """Any window. channels: outputs, or outputs for each input. changes: fields of the operator."""
        _, height, width, depth = self.tensors[source].shape
        window = changes.pop("window", None) or self.window((height, width))
        size = [
            (extent + 2 * window.padding[axis] - (window.kernel[axis] - 1) * window.dilation[axis] - 1)
            // window.stride[axis]
            + 1
            for axis, extent in enumerate((height, width))
        ]
        outputs = channels if kind == Kind.CONV_2D else depth * channels
        taps = window.kernel[0] * window.kernel[1] * (depth if kind == Kind.CONV_2D else 1)
        target = self.tensor(1, *size, outputs, zero_point=changes.pop("zero_point", None))
        fields = {"weights": self.weights(outputs, taps), **self.requantization(outputs, taps), **changes}
        self.operators.append(WeightedOperator(kind, source, target, window=window, **fields))
        return target

    def window(self, size: tuple[int, int]) -> WindowParameters:
        kernel = int(self.random.choice([1, 3]))
        dilation, stride = (int(self.random.integers(1, 3)) for _ in range(2))
        reach = (kernel - 1) * dilation
        padded = self.random.random() < 0.6 or reach >= min(size)
        padding = reach // 2 if padded else 0
        return WindowParameters((kernel, kernel), (stride, stride), (dilation, dilation), (padding, padding))

    def same(self) -> WindowParameters:
        """3x3 with which the shape stays."""
        return WindowParameters((3, 3), padding=(1, 1))

    def fully_connected(self, source: int, channels: int, **changes: Any) -> int:
        taps = self.tensors[source].elements
        target = self.tensor(1, channels, zero_point=changes.pop("zero_point", None))
        fields = {"weights": self.weights(channels, taps), **self.requantization(channels, taps), **changes}
        self.operators.append(WeightedOperator(Kind.FULLY_CONNECTED, source, target, **fields))
        return target

    def like(self, source: int, *shape: int) -> int:
        """A tensor with the zero point of another."""
        return self.tensor(*(shape or self.tensors[source].shape), zero_point=self.tensors[source].zero_point)

    def add(self, first: int, second: int, repeat: int = 1) -> int:
        target = self.like(first)
        self.operators.append(BinaryOperator(Kind.ADD, first, target, input2=second, repeat=repeat, **ADD_FACTORS))
        return target

    def multiply(self, first: int, data: Any, repeat: int = 1) -> int:
        """By a constant."""
        array = np.asarray(data, np.int8)
        constant, target = self.tensor(*array.shape, zero_point=0, data=array), self.like(first)
        self.operators.append(
            BinaryOperator(Kind.MUL, first, target, input2=constant, repeat=repeat, multipliers=(2**30,), shifts=(-5,))
        )
        return target

    def pool(self, source: int, kind: Kind) -> int:
        _, height, width, channels = self.tensors[source].shape
        target = self.like(source, 1, -(-height // 2), -(-width // 2), channels)
        window = WindowParameters((3, 3), (2, 2), padding=(1, 1))
        self.operators.append(PoolOperator(kind, source, target, window=window))
        return target

    def mean(self, source: int) -> int:
        """Over height and width."""
        _, height, width, channels = self.tensors[source].shape
        target = self.tensor(1, channels)
        self.operators.append(
            MeanOperator(Kind.MEAN, source, target, inner=channels, multiplier=2**31 // (height * width) - 1, shift=0)
        )
        return target

    def pad(self, source: int, *paddings: tuple[int, int]) -> int:
        shape = [size + sum(pad) for size, pad in zip(self.tensors[source].shape[1:], paddings, strict=True)]
        target = self.like(source, 1, *shape)
        self.operators.append(PadOperator(Kind.PAD, source, target, paddings=paddings))
        return target

    def lookup(self, source: int, table: Any = None) -> int:
        target = self.tensor(*self.tensors[source].shape)
        values = self.random.integers(-128, 128, 256) if table is None else table
        self.operators.append(LookupOperator(Kind.LOOKUP, source, target, table=np.asarray(values, np.int8)))
        return target

    def join(self, *sources: int) -> int:
        """Along the channels."""
        shape, stride = self.tensors[sources[0]].shape, sum(self.channels(source) for source in sources)
        target, start = self.like(sources[0], *shape[:-1], stride), 0
        for source in sources:
            chunk = self.channels(source)
            self.operators.append(CopyOperator(Kind.COPY, source, target, chunk=chunk, stride=stride, start=start))
            start += chunk
        return target

    def reshape(self, source: int, *shape: int) -> int:
        target, elements = self.like(source, *shape), self.tensors[source].elements
        self.operators.append(CopyOperator(Kind.COPY, source, target, chunk=elements, stride=elements))
        return target


def _residual(b: NetworkBuilder, source: int) -> int:
    inside = b.convolution(source, Kind.CONV_2D, int(b.random.integers(1, 9)), window=b.same())
    return b.add(source, b.convolution(inside, Kind.CONV_2D, b.channels(source), window=b.same()))


def _branches(b: NetworkBuilder, source: int) -> int:
    first = b.convolution(source, Kind.CONV_2D, 3, window=b.same())
    return b.join(first, b.convolution(source, Kind.DEPTHWISE_CONV_2D, 1, window=b.same()), first)


def _multiply(b: NetworkBuilder, source: int) -> int:
    _, height, width, channels = b.tensors[source].shape
    shape, repeat = [((channels,), 1), ((1,), 1), ((1, height, width, 1), channels)][int(b.random.integers(3))]
    return b.multiply(source, b.random.choice([0, 1, -3, 40], shape), repeat)


def _reshaped(b: NetworkBuilder, source: int) -> int:
    _, height, width, channels = b.tensors[source].shape
    shape = (1, height * 2, width, channels // 2) if channels % 2 == 0 else (1, width, height, channels)
    return b.reshape(source, *shape)


_BLOCKS = [
    lambda b, source: b.convolution(source, Kind.CONV_2D, int(b.random.integers(1, 13))),
    lambda b, source: b.convolution(source, Kind.DEPTHWISE_CONV_2D, int(b.random.integers(1, 3))),
    _residual,
    _branches,
    _multiply,
    _reshaped,
    lambda b, source: b.pool(source, Kind.AVERAGE_POOL_2D),
    lambda b, source: b.pool(source, Kind.MAX_POOL_2D),
    lambda b, source: b.pad(source, (1, 0), (0, 1), (int(b.random.integers(0, 3)), 1)),
    lambda b, source: b.lookup(source),
]


def dead_network(seed: int) -> Network:
    """A convolution, two to five of these blocks, perhaps a mean, and a dense layer."""
    b = NetworkBuilder(1, 7, 6, 3, seed=seed)
    last = b.convolution(0, Kind.CONV_2D, int(b.random.integers(4, 13)), window=b.same())
    for block in b.random.choice(np.array(_BLOCKS, object), int(b.random.integers(2, 6))):
        last = block(b, last)
    if b.random.random() < 0.5:
        last = b.mean(last)
    return b.finish(b.fully_connected(last, 4, bias=None, multiplier=np.array([2**30]), shift=np.array([-7])))
