"""Bias correction: makes the mean of every channel before its activation what it is in the float model.

Rounding weights and activations shifts the mean of a sum of products; the shift of every channel is measured on
the calibration samples, layer after layer, and subtracted through the int32 bias, at no cost when the network
runs. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), section 4.2,
in its empirical form.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen import graph as g
from smidgen.quantize.calibration import Calibration
from smidgen.quantize.ranges import Progress
from smidgen.quantize.simulation import dequantized, last_uses, on_grid, run_simulated_operator
from smidgen.quantize.weights import LARGEST_BIAS
from smidgen.reference.float_executor import Floats, run_float_operator, starting_values, weighted_sums

_LARGEST_TENSOR = 8_000_000  # elements of an activation over all samples: 32 MB


def correct_biases(
    graph: g.Graph, quantized: g.Graph, calibration: Calibration, progress: Progress | None = None
) -> None:
    """Change the biases of int8 graph `quantized`, made from float `graph`, in place."""
    largest = max(tensor.elements for tensor in graph.activations())
    inputs = calibration.taken(max(1, _LARGEST_TENSOR // largest)).inputs
    inputs = {name: array.reshape(-1, *graph.tensors[name].shape) for name, array in inputs.items()}
    exact = starting_values(graph, inputs)
    simulated = {name: on_grid(quantized.tensors[name], array) for name, array in exact.items()}
    originals = {operator.output: (operator, finished) for operator, finished in last_uses(graph)}
    real = dequantized(quantized)
    for index, (operator, finished) in enumerate(last_uses(quantized)):
        if operator.output in originals:  # a QUANTIZE before a CONCATENATION is not in the float graph
            original, finished_exact = originals[operator.output]
            exact[operator.output] = run_float_operator(graph, original, exact)
            if isinstance(operator, g.Weighted) and isinstance(original, g.Weighted):
                sums = weighted_sums(real, operator, simulated[operator.inputs[0]])
                _correct(quantized, real, operator, weighted_sums(graph, original, exact[original.inputs[0]]) - sums)
            _remove(exact, finished_exact)
        simulated[operator.output] = run_simulated_operator(quantized, real, operator, simulated)
        _remove(simulated, finished)
        if progress is not None:
            progress("biases", index + 1, len(quantized.operators))


def _remove(values: dict[str, Floats], names: list[str]) -> None:
    for name in names:
        del values[name]


def _correct(quantized: g.Graph, real: g.Graph, operator: g.Weighted, error: Floats) -> None:
    """Add the mean error of each channel to the bias, in the int8 graph and in its real-valued twin."""
    assert operator.bias is not None
    tensor = quantized.tensors[operator.bias]
    assert tensor.data is not None and tensor.quantization is not None
    mean = error.mean(axis=tuple(range(error.ndim - 1)), dtype=np.float64)
    scale = tensor.quantization.scale.astype(np.float64)
    tensor.data = _saturated(tensor.data + np.rint(mean / scale))
    real.tensors[operator.bias].data = (tensor.data * scale).astype(np.float32)


def _saturated(values: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.clip(values, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)
