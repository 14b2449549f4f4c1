"""The float executor: every operator against formulas written independently, real models against TFLM."""

from __future__ import annotations

import numpy as np
import pytest
from graph_builder import GraphBuilder
from operator_cases import CASES, Case, activations, float_graph

from models import model_path
from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.formats.tflite_reader import read_tflite
from smidgen.formats.tflite_writer import write_tflite
from smidgen.passes import simplify
from smidgen.reference.float_executor import run_float

REAL_RANGES = {
    "kws_ref_model_float32": (-120.0, 25.0),
    "vww_96_float": (0.0, 1.0),
    "pretrainedResnet": (0.0, 255.0),
    "ad01_fp32": (-60.0, 0.0),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_operator(case: Case) -> None:
    inputs = activations(case, np.float32)
    graph, expected = float_graph(case, inputs)
    values = run_float(graph, {name: x[None] for name, x in zip(graph.inputs, inputs, strict=True)})
    np.testing.assert_allclose(values["y"][0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_samples_do_not_influence_each_other(case: Case) -> None:
    inputs = activations(case, np.float32)
    graph, _ = float_graph(case, inputs)
    batches = [np.stack([x, -x, 0.5 * x]) for x in inputs]
    together = run_float(graph, dict(zip(graph.inputs, batches, strict=True)))
    for sample in range(3):
        alone = run_float(graph, {n: b[sample, None] for n, b in zip(graph.inputs, batches, strict=True)})
        np.testing.assert_allclose(together["y"][sample], alone["y"][0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", REAL_RANGES)
def test_real_models_as_in_tflm(name: str) -> None:
    tflite_micro = pytest.importorskip("tflite_micro", reason="tflite-micro is not installed: no TFLM to compare with")
    graph = read_tflite(model_path(name))
    # Written again, because TFLM does not run float activations with int8 weights (the keyword model)
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(write_tflite(graph))
    source = graph.inputs[0]
    x = np.random.default_rng(3).uniform(*REAL_RANGES[name], (4, *graph.tensors[source].shape)).astype(np.float32)
    simplified = simplify(read_tflite(model_path(name)))
    for network in (graph, simplified):
        outputs = run_float(network, {source: x})[network.outputs[0]]
        for sample, output in zip(x, outputs, strict=True):
            interpreter.set_input(sample, 0)
            interpreter.invoke()
            np.testing.assert_allclose(output, interpreter.get_output(0), rtol=1e-4, atol=1e-5)


def test_every_activation_is_returned() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("h", (1, 3)), b.tensor("y", (1, 3))
    b.append(g.FullyConnected(["x"], "h", weights=b.weights("w", (3, 4), 0)))
    b.append(g.Softmax(["h"], "y"))
    values = run_float(b.finish(["x"], ["y"]), {"x": np.ones((2, 1, 4), np.float32)})
    assert {name: array.shape for name, array in values.items()} == {"x": (2, 1, 4), "h": (2, 1, 3), "y": (2, 1, 3)}


def adding() -> g.Graph:
    b = GraphBuilder(np.float32)
    b.tensor("a", (1, 4)), b.tensor("b", (1, 4)), b.tensor("y", (1, 4))
    b.append(g.Add(["a", "b"], "y"))
    return b.finish(["a", "b"], ["y"])


def test_missing_input_is_named() -> None:
    with pytest.raises(InputError, match=r"no data for input 'b'; there is data for: 'a'"):
        run_float(adding(), {"a": np.zeros((1, 1, 4), np.float32)})


def test_wrong_shape_gives_both_shapes() -> None:
    with pytest.raises(InputError, match=r"'a' must have shape \[samples, 1, 4\], it has \[1, 4\]"):
        run_float(adding(), {"a": np.zeros((1, 4), np.float32), "b": np.zeros((1, 1, 4), np.float32)})


def test_different_numbers_of_samples() -> None:
    with pytest.raises(InputError, match=r"different numbers of samples: \{'a': 1, 'b': 2\}"):
        run_float(adding(), {"a": np.zeros((1, 1, 4), np.float32), "b": np.zeros((2, 1, 4), np.float32)})


def test_int8_graph_is_refused() -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 4)), b.tensor("y", (1, 4))
    b.append(g.Relu(["x"], "y"))
    with pytest.raises(ModelError, match="operator 0 RELU: not part of a float32 graph"):
        run_float(b.finish(["x"], ["y"]), {"x": np.zeros((1, 1, 4), np.float32)})
