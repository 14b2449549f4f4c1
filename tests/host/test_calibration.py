"""Calibration data and the ranges chosen from them: what is accepted, what is refused and with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.quantize import Calibration, as_calibration, load_calibration
from smidgen.quantize.ranges import Observation, observe

random = np.random.default_rng(5)


def image_graph() -> g.Graph:
    b = GraphBuilder(np.float32)
    b.tensor("image", (1, 4, 3, 1)), b.tensor("y", (1, 4, 3, 1))
    b.append(g.Relu(["image"], "y"))
    return b.finish(["image"], ["y"])


def two_inputs() -> g.Graph:
    b = GraphBuilder(np.float32)
    b.tensor("a", (1, 4)), b.tensor("b", (1, 4)), b.tensor("y", (1, 4))
    b.append(g.Add(["a", "b"], "y"))
    return b.finish(["a", "b"], ["y"])


SAMPLES = random.normal(size=(5, 4, 3, 1)).astype(np.float32)


@pytest.mark.parametrize("shape", [(5, 4, 3, 1), (5, 1, 4, 3, 1), (5, 4, 3)])
def test_npy_with_and_without_dimensions_of_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "data.npy", SAMPLES.reshape(shape))
    loaded = load_calibration(tmp_path / "data.npy", image_graph())
    assert loaded.samples == 5
    np.testing.assert_array_equal(loaded.inputs["image"], SAMPLES[:, None])


@pytest.mark.parametrize("key", ["image", "input", "x", "data", "anything"])
def test_npz_array_is_found_beside_labels(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "data.npz", labels=np.arange(5), names=np.array(["one"] * 5), **{key: SAMPLES})
    np.testing.assert_array_equal(
        load_calibration(tmp_path / "data.npz", image_graph()).inputs["image"], SAMPLES[:, None]
    )


def test_the_name_of_the_input_comes_first() -> None:
    chosen = as_calibration({"x": SAMPLES, "image": SAMPLES + 1}, image_graph())
    np.testing.assert_array_equal(chosen.inputs["image"], SAMPLES[:, None] + 1)


def test_several_inputs_by_name(tmp_path: Path) -> None:
    a, b = random.normal(size=(2, 6, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", b=b, a=a)
    loaded = load_calibration(tmp_path / "data.npz", two_inputs()).inputs
    np.testing.assert_array_equal(loaded["a"], a[:, None])
    np.testing.assert_array_equal(loaded["b"], b[:, None])


def test_integers_need_to_be_told_what_they_are_worth() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(5, 4, 3, 1)
    with pytest.raises(InputError, match=r"pixels.npy: input 'image' is uint8, 0 to 59, .*--calibration-scale 1 if"):
        as_calibration(pixels, image_graph(), label="pixels.npy")
    loaded = as_calibration(pixels, image_graph(), scale=1)
    np.testing.assert_array_equal(loaded.inputs["image"], pixels[:, None].astype(np.float32))


def test_scale_and_offset() -> None:
    loaded = as_calibration(np.full((1, 4, 3, 1), 100, np.uint8), image_graph(), scale=0.5, offset=-10)
    assert np.all(loaded.inputs["image"] == 40.0)


def test_taken_is_spread_over_all_samples() -> None:
    data = as_calibration(np.arange(100, dtype=np.float32).repeat(12).reshape(100, 4, 3, 1), image_graph())
    assert data.taken(3).inputs["image"][:, 0, 0, 0, 0].tolist() == [0.0, 50.0, 99.0]
    assert data.taken(100) is data


def refused(words: str, path: Path, graph: g.Graph | None = None) -> None:
    with pytest.raises(InputError, match=words):
        load_calibration(path, graph or image_graph())


def test_refusals_of_files(tmp_path: Path) -> None:
    refused("cannot read .*missing.npy: No such file", tmp_path / "missing.npy")
    for name in ("junk.npy", "junk.npz", "empty.npy"):
        (tmp_path / name).write_bytes(b"" if "empty" in name else b"these are no arrays")
        refused(f"{name} is not a NumPy file of plain arrays", tmp_path / name)
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object), allow_pickle=True)
    refused("objects.npy is not a NumPy file .*it holds Python objects", tmp_path / "objects.npy")
    np.save(tmp_path / "a.npy", np.zeros((3, 4), np.float32))
    refused(r"the model has 2 inputs \('a', 'b'\); give a .npz", tmp_path / "a.npy", two_inputs())


def test_refusals_of_arrays() -> None:
    def message(arrays: object, graph: g.Graph | None = None) -> str:
        with pytest.raises(InputError) as caught:
            as_calibration(arrays, graph or image_graph(), label="data")  # type: ignore[arg-type]
        return str(caught.value)

    assert "must have shape [N, 4, 3, 1] with N at least 1, they have [5, 3, 4, 1]" in message(np.zeros((5, 3, 4, 1)))
    assert "they have [0, 4, 3, 1]" in message(np.zeros((0, 4, 3, 1)))
    assert "they have [4, 3, 1]" in message(np.zeros((4, 3, 1)))
    assert "must be numbers, they are <U1" in message(np.full((5, 4, 3, 1), "a"))
    broken = SAMPLES.copy()
    broken[3, 0], broken[4, 0, 0] = np.nan, np.inf
    assert "hold 4 numbers that are not finite, the first in sample 3" in message(broken)
    none = message({"specs": np.zeros((5, 7)), "labels": np.zeros(5)})
    assert "no array fits input 'image' of shape [1, 4, 3, 1]; there is: specs [5, 7], labels [5]" in none
    assert "2 arrays fit" in message({"train": SAMPLES, "test": SAMPLES})
    assert "no array fits input 'b' of shape [1, 4]" in message({"a": np.zeros((5, 4))}, two_inputs())
    counts = message({"a": np.zeros((5, 4)), "b": np.zeros((6, 4))}, two_inputs())
    assert "different numbers of samples: {'a': 5, 'b': 6}" in counts


# Ranges


def observation(values: g.Array) -> Observation:
    seen = Observation()
    for part in np.array_split(values.astype(np.float32), 3):
        seen.see_range(part)
    for part in np.array_split(values.astype(np.float32), 3):
        seen.see_values(part)
    return seen


def test_minmax_includes_zero() -> None:
    assert observation(np.array([2.0, 3.0, 5.0])).range("minmax") == (0.0, 5.0)
    assert observation(np.array([-4.0, -3.0, -1.0])).range("minmax") == (-4.0, 0.0)


@pytest.mark.parametrize("percent", [99.0, 99.9])
def test_percentile_is_that_of_numpy(percent: float) -> None:
    values = random.normal(size=200_000)
    low, high = observation(values).range(f"percentile-{percent}")
    expected = np.percentile(values, [100 - percent, percent])
    np.testing.assert_allclose([low, high], expected, atol=0.02)


def test_least_squares_finds_the_best_limit() -> None:
    values = np.concatenate((np.abs(random.normal(size=400_000)), [12.0]))

    def error(limit: float) -> float:
        scale = limit / 255
        return float(np.mean((np.clip(np.rint(values / scale), 0, 255) * scale - values) ** 2))

    low, high = observation(values).range("mse")
    assert low == 0.0 and high < 9
    assert error(high) < 1.02 * min(error(limit) for limit in np.linspace(3, 12, 91))


def test_least_squares_of_both_sides() -> None:
    values = np.concatenate((random.normal(size=400_000), [-12.0, 8.0]))
    low, high = observation(values).range("mse")
    assert -9 < low < -4 and 4 < high < 7.5


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile-99.9"])
@pytest.mark.parametrize("value", [0.0, -2.0, 3.0])
def test_constant_tensor(method: str, value: float) -> None:
    assert observation(np.full(100, value)).range(method) == (min(value, 0.0), max(value, 0.0))


def test_observe_reports_progress_and_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.quantize.ranges.CHUNK_ELEMENTS", 48)  # two samples at once
    calls: list[tuple[str, int, int]] = []
    seen = observe(image_graph(), as_calibration(SAMPLES, image_graph()), lambda *call: calls.append(call))
    assert calls == [(stage, done, 5) for stage in ("ranges", "histograms") for done in (2, 4, 5)]
    assert (seen["image"].low, seen["image"].high) == (SAMPLES.min(), SAMPLES.max())
    assert seen["y"].counts is not None
    assert seen["y"].counts.sum() == (SAMPLES > 0).sum() and seen["y"].zeros == (SAMPLES <= 0).sum()


def test_overflow_in_the_float_model_is_named() -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 2)), b.tensor("y", (1, 2))
    b.append(g.Mul(["x", "x"], "y"))
    graph = b.finish(["x"], ["y"])
    with (
        pytest.raises(ModelError, match="operator 0 MUL: the float model computes infinite"),
        np.errstate(all="ignore"),
    ):
        observe(graph, Calibration({"x": np.full((1, 1, 2), 1e30, np.float32)}))
