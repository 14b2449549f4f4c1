"""From operator records to the operators of a Network, with the rules of each kind (docs/format.md, section 4)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smidgen import network as n
from smidgen.blob.reader_fields import (
    LINEAR_KERNEL,
    PAIRS_KERNEL,
    STREAMED_KERNEL,
    OperatorSource,
    check_scratch,
    check_tensors,
    check_unused_fields,
)
from smidgen.blob.reader_gathering import Gathering
from smidgen.blob.reader_weights import HUFFMAN, RAW
from smidgen.blob.reader_zero_runs import WeightShape
from smidgen.network import Kind
from smidgen.requantization import wrap_int32

SOFTMAX_ZERO_POINT = -128
SOFTMAX_LIMIT = 4095  # elements of a row
MEAN_LIMIT = 2**23  # elements averaged stay below, so that their sum fits 32 bits
LOOKUP_ENTRIES = 256


def read_operator(source: OperatorSource) -> n.NetworkOperator:
    """The operator of a record whose kind is known; BlobError if it breaks a rule."""
    check_tensors(source)
    check_unused_fields(source)
    return _READERS[source.kind](source)


def _read_window(source: OperatorSource) -> n.WindowParameters:
    kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left = source.parameters("<8H")
    window = n.WindowParameters((kernel_h, kernel_w), (stride_h, stride_w), (dilation_h, dilation_w), (top, left))
    source.require_equal("batch of the input", source.input.dimensions[0], 1)
    source.require_equal("batch of the output", source.output.dimensions[0], 1)
    for axis, suffix in enumerate("hw"):
        _check_window(source, window, axis, suffix)
    return window


def _check_window(source: OperatorSource, window: n.WindowParameters, axis: int, suffix: str) -> None:
    kernel, stride, dilation = window.kernel[axis], window.stride[axis], window.dilation[axis]
    for name, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        source.require(value >= 1, f"{name}_{suffix} is 0, expected at least 1")
    pad, largest_pad = window.padding[axis], (kernel - 1) * dilation
    source.require(pad <= largest_pad, f"padding of {pad} along {suffix}, the window allows at most {largest_pad}")
    input_size, output_size = source.input.dimensions[1 + axis], source.output.dimensions[1 + axis]
    last_start = (output_size - 1) * stride - pad
    source.require(
        last_start <= input_size - 1,
        f"the last window starts at {last_start} along {suffix}, the input has only {input_size}",
    )


def _read_convolution(source: OperatorSource) -> n.NetworkOperator:
    window = _read_window(source)
    per_channel = window.kernel[0] * window.kernel[1] * source.input.dimensions[3]
    return _read_weighted(source, per_channel, window)


def _read_depthwise(source: OperatorSource) -> n.NetworkOperator:
    window = _read_window(source)
    source.require_divides(source.input.dimensions[3], source.output.dimensions[3], "input channels", "output channels")
    return _read_weighted(source, window.kernel[0] * window.kernel[1], window)


def _read_fully_connected(source: OperatorSource) -> n.NetworkOperator:
    rows = source.output.elements // source.output.dimensions[3]
    source.require_divides(rows, source.input.elements, "rows of the output", "input elements")
    if source.record.kernel == STREAMED_KERNEL:
        source.require_equal("number of rows with kernel 1", rows, 1)
        source.require_equal("weights_coding with kernel 1", source.record.weights_coding, HUFFMAN)
        source.require_equal("tile with kernel 1", source.record.tile, 1)
        source.require_equal("workspace", source.record.workspace, 0)
    return _read_weighted(source, source.input.elements // rows, None)


def _read_weighted(source: OperatorSource, per_channel: int, window: n.WindowParameters | None) -> n.WeightedOperator:
    record, shape = source.record, WeightShape(source.output.dimensions[3], per_channel)
    gathering = _read_gathering(source, window) if window is not None and record.kernel == PAIRS_KERNEL else None
    weights = source.weights.weights(source.subject, source.index, record, shape, gathering)
    check_scratch(source, source.weights.storage[source.index].scratch_bytes)
    numbers = source.weights.channel_numbers(source.subject, source.index, record, shape.channels)
    bias = wrap_int32(numbers.bias + source.input.zero_point * source.weights.sums(record, weights))
    return n.WeightedOperator(
        kind=source.kind,
        input=record.input,
        output=record.output,
        activation_min=record.activation_min,
        activation_max=record.activation_max,
        weights=weights,
        bias=bias.astype(np.int32) if bias.any() else None,
        multiplier=numbers.multiplier,
        shift=numbers.shift,
        window=window,
    )


def _read_gathering(source: OperatorSource, window: n.WindowParameters) -> Gathering:
    source.require_equal("dilation_w", window.dilation[1], 1)
    channels = source.input.dimensions[3] if source.kind == Kind.CONV_2D else 1
    decoded = 2 if source.kind == Kind.CONV_2D else 1
    return Gathering.of(window, source.output.dimensions[1:3], channels, decoded, source.record.tile)


def _read_binary(source: OperatorSource) -> n.NetworkOperator:
    record = source.record
    (repeat,) = source.parameters("<I")
    source.require_equal("number of output elements", source.output.elements, source.input.elements)
    period = source.input2.elements * repeat
    source.require_divides(period, source.output.elements, "elements of input2 * repeat", "output elements")
    if source.kind == Kind.ADD and record.kernel == LINEAR_KERNEL:
        return _read_linear_add(source, repeat)
    factors = source.factors(3, maximum=0) if source.kind == Kind.ADD else source.factors(1)
    return n.BinaryOperator(
        kind=source.kind,
        input=record.input,
        output=record.output,
        activation_min=record.activation_min,
        activation_max=record.activation_max,
        input2=record.input2,
        repeat=repeat,
        multipliers=tuple(multiplier for multiplier, _ in factors),
        shifts=tuple(shift for _, shift in factors),
    )


def _read_linear_add(source: OperatorSource, repeat: int) -> n.LinearAddOperator:
    record = source.record
    factor, factor2, offset, exponent = source.requantization(4)
    source.require(0 <= exponent <= 31, f"exponent is {exponent}, expected 0 .. 31")
    return n.LinearAddOperator(
        kind=source.kind,
        input=record.input,
        output=record.output,
        activation_min=record.activation_min,
        activation_max=record.activation_max,
        input2=record.input2,
        repeat=repeat,
        factors=(factor, factor2),
        offset=offset,
        exponent=exponent,
    )


def _read_pool(source: OperatorSource) -> n.NetworkOperator:
    record, window = source.record, _read_window(source)
    for dilation, name in zip(window.dilation, ("dilation_h", "dilation_w"), strict=True):
        source.require_equal(name, dilation, 1)
    source.require_equal("number of output channels", source.output.dimensions[3], source.input.dimensions[3])
    return n.PoolOperator(
        source.kind, record.input, record.output, record.activation_min, record.activation_max, window=window
    )


def _read_mean(source: OperatorSource) -> n.NetworkOperator:
    record = source.record
    (inner,) = source.parameters("<I")
    source.require_divides(source.output.elements, source.input.elements, "output elements", "input elements")
    source.require_divides(inner, source.output.elements, "inner", "output elements")
    averaged = source.input.elements // source.output.elements
    source.require(averaged < MEAN_LIMIT, f"it averages {averaged} elements, the limit is {MEAN_LIMIT - 1}")
    ((multiplier, shift),) = source.factors(1)
    return n.MeanOperator(
        source.kind,
        record.input,
        record.output,
        inner=inner,
        multiplier=multiplier,
        shift=shift,
    )


def _read_pad(source: OperatorSource) -> n.NetworkOperator:
    before_h, after_h, before_w, after_w, before_c, after_c = source.parameters("<6H")
    paddings = ((before_h, after_h), (before_w, after_w), (before_c, after_c))
    source.require_equal("batch of the input", source.input.dimensions[0], 1)
    source.require_equal("batch of the output", source.output.dimensions[0], 1)
    for axis, (before, after) in enumerate(paddings, 1):
        padded = source.input.dimensions[axis] + before + after
        source.require_equal(f"output dimension {axis}", source.output.dimensions[axis], padded)
    return n.PadOperator(source.kind, source.record.input, source.record.output, paddings=paddings)


def _read_copy(source: OperatorSource) -> n.NetworkOperator:
    chunk, stride, start = source.parameters("<3I")
    source.require_divides(chunk, source.input.elements, "chunk", "input elements")
    source.require(
        start + chunk <= stride, f"start {start} + chunk {chunk} is {start + chunk}, above the stride of {stride}"
    )
    rows = source.input.elements // chunk
    source.require(
        rows * stride == source.output.elements,
        f"{rows} rows of stride {stride} are {rows * stride} elements, the output has {source.output.elements}",
    )
    return n.CopyOperator(
        source.kind, source.record.input, source.record.output, chunk=chunk, stride=stride, start=start
    )


def _read_lookup(source: OperatorSource) -> n.NetworkOperator:
    record = source.record
    source.require_equal("weights_coding", record.weights_coding, RAW)
    source.require_equal("weights_bits", record.weights_bits, 8 * LOOKUP_ENTRIES)
    source.require_equal("number of output elements", source.output.elements, source.input.elements)
    view = source.blob.section(
        f"{source.subject}: table", record.weights_offset, LOOKUP_ENTRIES, "lookup table", operator=source.index
    )
    return n.LookupOperator(source.kind, record.input, record.output, table=np.frombuffer(view, np.int8))


def _read_softmax(source: OperatorSource) -> n.NetworkOperator:
    record = source.record
    source.require_equal("number of output elements", source.output.elements, source.input.elements)
    source.require_equal("last dimension of the output", source.output.dimensions[3], source.input.dimensions[3])
    source.require_equal("zero point of the output", source.output.zero_point, SOFTMAX_ZERO_POINT)
    row = source.input.dimensions[3]
    source.require(row <= SOFTMAX_LIMIT, f"its rows have {row} elements, the limit is {SOFTMAX_LIMIT}")
    multiplier, shift, minimum = source.requantization(3)
    source.require(multiplier >= 0, f"multiplier is {multiplier}, it must be 0 .. 2^31-1")
    source.require(0 <= shift <= 31, f"shift is {shift}, expected 0 .. 31")
    source.require(minimum <= 0, f"minimum is {minimum}, expected at most 0")
    return n.SoftmaxOperator(
        source.kind, record.input, record.output, multiplier=multiplier, shift=shift, minimum=minimum
    )


_READERS: dict[Kind, Callable[[OperatorSource], n.NetworkOperator]] = {
    Kind.CONV_2D: _read_convolution,
    Kind.DEPTHWISE_CONV_2D: _read_depthwise,
    Kind.FULLY_CONNECTED: _read_fully_connected,
    Kind.ADD: _read_binary,
    Kind.MUL: _read_binary,
    Kind.AVERAGE_POOL_2D: _read_pool,
    Kind.MAX_POOL_2D: _read_pool,
    Kind.MEAN: _read_mean,
    Kind.PAD: _read_pad,
    Kind.COPY: _read_copy,
    Kind.LOOKUP: _read_lookup,
    Kind.SOFTMAX: _read_softmax,
}
