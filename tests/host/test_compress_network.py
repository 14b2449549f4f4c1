"""What compression builds on: many samples at once give the reference's integers, and derivatives tell the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_quantize import SAMPLES, levels, mixed_graph

from models import golden_path, model_path
from smidgen.compress.batch import run_batch
from smidgen.compress.gradients import backward, inside_clamp, logit_scale, real_factors
from smidgen.formats.tflite_reader import read_tflite
from smidgen.lower import lower
from smidgen.network import Network, SoftmaxOperator, WeightedOperator
from smidgen.passes import simplify
from smidgen.quantize import quantize
from smidgen.reference import run_network


@pytest.fixture(scope="module")
def mixed() -> tuple[Network, np.ndarray]:
    """A network with every operator, and inputs for it."""
    graph = quantize(mixed_graph(), SAMPLES)
    return lower(graph), levels(SAMPLES, graph.tensors["x"].quantization)


def test_a_batch_gives_what_single_samples_give(mixed: tuple[Network, np.ndarray]) -> None:
    network, inputs = mixed
    together = run_batch(network, [inputs])[network.outputs[0]]
    for sample, output in zip(inputs, together, strict=True):
        np.testing.assert_array_equal(output, run_network(network, [sample])[0])


@pytest.mark.parametrize(("multiplier", "shift"), [(2**31 - 1, 3), (2**30, 0), (2**30 + 12345, -1), (1731000000, -19)])
def test_requantisation_of_a_batch_is_the_reference_s(
    mixed: tuple[Network, np.ndarray], multiplier: int, shift: int
) -> None:
    network, inputs = mixed
    index, operator = next(pair for pair in enumerate(network.operators) if isinstance(pair[1], WeightedOperator))
    assert isinstance(operator, WeightedOperator)
    changed = replace(
        operator,
        bias=np.linspace(-(2**27), 2**27, operator.channels).astype(np.int32),
        multiplier=np.array([multiplier], np.int32),
        shift=np.array([shift], np.int32),
    )
    network = replace(network, operators=[*network.operators[:index], changed, *network.operators[index + 1 :]])
    values = run_batch(network, [inputs])[network.outputs[0]]
    for sample, output in zip(inputs[:5], values, strict=False):
        np.testing.assert_array_equal(output, run_network(network, [sample])[0])


def test_a_real_network_in_a_batch() -> None:
    network = lower(simplify(read_tflite(model_path("kws_ref_model"))))
    with np.load(golden_path("kws_ref_model")) as golden:
        outputs = run_batch(network, [golden["input"]])[network.outputs[0]]
        np.testing.assert_array_equal(outputs, golden["output"])


def test_derivatives_foresee_what_a_larger_bias_does(mixed: tuple[Network, np.ndarray]) -> None:
    """Every channel of every layer, some int8 steps more: the change of a random combination of the outputs."""
    network, inputs = mixed
    values = run_batch(network, [inputs])
    output = network.outputs[0]
    direction = np.random.default_rng(3).normal(size=values[output].shape).astype(np.float32)
    steps = 3.0
    foreseen, found = [], []
    for index, operator, gradient in backward(network, values, {output: direction}):
        inside = inside_clamp(operator, values[operator.output]).reshape(gradient.shape)
        factors = np.broadcast_to(real_factors(operator.multiplier, operator.shift), operator.channels)
        for channel in range(operator.channels):
            bias = np.zeros(operator.channels) if operator.bias is None else operator.bias.astype(np.float64)
            bias[channel] += steps / factors[channel]
            changed = replace(operator, bias=np.rint(bias).astype(np.int32))
            operators = [*network.operators[:index], changed, *network.operators[index + 1 :]]
            moved = run_batch(replace(network, operators=operators), [inputs])[output]
            foreseen.append(steps * float(np.sum((gradient * inside)[:, :, channel])))
            found.append(float(np.sum(direction * (moved.astype(np.float64) - values[output]))))
    assert len(found) == 6 + 12 + 5 + 5
    assert np.corrcoef(foreseen, found)[0, 1] > 0.97
    assert np.polyfit(foreseen, found, 1)[0] == pytest.approx(1, abs=0.15)


def test_a_step_of_a_logit() -> None:
    """The probabilities that SOFTMAX gives are those of its input times the scale of a step."""
    graph = quantize(mixed_graph(), SAMPLES)
    network = lower(graph)
    softmax = next(operator for operator in network.operators if isinstance(operator, SoftmaxOperator))
    assert logit_scale(softmax) == pytest.approx(network.tensors[softmax.input].scale, rel=1e-6)
