"""Each pass does its one thing, leaves what it must leave, and keeps results equal."""

from __future__ import annotations

import numpy as np
import pytest
from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen.errors import ModelError
from smidgen.lower import lower
from smidgen.passes import simplify
from smidgen.passes.boundary import remove_boundary_quantization
from smidgen.passes.fold_activation import fold_activation
from smidgen.passes.fold_batch_norm import fold_batch_norm
from smidgen.passes.fold_pad import fold_pad
from smidgen.passes.reshape import remove_reshapes
from smidgen.reference import run_network
from smidgen.reference.float_executor import run_float


def _kinds(graph: g.Graph) -> list[str]:
    return [operator.kind for operator in graph.operators]


def _padded_convolution(paddings: tuple[tuple[int, int], ...], kernel: int = 3, zero_point: int = -7) -> g.Graph:
    b = GraphBuilder()
    b.tensor("x", (1, 5, 4, 2), 0.1, zero_point)
    shape = [size + sum(pad) for size, pad in zip((1, 5, 4, 2), paddings, strict=True)]
    b.tensor("padded", shape, 0.1, zero_point)
    b.tensor("y", (1, shape[1] - kernel + 1, shape[2] - kernel + 1, 3), 0.3, 4)
    b.append(g.Pad(["x"], "padded", paddings=paddings))
    b.append(g.Conv2D(["padded"], "y", weights=b.weights("w", (3, kernel, kernel, shape[3]), 0)))
    return b.finish(["x"], ["y"])


def test_pad_is_folded_into_the_convolution_without_a_change_of_results() -> None:
    paddings = ((0, 0), (1, 2), (2, 0), (0, 0))
    folded, kept = _padded_convolution(paddings), _padded_convolution(paddings)
    fold_pad(folded)
    assert _kinds(folded) == ["CONV_2D"]
    operator = folded.operators[0]
    assert isinstance(operator, g.Conv2D)
    assert operator.padding == g.Padding(1, 2, 2, 0)
    sample = np.random.default_rng(0).integers(-128, 128, (1, 5, 4, 2)).astype(np.int8)
    np.testing.assert_array_equal(run_network(lower(folded), [sample])[0], run_network(lower(kept), [sample])[0])


@pytest.mark.parametrize("paddings", [((0, 0), (3, 0), (0, 0), (0, 0)), ((0, 0), (1, 1), (1, 1), (0, 1))])
def test_pad_stays_where_the_window_cannot_hold_it(paddings: tuple[tuple[int, int], ...]) -> None:
    graph = _padded_convolution(paddings)
    fold_pad(graph)
    assert _kinds(graph) == ["PAD", "CONV_2D"]


def _relu_after_convolution(relu_scale: float, dtype: type = np.int8) -> g.Graph:
    b = GraphBuilder(dtype)
    b.tensor("x", (1, 4, 4, 2))
    b.tensor("y", (1, 4, 4, 3), 0.1, -5)
    b.tensor("z", (1, 4, 4, 3), relu_scale, -5)
    b.append(g.Conv2D(["x"], "y", weights=b.weights("w", (3, 1, 1, 2), 0)))
    b.append(g.Relu6(["y"], "z"))
    return b.finish(["x"], ["z"])


def test_activation_is_folded_where_both_sides_mean_the_same() -> None:
    folded, kept = _relu_after_convolution(0.1), _relu_after_convolution(0.1)
    fold_activation(folded)
    assert _kinds(folded) == ["CONV_2D"]
    sample = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 2)).astype(np.int8)
    np.testing.assert_array_equal(run_network(lower(folded), [sample])[0], run_network(lower(kept), [sample])[0])


def test_activation_that_rescales_stays() -> None:
    graph = _relu_after_convolution(0.05)
    fold_activation(graph)
    assert _kinds(graph) == ["CONV_2D", "RELU6"]


@pytest.mark.parametrize("channels_last", [False, True])
def test_batch_norm_is_folded_into_float_weights(channels_last: bool) -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 4, 4, 3))
    for name in ("a", "b", "y"):
        b.tensor(name, (1, 4, 4, 3))
    if channels_last:
        b.append(g.DepthwiseConv2D(["x"], "a", weights=b.weights("w", (1, 1, 1, 3), 3)))
    else:
        b.append(
            g.Conv2D(
                ["x"], "a", weights=b.weights("w", (3, 1, 1, 3), 0), bias=b.constant("bias", np.float32([1, 2, 3]))
            )
        )
    b.append(g.Mul(["a", b.constant("gamma", np.float32([0.5, 2, -1]))], "b"))
    b.append(g.Add(["b", b.constant("beta", np.float32([1, -2, 3]))], "y", activation=g.Activation.RELU))
    graph = b.finish(["x"], ["y"])
    sample = {"x": np.random.default_rng(0).normal(size=(5, 1, 4, 4, 3)).astype(np.float32)}
    expected = run_float(graph, sample)["y"]
    fold_batch_norm(graph)
    assert len(graph.operators) == 1
    assert np.any(expected > 0)
    np.testing.assert_allclose(run_float(graph, sample)["y"], expected, rtol=1e-5, atol=1e-6)


