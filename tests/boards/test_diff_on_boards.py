"""`smidgen diff` with a board: every tensor of real networks is what the reference says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import models
from availability import not_available
from smidgen.demo.recordings import DatasetError, cut_windows, load_recordings, split_by_subject
from smidgen.demo.run import float_model
from smidgen.diff import compare_operators
from smidgen.errors import InputError
from smidgen.formats.tflite_reader import read_tflite
from smidgen.link import natmod
from smidgen.packer import pack_graph
from smidgen.passes import simplify
from smidgen.quantize import quantize


@pytest.fixture(autouse=True)
def module(unix_port: None) -> None:
    try:
        natmod.find("x64")
    except InputError as error:
        not_available(str(error))


def assert_equal(blob: bytes, inputs: np.ndarray, sample: int, folder: Path) -> int:
    """How many tensors were compared."""
    (folder / "model.smg").write_bytes(blob)
    np.save(folder / "inputs.npy", inputs)
    result = compare_operators(folder / "model.smg", folder / "inputs.npy", "sim:unix", sample=sample)
    assert [row.index for row in result.operators if not row.is_equal] == []
    return len(result.operators)


def test_kws(tmp_path: Path) -> None:
    graph = simplify(read_tflite(models.model_path("kws_ref_model")))
    inputs = np.load(models.golden_path("kws_ref_model"))["input"]
    assert assert_equal(pack_graph(graph), inputs, 5, tmp_path) == 12


def test_the_demo_s_network(tmp_path: Path) -> None:
    try:
        windows, _ = cut_windows(split_by_subject(load_recordings()).test)
    except DatasetError as error:
        pytest.skip(str(error))
    windows = windows[:50, np.newaxis]
    quantized = quantize(simplify(float_model()), windows)
    assert assert_equal(pack_graph(quantized), windows, 7, tmp_path) > 5
