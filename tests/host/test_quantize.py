"""Post-training quantisation: structure, arithmetic limits, agreement with the float model and with TFLM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_builder import GraphBuilder

from models import FOLDER, ROOT, model_path
from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.formats.tflite_reader import parse_tflite, read_tflite
from smidgen.formats.tflite_writer import write_tflite
from smidgen.lower import lower
from smidgen.passes import simplify
from smidgen.quantize import RANGE_METHODS, quantize
from smidgen.quantize.parameters import scale_for, short_scale
from smidgen.reference import run_network
from smidgen.reference.float_executor import run_float

random = np.random.default_rng(11)
RELU, RELU6 = g.Activation.RELU, g.Activation.RELU6


def levels(x: g.Array, quantization: g.Quantization | None) -> g.Array:
    assert quantization is not None
    return np.clip(np.rint(x / quantization.scale[0]) + quantization.zero_point[0], -128, 127).astype(np.int8)


def run_int8(graph: g.Graph, inputs: g.Array) -> g.Array:
    """int8 outputs of the reference for real inputs [samples, ...] of the only input."""
    network = lower(graph)
    quantized = levels(inputs, graph.tensors[graph.inputs[0]].quantization)
    return np.array([run_network(network, [sample])[0] for sample in quantized])


def real(graph: g.Graph, q: g.Array) -> g.Array:
    quantization = graph.tensors[graph.outputs[0]].quantization
    assert quantization is not None
    return (q.astype(np.float64) - quantization.zero_point[0]) * quantization.scale[0]


def run_tflm(graph: g.Graph, inputs: g.Array) -> g.Array:
    tflite_micro = pytest.importorskip("tflite_micro", reason="tflite-micro is not installed: no TFLM to compare with")
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(write_tflite(graph))
    source = graph.tensors[graph.inputs[0]]
    outputs = []
    for sample in levels(inputs, source.quantization):
        interpreter.set_input(sample.reshape(source.shape), 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)))
    return np.array(outputs)


def mixed_graph() -> g.Graph:
    """Every operator that a float graph can have, in one network [1, 8, 8, 2] -> [1, 10]."""
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 8, 8, 2))
    for name, shape in {
        "conv": (1, 8, 8, 6), "depth": (1, 4, 4, 12), "relu": (1, 4, 4, 12), "scaled": (1, 4, 4, 12),
        "gate": (1, 4, 4, 12), "sum": (1, 4, 4, 12), "max": (1, 2, 2, 12), "relu6": (1, 4, 4, 12),
        "average": (1, 2, 2, 12), "wide": (1, 4, 4, 13), "strided": (1, 2, 2, 13), "both": (1, 2, 2, 37),
        "mean": (1, 37), "logits": (1, 5), "classes": (1, 5), "other": (1, 5), "y": (1, 10),
    }.items():  # fmt: skip
        b.tensor(name, shape)
    b.append(
        g.Conv2D(
            ["x"], "conv", weights=b.weights("w0", (6, 3, 3, 2), 0), bias=b.constant("b0", np.float32(range(6))),
            padding=g.Padding(2, 2, 2, 2), dilation=(2, 2), activation=RELU6,
        )
    )  # fmt: skip
    b.append(
        g.DepthwiseConv2D(
            ["conv"], "depth", weights=b.weights("w1", (1, 3, 3, 12), 3), stride=(2, 2), padding=g.Padding(0, 1, 0, 1)
        )
    )
    b.append(g.Relu(["depth"], "relu"))
    b.append(g.Mul(["relu", b.constant("factors", np.linspace(-1, 1, 12, dtype=np.float32))], "scaled"))
    b.append(g.Logistic(["depth"], "gate"))
    b.append(g.Add(["scaled", "gate"], "sum", activation=RELU))
    b.append(g.MaxPool2D(["sum"], "max", kernel=(2, 2), stride=(2, 2)))
    b.append(g.Relu6(["depth"], "relu6"))
    b.append(g.AveragePool2D(["relu6"], "average", kernel=(2, 2), stride=(2, 2)))
    b.append(g.Pad(["sum"], "wide", paddings=((0, 0), (0, 0), (0, 0), (0, 1))))
    b.append(g.MaxPool2D(["wide"], "strided", kernel=(1, 1), stride=(2, 2)))
    b.append(g.Concatenation(["max", "average", "strided"], "both", axis=3))
    b.append(g.Mean(["both"], "mean"))
    b.append(g.FullyConnected(["mean"], "logits", weights=b.weights("w2", (5, 37), 0)))
    b.append(g.Softmax(["logits"], "classes"))
    b.append(g.FullyConnected(["mean"], "other", weights=b.weights("w3", (5, 37), 0)))
    b.append(g.Concatenation(["classes", "other"], "y", axis=1))
    return b.finish(["x"], ["y"])


SAMPLES = random.normal(size=(40, 1, 8, 8, 2)).astype(np.float32)


@pytest.mark.parametrize("method", RANGE_METHODS)
def test_all_operators_stay_near_the_float_graph(method: str) -> None:
    graph = mixed_graph()
    int8 = quantize(graph, SAMPLES[:20], method)
    expected = run_float(graph, {"x": SAMPLES[20:]})["y"]
    error = real(int8, run_int8(int8, SAMPLES[20:])) - expected
    assert np.sqrt(np.mean(error**2)) < 0.06 * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize("per_channel", [True, False])
def test_all_operators_give_the_same_integers_in_tflm(per_channel: bool) -> None:
    int8 = quantize(mixed_graph(), SAMPLES[:20], per_channel_fully_connected=per_channel)
    np.testing.assert_array_equal(run_int8(int8, SAMPLES), run_tflm(int8, SAMPLES))


def test_a_written_and_read_graph_is_accepted_and_equal() -> None:
    int8 = quantize(mixed_graph(), SAMPLES[:20])
    again = simplify(parse_tflite(write_tflite(int8)))
    np.testing.assert_array_equal(run_int8(int8, SAMPLES[:5]), run_int8(again, SAMPLES[:5]))


def test_the_float_graph_stays_as_it_is() -> None:
    graph = mixed_graph()
    quantize(graph, SAMPLES[:4])
    fresh = mixed_graph()
    assert graph.operators == fresh.operators and list(graph.tensors) == list(fresh.tensors)
    for name, tensor in graph.tensors.items():
        assert tensor.dtype == np.float32 and tensor.quantization is None and tensor.shape == fresh.tensors[name].shape


def parameters(graph: g.Graph, name: str) -> tuple[float, int]:
    quantization = graph.tensors[name].quantization
    assert quantization is not None and quantization.is_per_tensor
    return float(quantization.scale[0]), int(quantization.zero_point[0])


def test_what_shares_parameters_and_what_is_fixed() -> None:
    int8 = quantize(mixed_graph(), SAMPLES[:20])
    concatenated = ("sum", "max", "depth", "average", "relu6", "wide", "strided", "both")
    assert len({parameters(int8, name) for name in concatenated}) == 1
    assert parameters(int8, "gate") == parameters(int8, "classes") == (1 / 256, -128)
    assert parameters(int8, "mean") != parameters(int8, "both")
    (conversion,) = [operator for operator in int8.operators if isinstance(operator, g.Quantize)]
    assert conversion.inputs == ["classes"]
    assert parameters(int8, conversion.output) == parameters(int8, "y") == parameters(int8, "other")
    assert parameters(int8, "conv")[1] == -128 and parameters(int8, "conv")[0] <= np.float32(6 / 255)


def test_weights_are_symmetric_and_per_channel() -> None:
    int8 = quantize(mixed_graph(), SAMPLES[:20], bias_correction=False)
    for name, axis, channels in (("w0", 0, 6), ("w1", 3, 12), ("w2", 0, 5)):
        tensor = int8.tensors[name]
        assert tensor.quantization is not None and tensor.data is not None
        assert tensor.quantization.axis == axis and tensor.quantization.scale.size == channels
        assert not tensor.quantization.zero_point.any()
        others = tuple(i for i in range(tensor.data.ndim) if i != axis)
        np.testing.assert_array_equal(np.abs(tensor.data.astype(int)).max(axis=others), 127)
    bias, scale = int8.tensors["b0"], parameters(int8, "x")[0]
    assert bias.data is not None and int8.tensors["w0"].quantization is not None
    np.testing.assert_allclose(bias.data * scale * int8.tensors["w0"].quantization.scale, range(6), atol=1e-3)


def dense(weights: Any, bias: Any = None, activation: g.Activation = g.Activation.NONE) -> g.Graph:
    w = np.asarray(weights, np.float32)
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, w.shape[1])), b.tensor("y", (1, w.shape[0]))
    constant = None if bias is None else b.constant("b", np.asarray(bias, np.float32))
    b.append(g.FullyConnected(["x"], "y", weights=b.constant("w", w), bias=constant, activation=activation))
    return b.finish(["x"], ["y"])


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    ("weights", "bias"),
    [
        ([[0, 0], [1, -1]], [3.0, 0.5]),  # a dead channel that gives a constant
        ([[0, 0], [0, 0]], [3.0, -2.0]),
        ([[0, 0], [0, 0]], None),
        ([[1e-9, 1e-9], [1, -1]], [3.0, 0.5]),  # a bias that would need 41 bits
        ([[1e-30, -1e-30], [1e-30, 0]], [1e4, 1.0]),
        ([[1e-20, -1e-20], [1e-20, 0]], None),
        ([[1e6, -1e6], [1e-6, 1e-6]], [1e5, 1e-6]),
        ([[1e12, 1e12], [-1e12, 0]], None),
    ],
)
@pytest.mark.parametrize("size", [1.0, 1e-7, 0.0])
def test_extreme_constants_and_ranges(weights: Any, bias: Any, size: float, per_channel: bool) -> None:
    graph = dense(weights, bias)
    x = (random.uniform(-1, 1, (64, 1, 2)) * size).astype(np.float32)
    expected = run_float(graph, {"x": x})["y"]
    for method in RANGE_METHODS[::3]:
        int8 = quantize(graph, x, method, per_channel_fully_connected=per_channel)
        q = run_int8(int8, x)
        assert np.abs(real(int8, q) - expected).max() <= 0.03 * np.abs(expected).max() + 2.0**-60
        np.testing.assert_array_equal(q, run_tflm(int8, x))


def test_an_output_that_is_always_clamped_to_zero() -> None:
    graph = dense([[1, 1], [1, 2]], [-9.0, -9.0], RELU)
    x = random.uniform(-1, 1, (8, 1, 2)).astype(np.float32)
    int8 = quantize(graph, x)
    assert not real(int8, run_int8(int8, x)).any()


@pytest.mark.parametrize("kind", [g.Add, g.Mul])
def test_operands_of_very_different_size(kind: type[g.Add | g.Mul]) -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("y", (1, 4))
    b.append(kind(["x", b.constant("c", np.full(4, 1e-12, np.float32))], "y"))
    x = random.uniform(-1e9, 1e9, (16, 1, 4)).astype(np.float32)
    graph = b.finish(["x"], ["y"])
    int8 = quantize(graph, x)
    expected = run_float(graph, {"x": x})["y"]
    assert np.abs(real(int8, run_int8(int8, x)) - expected).max() <= 0.02 * np.abs(expected).max()


def test_a_sum_that_cancels() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("minus", (1, 4)), b.tensor("y", (1, 4))
    b.append(g.Mul(["x", b.constant("c", np.full(1, -1, np.float32))], "minus"))
    b.append(g.Add(["x", "minus"], "y"))
    x = random.uniform(-1e9, 1e9, (16, 1, 4)).astype(np.float32)
    int8 = quantize(b.finish(["x"], ["y"]), x)
    assert np.abs(real(int8, run_int8(int8, x))).max() <= 0.01 * np.abs(x).max()


@pytest.mark.parametrize("kind", [g.Softmax, g.Logistic])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e5])
def test_softmax_and_logistic_of_any_range(kind: type[g.Softmax | g.Logistic], size: float) -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("y", (1, 4))
    b.append(kind(["x"], "y"))
    x = (random.uniform(-1, 1, (32, 1, 4)) * size).astype(np.float32)
    graph = b.finish(["x"], ["y"])
    int8 = quantize(graph, x)
    error = np.abs(real(int8, run_int8(int8, x)) - run_float(graph, {"x": x})["y"])
    # The largest and the next of four numbers may be half a level of the input apart
    assert np.median(error) < 0.02
    if kind is g.Logistic and size == 1e5:
        assert parameters(int8, "x")[0] <= np.float32(16 / 255)  # beyond +-8 the output does not change


def test_average_over_the_whole_image_gets_a_scale_of_its_own() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 8, 8, 2)), b.tensor("y", (1, 1, 1, 2))
    b.append(g.AveragePool2D(["x"], "y", kernel=(8, 8), stride=(8, 8)))
    graph = b.finish(["x"], ["y"])
    int8 = quantize(graph, SAMPLES)
    assert [operator.kind for operator in int8.operators] == ["MEAN"]
    assert parameters(int8, "y")[0] < parameters(int8, "x")[0] / 3
    error = real(int8, run_int8(int8, SAMPLES)) - run_float(graph, {"x": SAMPLES})["y"]
    assert np.abs(error).max() <= 2.5 * parameters(int8, "y")[0]
    np.testing.assert_array_equal(run_int8(int8, SAMPLES), run_tflm(int8, SAMPLES))


def test_bias_correction_takes_the_mean_error_away() -> None:
    weights = random.normal(size=(16, 64)).astype(np.float32)
    weights[:, 0] = 40.0  # large, so that the others are rounded coarsely
    graph = dense(weights, np.zeros(16))
    x = random.uniform(0, 1, (200, 1, 64)).astype(np.float32) + np.float32(0.5)
    x[..., 0] *= 0.01
    expected = run_float(graph, {"x": x})["y"]

    def mean_error(corrected: bool) -> float:
        int8 = quantize(graph, x, "minmax", bias_correction=corrected)
        return float(np.abs((real(int8, run_int8(int8, x)) - expected).mean(axis=0)).mean())

    assert mean_error(True) < 0.2 * mean_error(False)


def test_weights_shared_by_two_operators() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("h", (1, 4)), b.tensor("y", (1, 4))
    w = b.weights("w", (4, 4), 0)
    b.append(g.FullyConnected(["x"], "h", weights=w, activation=RELU))
    b.append(g.FullyConnected(["h"], "y", weights=w))
    graph = b.finish(["x"], ["y"])
    x = random.normal(size=(32, 1, 4)).astype(np.float32)
    int8 = quantize(graph, x)
    expected = run_float(graph, {"x": x})["y"]
    assert np.abs(real(int8, run_int8(int8, x)) - expected).max() < 0.05 * np.abs(expected).max()


def test_progress_ends_at_the_total() -> None:
    calls: list[tuple[str, int, int]] = []
    quantize(mixed_graph(), SAMPLES[:7], progress=lambda *call: calls.append(call))
    last = {stage: (done, total) for stage, done, total in calls}
    assert list(last) == ["ranges", "histograms", "biases"]
    assert all(done == total for done, total in last.values())


# Refusals


def test_int8_model_is_refused() -> None:
    int8 = quantize(mixed_graph(), SAMPLES[:4])
    int8.name = "net"
    with pytest.raises(ModelError, match="net is int8 already; quantisation takes a float32 model"):
        quantize(int8, SAMPLES[:4])


def test_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="unknown calibration method 'best'; there are: minmax, "):
        quantize(mixed_graph(), SAMPLES[:4], "best")


def test_wrong_samples_are_refused() -> None:
    with pytest.raises(InputError, match=r"must have shape \[N, 8, 8, 2\] with N at least 1, they have \[4, 8, 8\]"):
        quantize(mixed_graph(), SAMPLES[:4, 0, :, :, 0])


def test_undefined_weights_are_refused() -> None:
    with pytest.raises(ModelError, match="operator 0 FULLY_CONNECTED: constant 'w' holds numbers that are not finite"):
        quantize(dense([[np.nan, 1]]), np.ones((3, 2), np.float32))


def test_concatenation_with_activation_is_refused() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("y", (1, 8))
    b.append(g.Concatenation(["x", "x"], "y", axis=1, activation=RELU6))
    with pytest.raises(ModelError, match=r"operator 0 CONCATENATION: a fused activation \(RELU6\) cannot be quantised"):
        quantize(b.finish(["x"], ["y"]), np.ones((3, 4), np.float32))


def test_conversion_in_the_middle_is_refused() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4)), b.tensor("h", (1, 4)), b.tensor("y", (1, 4))
    b.append(g.Relu(["x"], "h"))
    b.append(g.Dequantize(["h"], "y"))
    b.graph.tensors["y"].shape = (1, 4)
    b.tensor("z", (1, 4))
    b.append(g.Relu(["y"], "z"))
    with pytest.raises(ModelError, match="operator 1 DEQUANTIZE: cannot be quantised"):
        quantize(b.finish(["x"], ["z"]), np.ones((3, 4), np.float32))


def test_scale_covers_the_range_and_zero_is_exact() -> None:
    for low, high in [(-1.0, 3.0), (0.0, 6.0), (-2.0, 0.0), (-1e-30, 1e-30), (-0.001, 50.0)]:
        scale, zero_point = scale_for(low, high)
        assert -128 <= zero_point <= 127
        assert (-128 - zero_point) * scale <= low + 0.51 * scale and (127 - zero_point) * scale >= high - 0.51 * scale
    assert scale_for(0.0, 0.0) == (1.0, 0)


def test_products_of_scales_are_exact_in_single_precision() -> None:
    for first, second in random.uniform(1e-6, 10, (100, 2)):
        scales = short_scale(first), short_scale(second)
        assert first <= scales[0] <= first * (1 + 2**-11)
        assert float(np.float32(scales[0]) * np.float32(scales[1])) == scales[0] * scales[1]


# Real models against MLPerf Tiny's own int8 files


@pytest.mark.parametrize(
    ("model", "calibration", "evaluation"), [("kws", 100, 50), ("vww", 25, 8), ("ic", 25, 15), ("ad", 96, 32)]
)
def test_agrees_with_the_float_model_better_than_mlperf(
    model: str, calibration: int, evaluation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both directions: each half of the data once for calibration and once for evaluation."""
    monkeypatch.syspath_prepend(str(ROOT))
    benchmark = pytest.importorskip("benchmarks.quantization", reason="the folder benchmarks is not here")
    ours_path, theirs_path = map(model_path, benchmark.FILES[model])
    if not (FOLDER / "vww200.npz").exists():
        pytest.skip(f"the images vww200.npz are not here (looked in {FOLDER}; set SMIDGEN_MODELS)")
    graph, theirs = read_tflite(ours_path), simplify(read_tflite(theirs_path))
    expected, outputs = [], []
    for seen, unseen in benchmark.halves(benchmark.LOADERS[model](FOLDER), evaluation):
        ours = quantize(graph, seen[:: len(seen) // calibration])
        expected.append(benchmark.float_network(graph)(unseen))
        outputs.append([benchmark.int8_network(int8)(unseen) for int8 in (ours, theirs)])
        actual = run_tflm(ours, unseen[:3].reshape(3, -1)).reshape(3, -1)
        np.testing.assert_allclose(real(ours, actual), outputs[-1][0][:3], rtol=1e-6)
    target = np.concatenate(expected)
    ours, theirs = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    assert np.square(ours - target).mean() <= np.square(theirs - target).mean()
    if model not in benchmark.RECONSTRUCTING:
        same = [(real_outputs.argmax(axis=1) == target.argmax(axis=1)).mean() for real_outputs in (ours, theirs)]
        assert same[0] >= same[1] and same[0] >= 0.9
