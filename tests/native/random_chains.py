"""Random chains of convolutions that kernel 1 can have: odd sizes, strides, dilations, depth multipliers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator, WindowParameters


def _convolution(
    random: np.random.Generator, source: NetworkTensor, index: int
) -> tuple[WeightedOperator, NetworkTensor]:
    """A convolution of tensor `index` with tensor `index` + 1, of any shape that kernel 1 can have."""
    _, height, width, depth = source.dimensions
    pointwise = random.random() < 0.3
    kernel, stride = (
        ((1, 1), (1, 1)) if pointwise else (tuple(random.integers(1, 6, 2)), tuple(random.integers(1, 4, 2)))
    )
    dilation = (int(random.integers(1, 4)), 1)
    spans = [(int(kernel[axis]) - 1) * dilation[axis] + 1 for axis in range(2)]
    padding = tuple(int(random.integers(0, span)) for span in spans)
    below = [int(random.integers(0, span)) for span in spans]
    output = [
        max((size + padding[axis] + below[axis] - spans[axis]) // int(stride[axis]) + 1, 1)
        for axis, size in enumerate((height, width))
    ]
    kind = Kind.CONV_2D if pointwise or random.random() < 0.5 else Kind.DEPTHWISE_CONV_2D
    multiple = int(random.choice([1, 1, 1, 2, 3]))
    channels = int(random.integers(1, 12)) if kind == Kind.CONV_2D else depth * multiple
    taps = int(kernel[0]) * int(kernel[1]) * (depth if kind == Kind.CONV_2D else 1)
    result = NetworkTensor((1, *output, channels), 1.0, int(random.integers(-128, 128)))
    clamp = sorted(random.integers(-128, 128, 2).tolist()) if random.random() < 0.3 else [-128, 127]
    operator = WeightedOperator(
        kind, index, index + 1, *clamp,
        weights=random.integers(-128, 128, (channels, taps)).astype(np.int8),
        bias=random.integers(-9999, 9999, channels).astype(np.int32),
        multiplier=random.integers(2**30, 2**31, channels).astype(np.int32),
        shift=random.integers(-9 - taps.bit_length() // 2, -3, channels).astype(np.int32),
        window=WindowParameters(
            (int(kernel[0]), int(kernel[1])), (int(stride[0]), int(stride[1])), dilation, (padding[0], padding[1])
        ),
    )  # fmt: skip
    return operator, result


def chain(seed: int) -> Network:
    """Two to four convolutions; tensor 1 is the output."""
    random = np.random.default_rng(seed)
    tensors = [NetworkTensor((1, *random.integers(1, [25, 13, 12]).tolist()), 1.0, int(random.integers(-128, 128)))]
    operators = []
    for index in range(int(random.integers(2, 5))):
        operator, result = _convolution(random, tensors[-1], index)
        operators.append(operator)
        tensors.append(result)
    return _with_output_second(tensors, operators)


def _with_output_second(tensors: list[NetworkTensor], operators: list[WeightedOperator]) -> Network:
    last = len(tensors) - 1
    places = {0: 0, last: 1} | {index: index + 1 for index in range(1, last)}
    moved = sorted(range(len(tensors)), key=lambda index: places[index])
    return Network(
        [tensors[index] for index in moved],
        [replace(o, input=places[o.input], output=places[o.output]) for o in operators],
        1,
        1,
    )
