"""`smidgen pack` with a target: one JSON document, a curve on stderr, a plot, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli import INPUT, SUCCESS, USAGE, assert_refused, smidgen
from test_compress_search import INPUTS, classifier

from smidgen.blob.reader import read_blob_file
from smidgen.formats.tflite_writer import write_tflite
from smidgen.quantize import quantize
from smidgen.reference import run_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float model, an int8 model, samples, and the class of each."""
    path = tmp_path_factory.mktemp("compress")
    (path / "float.tflite").write_bytes(write_tflite(classifier()))
    (path / "int8.tflite").write_bytes(write_tflite(quantize(classifier(), INPUTS)))
    np.savez(path / "samples.npz", input=INPUTS)
    np.savez(path / "labels.npz", labels=np.arange(len(INPUTS)) % 4)
    return path


def pack(folder: Path, output: Path, *options: Any, model: str = "int8.tflite") -> Any:
    arguments = (folder / model, "-o", output, "--calibration", folder / "samples.npz", "--jobs", 1, *options)
    return smidgen("pack", *arguments)


def document(result: Any) -> dict[str, Any]:
    assert result.returncode == SUCCESS, result.stderr
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


@pytest.mark.parametrize("model", ["int8.tflite", "float.tflite"])
def test_a_blob_of_at_most_so_many_bytes(folder: Path, tmp_path: Path, model: str) -> None:
    output, plot = tmp_path / "small.smg", tmp_path / "curve.png"
    result = pack(folder, output, "--target-bytes", 1400, "--plot", plot, "--json", model=model)
    printed = document(result)
    assert output.stat().st_size == printed["blob_bytes"] == printed["compression"]["chosen"]["size"]["blob_bytes"]
    assert printed["blob_bytes"] <= 1400
    assert len(printed["compression"]["curve"]) > 8
    assert "chosen" in result.stderr and plot.read_bytes().startswith(b"\x89PNG")


def test_golden_vectors_are_those_of_the_compressed_network(folder: Path, tmp_path: Path) -> None:
    output, golden = tmp_path / "small.smg", tmp_path / "golden.npz"
    np.savez(golden, input=INPUTS[:3])
    document(pack(folder, output, "--bits-per-weight", "5", "--golden", golden, "--json"))
    blob = read_blob_file(output)
    assert len(blob.golden) == 2
    for vector in blob.golden:
        np.testing.assert_array_equal(run_network(blob.network, vector.inputs)[0], vector.outputs[0])
    assert smidgen("verify", output).returncode == SUCCESS


@pytest.mark.parametrize("percent", ["2", "2%"])
def test_a_loss_in_percent(folder: Path, tmp_path: Path, percent: str) -> None:
    labels = "--calibration-labels", folder / "labels.npz"
    printed = document(pack(folder, tmp_path / "small.smg", "--max-accuracy-loss", percent, *labels, "--json"))
    assert printed["compression"]["target"] == {"kind": "max-accuracy-loss", "limit": 0.02}
    assert printed["compression"]["loss"] == "accuracy"
    assert printed["compression"]["chosen"]["loss"] <= 0.02


def test_refusals(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "small.smg"
    both = "--target-bytes", 1400, "--bits-per-weight", 5
    assert_refused(pack(folder, output, *both), USAGE, "give one of them")
    assert_refused(pack(folder, output, "--plot", tmp_path / "x.png"), USAGE, "--plot belongs to a compression")
    assert_refused(pack(folder, output, "--max-accuracy-loss", "x"), USAGE, "is not a number of percent")
    assert_refused(pack(folder, output, "--target-bytes", 100), INPUT, "100 were asked for")
    without = smidgen("pack", folder / "int8.tflite", "-o", output, "--target-bytes", 1400)
    assert_refused(without, INPUT, "compression needs calibration data")
    assert not output.exists()


def test_a_plan_for_speed_may_be_too_large(folder: Path, tmp_path: Path) -> None:
    result = pack(folder, tmp_path / "small.smg", "--target-bytes", 1300, "--optimize", "speed")
    assert_refused(result, INPUT, "--optimize size")
