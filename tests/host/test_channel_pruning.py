"""Whole channels taken out of quantised graphs, as the benchmark of sparsity does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.channel_pruning import has_inner_channels, prune_channels
from benchmarks.models import OWN, model_graph

from smidgen import graph as g
from smidgen.blob.reader import read_blob
from smidgen.network import Kind, WeightedOperator
from smidgen.packer import pack_graph


def residual_graph() -> g.Graph:
    """Convolutions a, b, c, the depthwise layer between b and c, a + c, a pool and a dense layer."""
    random = np.random.default_rng(3)
    graph = g.Graph(name="residual", inputs=["x"], outputs=["y"])

    def activation(name: str, *shape: int) -> str:
        return graph.add(g.Tensor(name, (1, *shape), np.dtype(np.int8), g.Quantization.per_tensor(0.05, -128))).name

    def weights(name: str, *shape: int, channels: int, axis: int = 0) -> dict[str, str]:
        scales = np.full(channels, 0.004, np.float32)
        zeros = np.zeros(channels, np.int32)
        values = random.integers(-127, 128, shape).astype(np.int8)
        bias = random.integers(100, 900, channels).astype(np.int32)
        quantizations = g.Quantization(scales, zeros, axis), g.Quantization(scales * np.float32(0.05), zeros, 0)
        graph.add(g.Tensor(f"{name}.w", shape, values.dtype, quantizations[0], values))
        graph.add(g.Tensor(f"{name}.b", (channels,), bias.dtype, quantizations[1], bias))
        return {"weights": f"{name}.w", "bias": f"{name}.b"}

    picture = activation("x", 6, 6, 3)
    relu = {"activation": g.Activation.RELU}
    one = g.Padding(1, 1, 1, 1)
    graph.operators += [
        g.Conv2D([picture], activation("a", 6, 6, 16), **weights("a", 16, 1, 1, 3, channels=16), **relu),
        g.Conv2D(["a"], activation("b", 6, 6, 24), **weights("b", 24, 1, 1, 16, channels=24), **relu),
        g.DepthwiseConv2D(
            ["b"], activation("d", 6, 6, 24), padding=one, **weights("d", 1, 3, 3, 24, channels=24, axis=3), **relu
        ),
        g.Conv2D(["d"], activation("c", 6, 6, 16), **weights("c", 16, 1, 1, 24, channels=16), **relu),
        g.Add(["a", "c"], activation("s", 6, 6, 16)),
        g.Mean(["s"], activation("m", 16)),
        g.FullyConnected(["m"], activation("y", 4), **weights("y", 4, 16, channels=4)),
    ]  # fmt: skip
    return graph


def rows(graph: g.Graph, name: str) -> np.ndarray:
    data = graph.tensors[name].data
    assert data is not None
    return np.asarray((data.reshape(len(data), -1) != 0).any(axis=1))


def test_what_is_added_up_loses_the_same_channels() -> None:
    graph = prune_channels(residual_graph(), 0.5)
    summed, middle = rows(graph, "a.w"), rows(graph, "b.w")
    assert 0 < summed.sum() < 16 and 0 < middle.sum() < 24
    np.testing.assert_array_equal(rows(graph, "c.w"), summed)
    np.testing.assert_array_equal(rows(graph, "a.b"), summed)
    data = {name: tensor.data for name, tensor in graph.tensors.items() if tensor.data is not None}
    np.testing.assert_array_equal((data["d.w"] != 0).any(axis=(0, 1, 2)), middle)
    np.testing.assert_array_equal((data["c.w"] != 0).any(axis=(0, 1, 2)), middle)
    np.testing.assert_array_equal((data["y.w"] != 0).any(axis=0), summed)
    assert rows(graph, "y.w").all()
    operators = read_blob(pack_graph(graph)).network.operators
    channels = [operator.channels for operator in operators if isinstance(operator, WeightedOperator)]
    assert channels == [summed.sum(), middle.sum(), middle.sum(), summed.sum(), 4]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_share_of_zeros(share: float) -> None:
    """At least as many as asked for, and no more than one channel of each layer needs."""
    before = model_graph(OWN)
    after = model_graph(OWN)
    assert before is not None and after is not None and has_inner_channels(after)
    prune_channels(after, share)
    mixing = [operator.weights for operator in after.operators if isinstance(operator, g.Conv2D | g.FullyConnected)]
    counts = [
        sum(int(np.count_nonzero(graph.tensors[name].data)) for name in mixing) for graph in (before, after)
    ]  # fmt: skip
    gone = 1 - counts[1] / counts[0]
    assert share <= gone <= share + 0.08
    network = read_blob(pack_graph(after)).network
    stored = sum(
        operator.weights.size
        for operator in network.operators
        if isinstance(operator, WeightedOperator) and operator.kind != Kind.DEPTHWISE_CONV_2D
    )
    assert stored <= (1 - share) * sum(after.tensors[name].data.size for name in mixing)


def test_a_single_layer_has_none() -> None:
    graph = residual_graph()
    graph.operators, graph.outputs = graph.operators[:1], ["a"]
    assert not has_inner_channels(graph)
