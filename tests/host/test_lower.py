"""Multipliers to the last bit, where the judge's floating-point types can be told apart."""

from __future__ import annotations

import numpy as np
import pytest
from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen import oracle
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.errors import ModelError
from smidgen.formats.tflite_writer import write_tflite
from smidgen.lower import lower
from smidgen.network import MeanOperator, WeightedOperator
from smidgen.plan import make_plan
from smidgen.reference import run_network
from smidgen.requantization import quantize_multiplier, requantize

OUTPUT_SCALE = 100.0


def _dense(input_scale: np.float32, weight_scale: np.float32, biases: np.ndarray) -> g.Graph:
    """One input element, weights of zero: the output is the requantised bias."""
    b = GraphBuilder()
    b.tensor("x", (1, 1), float(input_scale))
    b.tensor("y", (1, len(biases)), OUTPUT_SCALE)
    weights = b.constant("w", np.zeros((len(biases), 1), np.int8), weight_scale)
    bias = b.constant("b", biases.astype(np.int32), input_scale * weight_scale)
    b.append(g.FullyConnected(["x"], "y", weights=weights, bias=bias))
    return b.finish(["x"], ["y"])


def test_dense_layer_with_one_weight_scale_multiplies_scales_in_double_precision() -> None:
    """Biases for which a product of scales rounded to single precision would give another output."""
    random, told_apart = np.random.default_rng(0), 0
    candidates = np.arange(2**26, 2**26 + 2**19, dtype=np.int64)
    for _ in range(20):
        scales = (random.random(2) * 0.4 + 0.8).astype(np.float32) * np.float32(0.01)
        double = quantize_multiplier(float(scales[0]) * float(scales[1]) / OUTPUT_SCALE)
        single = quantize_multiplier(float(scales[0] * scales[1]) / OUTPUT_SCALE)
        differing = candidates[requantize(candidates, *double) != requantize(candidates, *single)][:50]
        if not len(differing):
            continue
        told_apart += 1
        graph = _dense(scales[0], scales[1], differing)
        interpreter = oracle.open_interpreter(write_tflite(graph))
        if not isinstance(interpreter, oracle.TfliteMicro):
            pytest.skip("tflite-micro is not installed")
        sample = [np.zeros((1, 1), np.int8)]
        np.testing.assert_array_equal(run_network(lower(graph), sample)[0], interpreter.run(sample)[0])
    assert told_apart > 5


def test_scale_of_each_channel() -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 2), 0.5)
    b.tensor("y", (1, 3), 0.25)
    b.append(g.FullyConnected(["x"], "y", weights=b.constant("w", np.ones((3, 2), np.int8), [0.5, 1.0, 0.0], axis=0)))
    (operator,) = lower(b.finish(["x"], ["y"])).operators
    assert isinstance(operator, WeightedOperator)
    expected = [quantize_multiplier(factor) for factor in (1.0, 2.0, 0.0)]
    assert list(zip(operator.multiplier.tolist(), operator.shift.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("output_scale", "activation", "clamp"),
    [
        (0.1, g.Activation.NONE, (-128, 127)),
        (0.1, g.Activation.RELU, (-10, 127)),
        (0.1, g.Activation.RELU6, (-10, 50)),
        (0.1, g.Activation.RELU_N1_TO_1, (-20, 0)),
        (0.01, g.Activation.RELU6, (-10, 127)),
    ],
)
def test_clamps(output_scale: float, activation: g.Activation, clamp: tuple[int, int]) -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 2))
    b.tensor("y", (1, 3), output_scale, -10)
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 2), 0), activation=activation))
    (operator,) = lower(b.finish(["x"], ["y"])).operators
    assert (operator.activation_min, operator.activation_max) == clamp


def test_factor_of_a_mean_keeps_to_the_shifts_there_are() -> None:
    """2**-27 / 4096: dividing by the count with all its bits would take a shift of -38, and the limit is -31."""
    b = GraphBuilder()
    b.tensor("x", (1, 64, 64, 1), 2.0**-27)
    b.tensor("y", (1, 1), 1.0)
    b.append(g.Mean(["x"], "y", axes=(1, 2)))
    network = lower(b.finish(["x"], ["y"]))
    (operator,) = network.operators
    assert isinstance(operator, MeanOperator)
    assert (operator.multiplier, operator.shift) == ((2**30 << 5) // 4096, -31)
    assert operator.multiplier * 2.0 ** (operator.shift - 31) == 2.0**-27 / 4096
    read_blob(write_blob(make_plan(network)))


def test_what_does_not_fit_is_named() -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 2), 1e6)
    b.tensor("y", (1, 2), 1e-9)
    b.append(g.FullyConnected(["x"], "y", weights=b.constant("w", np.ones((2, 2), np.int8), 1.0)))
    with pytest.raises(ModelError, match="operator 0 FULLY_CONNECTED: a requantisation factor of 1e\\+15 is too large"):
        lower(b.finish(["x"], ["y"]))
    with pytest.raises(ModelError, match="float model"):
        lower(GraphBuilder(np.float32).finish([], []))
