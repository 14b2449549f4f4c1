"""Predictions for boards: what is needed, what is there, and what the command says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graph_builder import GraphBuilder
from test_cli import assert_refused, dense, smidgen

from smidgen import graph as g
from smidgen.blob.execution import blob_executions
from smidgen.blob.reader import read_blob
from smidgen.board_memory import usable_heap
from smidgen.boards import BoardDescription, Evidence, find_board, load_boards
from smidgen.errors import InputError
from smidgen.fit import FLASH, HEAP, fit_board, fit_model
from smidgen.formats.tflite_writer import write_tflite
from smidgen.packer import pack_graph
from smidgen.plan.cost import CALL_CYCLES, OPERATOR_CYCLES, cost_model

USAGE, NOWHERE = 2, 7


@pytest.fixture
def blob_path(tmp_path: Path) -> Path:
    path = tmp_path / "dense.smg"
    path.write_bytes(pack_graph(dense()))
    return path


def with_heap(board: BoardDescription, size: int) -> BoardDescription:
    return replace(board, heap=replace(board.heap, bytes=size, evidence=Evidence.MEASURED))


def test_memory_is_what_the_blob_says(blob_path: Path) -> None:
    blob = read_blob(blob_path.read_bytes())
    executions, pico = blob_executions(blob), find_board("pico")
    fit = fit_board(blob, executions, pico)
    model = cost_model("armv6m")
    working = model.module_heap_bytes + model.model_heap_bytes + blob.arena_bytes
    assert fit.heap_needed == working + blob.blob_bytes
    assert fit.flash_needed == model.module_file_bytes + blob.blob_bytes
    assert fit.blob_in == HEAP and fit.fits

    exactly = fit_board(blob, executions, with_heap(pico, fit.heap_needed))
    assert exactly.blob_in == HEAP
    in_flash = fit_board(blob, executions, with_heap(pico, fit.heap_needed - 1))
    assert in_flash.blob_in == FLASH and in_flash.heap_needed == working and "ROMFS" in in_flash.advice
    too_small = fit_board(blob, executions, with_heap(pico, working - 1))
    assert not too_small.fits
    assert "even without the blob" in too_small.advice
    assert f"{working + blob.blob_bytes:,} B" in too_small.advice and f"{working - 1:,} B" in too_small.advice

    assert pico.flash is not None
    no_map = replace(with_heap(pico, working), flash=replace(pico.flash, memory_mapped=False))
    without = fit_board(blob, executions, no_map)
    assert not without.fits
    assert "the blob is in it too: smidgen pack --board pico looks for the plan" in without.advice
    no_flash = replace(pico, flash=replace(pico.flash, bytes=fit.flash_needed - 1))
    assert "of flash" in fit_board(blob, executions, no_flash).advice


def test_a_configured_heap_is_not_all_usable() -> None:
    board = find_board("sim:cortex-m3")
    assert board.heap.evidence is Evidence.CONFIGURED
    assert usable_heap(board) == round(0.96 * board.heap.bytes)
    assert usable_heap(find_board("pico")) == find_board("pico").heap.bytes


def test_latency(blob_path: Path) -> None:
    blob = read_blob(blob_path.read_bytes())
    executions = blob_executions(blob)
    rows = {row.board: row for row in fit_model(blob_path, load_boards()).boards}
    latency = rows["pico"].latency
    assert latency is not None and not latency.is_projection
    cycles = sum(cost_model().operators(blob.network, executions)) + CALL_CYCLES + OPERATOR_CYCLES
    assert latency.milliseconds == pytest.approx(cycles / 125_000)
    for name in ("pico2", "esp32", "esp32c3"):
        projected = rows[name].latency
        assert projected is not None and projected.is_projection and "assumed" in projected.basis
    assert rows["sim:unix"].latency is None and rows["sim:cortex-m3"].latency is None


def test_a_tflite_file_gives_what_its_blob_gives(blob_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(write_tflite(dense()))
    from_model, from_blob = fit_model(path, [find_board("pico")]), fit_model(blob_path, [find_board("pico")])
    assert from_model.arena_bytes == from_blob.arena_bytes
    (model_row,), (blob_row,) = from_model.boards, from_blob.boards
    assert model_row.latency == blob_row.latency


def test_float_models_are_sent_to_pack(tmp_path: Path) -> None:
    b = GraphBuilder(np.float32)
    b.tensor("x", (1, 6))
    b.tensor("y", (1, 3))
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 6), 0)))
    path = tmp_path / "float.tflite"
    path.write_bytes(write_tflite(b.finish(["x"], ["y"])))
    with pytest.raises(InputError, match=r"is a float model: pack it first, .*--calibration"):
        fit_model(path, [find_board("pico")])


class TestCommand:
    def test_one_board(self, blob_path: Path) -> None:
        result = smidgen("fit", blob_path, "--board", "pico")
        assert result.returncode == 0, result.stderr
        assert "pico: fits" in result.stdout and " ms" in result.stdout
        assert "cost model of the Cortex-M0+" in result.stderr

    def test_all_boards_as_one_document(self, blob_path: Path) -> None:
        result = smidgen("fit", blob_path, "--all-boards", "--json")
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        names = [board["board"] for board in document["boards"]]
        assert names == [board.name for board in load_boards() if not board.is_virtual]
        assert all(board["fits"] for board in document["boards"])

    def test_it_fits_nowhere(self, blob_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        text = (Path(__file__).resolve().parents[2] / "boards" / "pico.toml").read_text("utf-8")
        (tmp_path / "tiny.toml").write_text(
            text.replace('name = "pico"', 'name = "tiny"').replace("bytes = 241_936", "bytes = 20_000")
        )
        monkeypatch.setenv("SMIDGEN_BOARDS", str(tmp_path))
        result = smidgen("fit", blob_path, "--board", "tiny")
        assert result.returncode == NOWHERE
        assert "does not fit" in result.stdout and "20,000 B are there" in result.stdout
        assert smidgen("fit", blob_path, "--board", "tiny", "--board", "pico").returncode == 0

    def test_no_name_is_cut(self, blob_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The table of what goes into a file or a pipe is as wide as it has to be."""
        text = (Path(__file__).resolve().parents[2] / "boards" / "pico.toml").read_text("utf-8")
        name = "a_board_with_a_name_that_is_longer_than_a_line_of_eighty_or_one_hundred_characters_may_ever_be"
        chip = "a chip of which the same can be said, and of which it is just as true as it is of that name"
        (tmp_path / f"{name}.toml").write_text(
            text.replace('name = "pico"', f'name = "{name}"').replace('chip = "RP2040"', f'chip = "{chip}"')
        )
        monkeypatch.setenv("SMIDGEN_BOARDS", str(tmp_path))
        lines = smidgen("fit", blob_path, "--board", name).stdout.splitlines()
        assert [line.split()[-1] for line in lines if line.strip().startswith(f"{name}   {chip} ")] == ["yes"]
        assert sum(name in line and chip in line for line in smidgen("boards").stdout.splitlines()) == 1

    def test_unknown_boards(self, blob_path: Path) -> None:
        assert_refused(smidgen("fit", blob_path, "--board", "picco"), USAGE, "did you mean 'pico'?")

    def test_usage(self, blob_path: Path) -> None:
        assert smidgen("fit", blob_path).returncode == 2
        assert smidgen("fit", blob_path, "--board", "pico", "--all-boards").returncode == 2
