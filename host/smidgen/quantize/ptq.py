"""Post-training quantisation: a float graph and calibration samples become an int8 graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from smidgen import graph as g
from smidgen.errors import ModelError
from smidgen.passes import simplify
from smidgen.quantize.bias_correction import correct_biases
from smidgen.quantize.calibration import Calibration, as_calibration
from smidgen.quantize.global_pool import pool_to_mean
from smidgen.quantize.parameters import choose_parameters
from smidgen.quantize.ranges import Progress, check_method, observe
from smidgen.quantize.sharing import Groups, find_groups
from smidgen.quantize.weights import quantize_bias, quantize_constant, quantize_weights, weight_scales

DEFAULT_METHOD = "mse"  # measures best, see docs/quantization.md


def quantize(
    graph: g.Graph,
    calibration: Calibration | Mapping[str, g.Array] | g.Array,
    method: str = DEFAULT_METHOD,
    *,
    bias_correction: bool = True,
    per_channel_fully_connected: bool = True,
    progress: Progress | None = None,
) -> g.Graph:
    """An int8 graph that computes what float `graph` does; `graph` stays as it is.

    calibration: real inputs of the float model, [samples, *shape] for each network input.
    method: how the range of an activation is chosen, one of RANGE_METHODS.
    per_channel_fully_connected: False gives FULLY_CONNECTED one scale for all outputs, for TFLite interpreters that
    know no other.
    progress: called with what is being done, how much of it is done, and how much there is.

    Raises ModelError for a model that cannot be quantised, InputError for calibration data that do not fit it.
    """
    check_method(method)
    if not isinstance(calibration, Calibration):
        calibration = as_calibration(calibration, graph)
    prepared = simplify(copy.deepcopy(graph))
    _check(prepared)
    pool_to_mean(prepared)
    groups = find_groups(prepared)
    parameters = choose_parameters(prepared, groups, observe(prepared, calibration, progress), method)
    quantized = _Builder(prepared, groups, parameters, per_channel_fully_connected).build()
    quantized.metadata["quantization_method"] = method
    if bias_correction:
        correct_biases(prepared, quantized, calibration, progress)
    return quantized


def _check(graph: g.Graph) -> None:
    if graph.is_quantized:
        raise ModelError(f"{graph.name or 'the model'} is int8 already; quantisation takes a float32 model")
    for operator in graph.operators:
        where = f"{operator.source or operator.output} {operator.kind}"
        if isinstance(operator, g.Quantize | g.Dequantize):
            raise ModelError(f"{where}: cannot be quantised; export the model in float32 throughout")
        if isinstance(operator, g.Concatenation) and operator.activation != g.Activation.NONE:
            raise ModelError(f"{where}: a fused activation ({operator.activation.value}) cannot be quantised")
        for name in [*operator.inputs, *operator.constants]:
            data = graph.tensors[name].data
            if data is not None and not np.isfinite(data).all():
                raise ModelError(f"{where}: constant {name!r} holds numbers that are not finite")


class _Builder:
    """Builds the int8 graph from a float graph and the parameters of its activations."""

    def __init__(
        self, graph: g.Graph, groups: Groups, parameters: Mapping[str, g.Quantization], per_channel: bool
    ) -> None:
        self.graph, self.groups, self.parameters, self.per_channel = graph, groups, parameters, per_channel
        self.result = g.Graph(inputs=list(graph.inputs), outputs=list(graph.outputs), name=graph.name)
        self.result.metadata = dict(graph.metadata)

    def build(self) -> g.Graph:
        for tensor in self.graph.activations():
            self.activation(tensor.name, tensor.shape, self.parameters[tensor.name])
        for operator in self.graph.operators:
            self.result.operators.append(self.operator(operator))
        return self.result

    def activation(self, name: str, shape: tuple[int, ...], quantization: g.Quantization) -> str:
        return self.result.add(g.Tensor(self.result.new_name(name), shape, np.dtype(np.int8), quantization)).name

    def operator(self, original: g.Operator) -> g.Operator:
        operator = replace(original, inputs=list(original.inputs))
        if isinstance(operator, g.Weighted):
            self.weights(operator)
        for position, name in enumerate(operator.inputs):
            if self.graph.tensors[name].data is not None:
                operator.inputs[position] = self.constant(name)
        for converted, position in self.groups.converted:
            if converted is original:
                operator.inputs[position] = self.conversion(operator, position)
        return operator

    def conversion(self, operator: g.Operator, position: int) -> str:
        """A QUANTIZE that expresses an input in the output's scale."""
        source = self.result.tensors[operator.inputs[position]]
        name = self.activation(f"{source.name}_requantized", source.shape, self.parameters[operator.output])
        self.result.operators.append(g.Quantize([source.name], name, operator.source))
        return name

    def constant(self, name: str) -> str:
        values, scale, zero_point = quantize_constant(self.graph.constant(name))
        quantization = g.Quantization.per_tensor(scale, zero_point)
        tensor = g.Tensor(self.result.new_name(name), values.shape, values.dtype, quantization, values)
        return self.result.add(tensor).name

    def weights(self, operator: g.Weighted) -> None:
        """Give `operator` int8 weights and an int32 bias of its own."""
        weights = self.graph.constant(operator.weights)
        axis = self.channel_axis(operator)
        channels = weights.shape[0 if axis is None else axis]
        bias = self.graph.constant(operator.bias) if operator.bias else np.zeros(channels, np.float32)
        input_scale, output_scale = (float(self.parameters[n].scale[0]) for n in (operator.inputs[0], operator.output))
        scales = weight_scales(weights, bias, axis, input_scale, output_scale)
        values = quantize_weights(weights, scales, axis)
        operator.weights = self.add_symmetric(operator.weights, values, scales, axis)
        bias_scales = (input_scale * scales.astype(np.float64)).astype(np.float32)
        bias_axis = None if axis is None else 0
        biases = quantize_bias(bias, input_scale, scales)
        operator.bias = self.add_symmetric(operator.bias or f"{operator.output}_bias", biases, bias_scales, bias_axis)

    def channel_axis(self, operator: g.Weighted) -> int | None:
        if isinstance(operator, g.FullyConnected) and not self.per_channel:
            return None
        return 3 if isinstance(operator, g.DepthwiseConv2D) else 0

    def add_symmetric(self, name: str, values: g.Array, scales: g.Array, axis: int | None) -> str:
        quantization = g.Quantization(scales, np.zeros(scales.size, np.int32), axis if scales.size > 1 else None)
        tensor = g.Tensor(self.result.new_name(name), values.shape, values.dtype, quantization, values)
        return self.result.add(tensor).name