def test_reshape_between_a_pool_and_a_dense_layer_disappears() -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 2, 2, 6))
    b.tensor("pooled", (1, 1, 1, 6))
    b.tensor("flat", (1, 6))
    b.tensor("y", (1, 4))
    b.append(g.AveragePool2D(["x"], "pooled", kernel=(2, 2), stride=(2, 2)))
    b.append(g.Reshape(["pooled"], "flat"))
    b.append(g.FullyConnected(["flat"], "y", weights=b.weights("w", (4, 6), 0)))
    graph = b.finish(["x"], ["y"])
    remove_reshapes(graph)
    assert _kinds(graph) == ["AVERAGE_POOL_2D", "FULLY_CONNECTED"]


def test_reshape_between_two_convolutions_becomes_a_copy() -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 4, 4, 2))
    b.tensor("a", (1, 4, 4, 2))
    b.tensor("b", (1, 8, 2, 2))
    b.tensor("y", (1, 7, 1, 2))
    b.append(g.Conv2D(["x"], "a", weights=b.weights("w", (2, 1, 1, 2), 0)))
    b.append(g.Reshape(["a"], "b"))
    b.append(g.Conv2D(["b"], "y", weights=b.weights("v", (2, 2, 2, 2), 0)))
    graph = simplify(b.finish(["x"], ["y"]))
    network = lower(graph)
    assert [operator.kind.name for operator in network.operators] == ["CONV_2D", "COPY", "CONV_2D"]


def test_conversions_at_the_edges_disappear() -> None:
    b = GraphBuilder()
    b.tensor("real", (1, 4), dtype=np.float32)
    b.tensor("x", (1, 4), 0.1, 3)
    b.tensor("y", (1, 2), 0.2, 1)
    b.tensor("result", (1, 2), dtype=np.float32)
    b.append(g.Quantize(["real"], "x"))
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (2, 4), 0)))
    b.append(g.Dequantize(["y"], "result"))
    graph = b.finish(["real"], ["result"])
    remove_boundary_quantization(graph)
    graph.prune()
    assert (graph.inputs, graph.outputs, _kinds(graph)) == (["x"], ["y"], ["FULLY_CONNECTED"])


def test_uint8_input_is_accepted_only_when_it_is_int8_plus_128() -> None:
    for zero_point, accepted in ((131, True), (130, False)):
        b = GraphBuilder()
        b.tensor("pixels", (1, 4), 0.1, zero_point, np.uint8)
        b.tensor("x", (1, 4), 0.1, 3)
        b.tensor("y", (1, 2), 0.2, 1)
        b.append(g.Quantize(["pixels"], "x"))
        b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (2, 4), 0)))
        graph = b.finish(["pixels"], ["y"])
        if accepted:
            remove_boundary_quantization(graph)
            assert graph.metadata["uint8_tensors"] == ["x"]
        else:
            with pytest.raises(ModelError, match="do not mean the same numbers"):
                remove_boundary_quantization(graph)


def test_relu_stays_where_the_shape_changes_between_it_and_the_operator() -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 1, 2, 1), 0.1, -128)
    b.tensor("y", (1, 1, 2, 1), 0.1, -128)
    b.tensor("reshaped", (1, 2, 1, 1), 0.1, -128)
    b.tensor("z", (1, 2, 1, 1), 0.1, -128)
    b.append(g.AveragePool2D(["x"], "y", kernel=(1, 1)))
    b.append(g.Reshape(["y"], "reshaped"))
    b.append(g.Relu6(["reshaped"], "z"))
    graph = simplify(simplify(b.finish(["x"], ["z"])))
    assert _kinds(graph) == ["AVERAGE_POOL_2D", "RELU6"]
    sample = np.array([-128, 127], np.int8).reshape(1, 1, 2, 1)
    assert run_network(lower(graph), [sample])[0].reshape(-1).tolist() == [-128, -68]
