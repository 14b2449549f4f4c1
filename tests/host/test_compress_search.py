"""Compression to a target: what is promised is kept, the same seed gives the same network, errors are clear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graph_builder import GraphBuilder

from models import model_path
from smidgen import graph as g
from smidgen.compress import Compression, Kind, Samples, Target, compress, load_samples, plot_curve
from smidgen.compress import sensitivity as sensitivity_module
from smidgen.compress.batch import run_batch
from smidgen.compress.quality import Judge
from smidgen.compression import BlobSize
from smidgen.demo import recordings
from smidgen.demo.run import float_model
from smidgen.errors import InputError
from smidgen.formats.tflite_reader import read_tflite
from smidgen.lower import lower
from smidgen.network import Network, WeightedOperator
from smidgen.packer import pack_graph
from smidgen.passes import simplify
from smidgen.plan.optimize import Goal
from smidgen.quantize import quantize
from smidgen.reference.float_executor import run_float
from smidgen.samples import prepare

random = np.random.default_rng(8)
INPUTS = random.normal(size=(64, 1, 8, 8, 2)).astype(np.float32)
SIZE = BlobSize([], {}, keep_channels=False)


def classifier() -> g.Graph:
    """A float network [1, 8, 8, 2] -> [1, 4] with a layer of each kind, that ends in SOFTMAX."""
    b = GraphBuilder(np.float32)
    shapes = {"x": (1, 8, 8, 2), "a": (1, 8, 8, 12), "b": (1, 4, 4, 12), "c": (1, 4, 4, 20)}
    for name, shape in {**shapes, "m": (1, 20), "l": (1, 4), "y": (1, 4)}.items():
        b.tensor(name, shape)
    relu = g.Activation.RELU
    b.append(g.Conv2D(["x"], "a", weights=b.weights("w0", (12, 3, 3, 2), 0), padding=g.Padding(1, 1, 1, 1),
                      activation=relu))  # fmt: skip
    b.append(g.DepthwiseConv2D(["a"], "b", weights=b.weights("w1", (1, 3, 3, 12), 3), stride=(2, 2),
                               padding=g.Padding(0, 1, 0, 1), activation=relu))  # fmt: skip
    b.append(g.Conv2D(["b"], "c", weights=b.weights("w2", (20, 1, 1, 12), 0), activation=relu))
    b.append(g.Mean(["c"], "m"))
    b.append(
        g.FullyConnected(["m"], "l", weights=b.weights("w3", (4, 20), 0), bias=b.constant("b3", np.zeros(4, "f4")))
    )
    b.append(g.Softmax(["l"], "y", beta=0.2))
    graph = b.finish(["x"], ["y"])
    graph.outputs = ["l"]  # the bias that makes all classes as frequent
    graph.constant("b3")[:] = -run_float(graph, {"x": INPUTS})["l"].reshape(64, 4).mean(axis=0)
    graph.outputs = ["y"]
    return graph


@pytest.fixture(scope="module")
def graph() -> g.Graph:
    return quantize(classifier(), INPUTS)


@pytest.fixture(scope="module")
def network(graph: g.Graph) -> Network:
    return lower(graph)


@pytest.fixture(scope="module")
def samples(network: Network) -> Samples:
    inputs = prepare(INPUTS, network, 0)
    return Samples([inputs], run_batch(network, [inputs])[network.outputs[0]].reshape(64, 4).argmax(axis=1))


def found(network: Network, samples: Samples, kind: Kind, limit: float, jobs: int = 1, seed: int = 0) -> Compression:
    return compress(network, samples, Target(kind, limit), SIZE, jobs=jobs, seed=seed)


@pytest.fixture(scope="module")
def with_five_bits(network: Network, samples: Samples) -> Compression:
    return found(network, samples, Kind.BITS_PER_WEIGHT, 5)


@pytest.fixture(scope="module")
def with_six_bits(network: Network, samples: Samples) -> Compression:
    return found(network, samples, Kind.BITS_PER_WEIGHT, 6)


def weights_of(network: Network) -> list[np.ndarray]:
    return [operator.weights for operator in network.operators if isinstance(operator, WeightedOperator)]


def test_a_blob_is_no_larger_than_asked_for(network: Network, samples: Samples) -> None:
    whole = SIZE(network)
    result = found(network, samples, Kind.BLOB_BYTES, 0.85 * whole.blob_bytes)
    assert SIZE(result.network) == result.chosen.size
    assert 0.7 * whole.blob_bytes < result.chosen.size.blob_bytes <= 0.85 * whole.blob_bytes
    assert result.chosen.quality.agreement is not None and result.chosen.quality.agreement > 0.8
    assert [point.price for point in result.curve] == sorted(point.price for point in result.curve)
    met = [point for point in result.curve if point.size.blob_bytes <= 0.85 * whole.blob_bytes]
    assert result.chosen.quality.divergence == min(point.quality.divergence for point in met)


def test_bits_per_weight(with_six_bits: Compression) -> None:
    assert 5 < SIZE(with_six_bits.network).bits_per_weight <= 6


def test_a_loss_that_is_allowed_is_used(network: Network, samples: Samples) -> None:
    result = found(network, Samples(samples.inputs), Kind.LOSS, 0.0)
    assert result.chosen.loss <= 0 and result.loss_name.startswith("agreement")
    assert result.chosen.size.blob_bytes == min(point.size.blob_bytes for point in result.curve if point.loss <= 0)
    assert any(point.loss > 0 for point in result.curve)


def test_labels_make_it_a_loss_of_accuracy(network: Network, samples: Samples) -> None:
    assert samples.labels is not None
    wrong = Samples(samples.inputs, (samples.labels + 1) % 4)
    result = found(network, wrong, Kind.LOSS, 0.0)
    assert result.loss_name == "accuracy"
    assert result.curve[0].quality.accuracy == 0
    assert result.chosen.size.blob_bytes == min(point.size.blob_bytes for point in result.curve)  # none to lose


def test_what_is_small_enough_already_stays(network: Network, samples: Samples) -> None:
    result = found(network, samples, Kind.BLOB_BYTES, SIZE(network).blob_bytes)
    assert result.network is network and result.chosen.price == 0 and result.chosen.loss == 0


def test_a_target_out_of_reach_names_both_numbers(network: Network, samples: Samples) -> None:
    with pytest.raises(InputError, match=r"smallest blob found has [\d,]+ bytes, 300 were asked for"):
        found(network, samples, Kind.BLOB_BYTES, 300)
    with pytest.raises(InputError, match=r"least found is [\d.]+ bits per weight, 0.1 were asked for"):
        found(network, samples, Kind.BITS_PER_WEIGHT, 0.1)


def test_the_same_seed_gives_the_same_network(network: Network, samples: Samples, with_five_bits: Compression) -> None:
    first = with_five_bits
    second = found(network, samples, Kind.BITS_PER_WEIGHT, 5, jobs=2)
    assert first.curve == second.curve
    for one, other in zip(weights_of(first.network), weights_of(second.network), strict=True):
        np.testing.assert_array_equal(one, other)
    third = found(network, samples, Kind.BITS_PER_WEIGHT, 5, seed=1)
    pairs = zip(weights_of(first.network), weights_of(third.network), strict=True)
    assert any(not np.array_equal(one, other) for one, other in pairs)


def test_large_layers_share_their_moments(network: Network, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity_module, "_LARGEST_MOMENTS", 0)
    result = found(network, samples, Kind.BITS_PER_WEIGHT, 6)
    assert result.chosen.quality.agreement is not None and result.chosen.quality.agreement > 0.8


def test_channels_of_a_layer_share_a_multiplier(with_five_bits: Compression) -> None:
    for operator in with_five_bits.network.operators:
        if isinstance(operator, WeightedOperator):
            assert len(set(operator.multiplier.tolist())) == 1
            assert np.ptp(operator.shift) <= 2 or np.abs(operator.weights).max() == 127


def test_better_than_rounding_to_a_coarser_grid(
    network: Network, samples: Samples, with_five_bits: Compression
) -> None:
    """Multiples of 8 take about 5 bits; so does this, with much less divergence."""

    def coarse(operator: WeightedOperator) -> WeightedOperator:
        return replace(operator, weights=(np.rint(operator.weights / 8) * 8).clip(-128, 120).astype(np.int8))

    operators = [coarse(op) if isinstance(op, WeightedOperator) else op for op in network.operators]
    judge = Judge(network, samples.inputs)
    rounded = Network(network.tensors, operators, 1, 1)
    assert SIZE(rounded).bits_per_weight > 4.6
    assert judge.quality(with_five_bits.network).divergence < 0.7 * judge.quality(rounded).divergence


def test_too_few_samples(network: Network, samples: Samples) -> None:
    with pytest.raises(InputError, match=r"at least 8 calibration samples.*there are 5"):
        found(network, samples.taken(np.arange(5)), Kind.BITS_PER_WEIGHT, 5)


def test_a_network_of_motions_at_half_its_size() -> None:
    """Quantised and compressed with people that it was trained on, tested with others."""
    recordings.data_file()
    split = recordings.split_by_subject(recordings.load_recordings())
    windows, labels = recordings.cut_windows(split.train)
    int8 = quantize(simplify(float_model()), windows[::8][:, np.newaxis])
    network = lower(int8)
    samples = Samples([prepare(windows[::24], network, 0)], labels[::24])
    size = BlobSize([], {}, keep_channels=False)
    result = compress(network, samples, Target(Kind.BLOB_BYTES, 5800), size, jobs=1)
    test, truth = recordings.cut_windows(split.test)
    inputs = prepare(test[::4], network, 0)

    def accuracy(one: Network) -> float:
        outputs = run_batch(one, [inputs])[one.outputs[0]].reshape(len(inputs), -1)
        return float(np.mean(outputs.argmax(axis=1) == truth[::4]))

    assert size(network).blob_bytes > 9000 and result.chosen.size.blob_bytes <= 5800
    assert accuracy(result.network) > accuracy(network) - 0.02


def test_samples_are_real_numbers_or_what_the_network_takes(graph: g.Graph, network: Network, tmp_path: Path) -> None:
    inputs = prepare(INPUTS, network, 0)
    np.save(tmp_path / "int8.npy", inputs)
    np.savez(tmp_path / "real.npz", data=INPUTS)
    np.savez(tmp_path / "steps.npz", input=np.rint(INPUTS * 100).astype(np.int16))
    np.testing.assert_array_equal(load_samples(tmp_path / "int8.npy", graph).inputs[0], inputs)
    np.testing.assert_array_equal(load_samples(tmp_path / "real.npz", graph).inputs[0], inputs)
    scaled = load_samples(tmp_path / "steps.npz", graph, 0.01).inputs[0]
    assert np.abs(scaled.astype(int) - inputs).max() <= 1
    with pytest.raises(InputError, match="int16"):
        load_samples(tmp_path / "steps.npz", graph)


def test_samples_of_a_model_that_took_uint8(graph: g.Graph, network: Network, tmp_path: Path) -> None:
    inputs = prepare(INPUTS, network, 0)
    np.save(tmp_path / "uint8.npy", (inputs.astype(np.int16) + 128).astype(np.uint8))
    with pytest.raises(InputError, match="uint8"):
        load_samples(tmp_path / "uint8.npy", graph)
    edge = replace(graph, metadata={"uint8_tensors": ["x"]})
    np.testing.assert_array_equal(load_samples(tmp_path / "uint8.npy", edge).inputs[0], inputs)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(63, np.int64), "63 labels; there are 64 calibration samples"),
        (np.full(64, 4), "labels are 4 to 4; the output has 4 elements"),
        (np.full(64, 0.5), "whole numbers"),
    ],
)
def test_labels_that_do_not_fit(graph: g.Graph, tmp_path: Path, labels: np.ndarray, words: str) -> None:
    np.savez(tmp_path / "real.npz", data=INPUTS)
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(InputError, match=words):
        load_samples(tmp_path / "real.npz", graph, None, tmp_path / "labels.npy")


def test_the_curve_as_a_picture(with_six_bits: Compression, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no plots")
    plot_curve(with_six_bits, tmp_path / "curve.png", "a network")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="cannot write the plot"):
        plot_curve(with_six_bits, tmp_path / "nowhere" / "curve.png")


@pytest.mark.slow
def test_keywords_in_two_thirds_of_the_bytes() -> None:
    """Calibrated with one spoken word and noise, judged with another word."""
    path = model_path("kws_ref_model")
    quantization_inputs = pytest.importorskip("benchmarks.quantization_inputs")
    network = lower(simplify(read_tflite(path)))
    sounds = quantization_inputs.keyword_inputs(path.parents[1])
    calibration, others = prepare(sounds.calibration, network, 0), prepare(sounds.evaluation, network, 0)
    result = compress(network, Samples([calibration]), Target(Kind.BLOB_BYTES, 18_000), SIZE, jobs=1)
    assert result.chosen.size.blob_bytes <= 18_000
    before, after = (run_batch(one, [others])[one.outputs[0]] for one in (network, result.network))
    assert np.mean(before.argmax(axis=2) == after.argmax(axis=2)) >= 0.95


def test_an_unchanged_graph_packs_to_the_size_measured(graph: g.Graph, network: Network) -> None:
    size = BlobSize([], network.metadata, keep_channels=False)
    assert len(pack_graph(graph, optimize=Goal.SIZE)) == size(network).blob_bytes
