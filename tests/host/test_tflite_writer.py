"""The .tflite writer: tiny graphs of every operator run in TFLite Micro.

int8 results are within one LSB of NumPy's real-valued answer, float32 results close to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from operator_cases import (
    CASES,
    Case,
    activations,
    assert_near,
    dense_case,
    dequantize,
    float_graph,
    int8_constant,
    int8_graph,
    quantize,
    run_tflm,
)

from smidgen import graph as g
from smidgen.formats.tflite_writer import same_padding, write_tflite

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
def test_int8_in_tflm_is_near_the_real_values(case: Case) -> None:
    inputs = activations(case, np.int8)
    graph, expected = int8_graph(case, inputs)
    y = run_tflm(write_tflite(graph), inputs)
    assert_near(y, expected, graph.tensors["y"].quantization, case.name)


@every_case
def test_float_is_close_to_numpy(case: Case) -> None:
    inputs = activations(case, np.float32)
    graph, expected = float_graph(case, inputs)
    np.testing.assert_allclose(run_tflm(write_tflite(graph), inputs), expected, rtol=1e-5, atol=1e-5)


def test_quantize_requantize_dequantize() -> None:
    graph = g.Graph(inputs=["x"], outputs=["y"])
    narrow, wide = g.Quantization.per_tensor(1 / 100, -5), g.Quantization.per_tensor(1 / 32, 10)
    graph.add(g.Tensor("x", (1, 40), np.dtype(np.float32)))
    graph.add(g.Tensor("narrow", (1, 40), np.dtype(np.int8), narrow))
    graph.add(g.Tensor("wide", (1, 40), np.dtype(np.int8), wide))
    graph.add(g.Tensor("y", (1, 40), np.dtype(np.float32)))
    graph.operators = [
        g.Quantize(["x"], "narrow"),
        g.Quantize(["narrow"], "wide"),
        g.Dequantize(["wide"], "y"),
    ]
    model = write_tflite(graph)
    x = np.linspace(-1.5, 1.5, 40, dtype=np.float32).reshape(1, 40)
    expected = dequantize(quantize(dequantize(quantize(x, narrow), narrow), wide), wide)
    y = run_tflm(model, [x])
    assert np.abs(y - expected).max() <= 1.01 * wide.scale[0]


def test_per_channel_fully_connected_runs_in_tflm() -> None:
    """TFLite 2.14 knows one scale for the weights of FULLY_CONNECTED only; TFLM knows one for each output."""
    case = dense_case("dense", (1, 7), (4, 7))
    case.constants = {name: (data, 0) for name, (data, _) in case.constants.items()}
    inputs = activations(case, np.int8)
    graph, expected = int8_graph(case, inputs)
    y = run_tflm(write_tflite(graph), inputs)
    assert_near(y, expected, graph.tensors["y"].quantization, case.name)


# The file itself


def read(model: bytes) -> Any:
    return pytest.importorskip("tflite").Model.GetRootAs(model, 0)


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def test_same_padding() -> None:
    assert same_padding(6, 3, 2) == (0, 1)
    assert same_padding(7, 3, 2) == (1, 1)
    assert same_padding(5, 1, 2) == (0, 0)
    assert same_padding(8, 3, 1, dilation=2) == (2, 2)


@pytest.mark.parametrize(
    ("name", "operators"), [("conv valid", 1), ("conv same even", 1), ("conv dilated", 1), ("conv explicit", 2)]
)
def test_pad_only_where_tflite_needs_it(name: str, operators: int) -> None:
    case = case_named(name)
    graph, _ = int8_graph(case, activations(case, np.int8))
    before = set(graph.tensors)
    assert read(write_tflite(graph)).Subgraphs(0).OperatorsLength() == operators
    assert set(graph.tensors) == before and len(graph.operators) == 1, "the graph was changed"


def test_quantization_and_constants_survive() -> None:
    case = case_named("depthwise")
    graph, _ = int8_graph(case, activations(case, np.int8))
    model = read(write_tflite(graph))
    subgraph = model.Subgraphs(0)
    tensors = {subgraph.Tensors(i).Name().decode(): subgraph.Tensors(i) for i in range(subgraph.TensorsLength())}
    for name, tensor in graph.tensors.items():
        written = tensors[name].Quantization()
        assert tensor.quantization is not None
        np.testing.assert_array_equal(written.ScaleAsNumpy(), tensor.quantization.scale)
        np.testing.assert_array_equal(written.ZeroPointAsNumpy(), tensor.quantization.zero_point)
        assert written.QuantizedDimension() == (tensor.quantization.axis or 0)
        if tensor.data is not None:
            content = model.Buffers(tensors[name].Buffer()).DataAsNumpy()
            np.testing.assert_array_equal(content, np.frombuffer(tensor.data.tobytes(), np.uint8))
        else:
            assert tensors[name].Buffer() == 0


def test_constants_are_aligned() -> None:
    case = case_named("conv valid")
    model = write_tflite(int8_graph(case, activations(case, np.int8))[0])
    assert len(model) % 16 == 0
    for data in (int8_constant(case, "w")[0].data, int8_constant(case, "b")[0].data):
        assert data is not None
        assert model.index(data.tobytes()) % 16 == 0


@pytest.mark.parametrize("kind", [g.AveragePool2D, g.MaxPool2D])
def test_pooling_with_other_padding_is_refused(kind: type[g.AveragePool2D | g.MaxPool2D]) -> None:
    graph = g.Graph(inputs=["x"], outputs=["y"])
    graph.add(g.Tensor("x", (1, 4, 4, 1), np.dtype(np.float32)))
    graph.add(g.Tensor("y", (1, 3, 3, 1), np.dtype(np.float32)))
    padding = g.Padding(1, 1, 1, 1)
    graph.operators = [kind(["x"], "y", "operator 0", kernel=(2, 2), stride=(2, 2), padding=padding)]
    with pytest.raises(ValueError, match=r"operator 0 .*VALID or SAME"):
        write_tflite(graph)


def test_wrong_output_shape_is_refused() -> None:
    case = case_named("conv valid")
    graph, _ = float_graph(case, activations(case, np.float32))
    graph.tensors["y"].shape = (1, 4, 5, 4)
    with pytest.raises(ValueError, match=r"'y' \(CONV_2D\): the output is \(4, 5\).*give \(3, 5\)"):
        write_tflite(graph)


def test_wrong_channel_multiplier_is_refused() -> None:
    case = case_named("depthwise multiplier")
    graph, _ = float_graph(case, activations(case, np.float32))
    graph.tensors["x0"].shape = (1, 5, 4, 4)
    with pytest.raises(ValueError, match="6 output channels are no multiple of 4"):
        write_tflite(graph)


def test_unknown_tensor_is_refused() -> None:
    case = case_named("relu")
    graph, _ = float_graph(case, activations(case, np.float32))
    del graph.tensors["x0"]
    with pytest.raises(ValueError, match="no tensor named 'x0'"):
        write_tflite(graph)


def test_unknown_type_is_refused() -> None:
    case = case_named("relu")
    graph, _ = float_graph(case, activations(case, np.float32))
    graph.tensors["x0"].dtype = np.dtype(np.float64)
    with pytest.raises(ValueError, match="float64"):
        write_tflite(graph)
