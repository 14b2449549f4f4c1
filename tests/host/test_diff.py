"""`smidgen diff`: which operators differ from the reference, by how much, and what that looks like."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from test_verify import KINDS, SAMPLES, WrongRunner, _graph

from smidgen import diff
from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob_file
from smidgen.cli.app import cli
from smidgen.diff import Comparison, ElementDifference, TensorErrors, compare_operators, tensor_errors
from smidgen.diff_plot import plot_operator, tiles
from smidgen.errors import InputError
from smidgen.packer import pack_graph

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    """MUL, two COPY that fill one tensor, FULLY_CONNECTED, LOOKUP."""
    path = tmp_path / "model.smg"
    path.write_bytes(pack_graph(_graph()))
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.npy"
    np.save(path, SAMPLES)
    return path


def use(monkeypatch: pytest.MonkeyPatch, wrong: int | None) -> None:
    """A board on which operator `wrong` is off by two in one element, and all after it compute with that."""

    @contextmanager
    def open_runner(blob: Blob, data: bytes, port: str, **options: Any) -> Iterator[WrongRunner]:
        yield WrongRunner(blob.network, wrong)

    monkeypatch.setattr(diff, "open_runner", open_runner)


def test_errors_of_a_tensor() -> None:
    reference = np.zeros((1, 2, 3), np.int8)
    board = reference.copy()
    board[0, 0, 2], board[0, 1, 1] = -4, 3
    assert tensor_errors(board, reference) == TensorErrors(
        differing=2,
        first=ElementDifference((0, 0, 2), -4, 0),
        max_abs=4,
        mean_abs=pytest.approx(7 / 6),
        rmse=pytest.approx((25 / 6) ** 0.5),
    )
    extremes = tensor_errors(np.array([127], np.int8), np.array([-128], np.int8))
    assert (extremes.max_abs, extremes.mean_abs, extremes.rmse) == (255, 255, 255)
    assert tensor_errors(board, board) == TensorErrors(0, None, 0, 0, 0)


def test_all_equal(blob: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, None)
    seen: list[tuple[int, int]] = []
    result = compare_operators(blob, inputs, "sim:unix", sample=2, progress=lambda *step: seen.append(step))
    assert result.is_equal and result.first_difference is None
    assert [(row.index, row.parts) for row in result.operators] == [(0, ()), (2, (1,)), (3, ()), (4, ())]
    assert all(row.inputs_equal and row.errors.differing == 0 for row in result.operators)
    assert seen == [(number, 5) for number in range(1, 6)]


@pytest.mark.parametrize("wrong", [0, 1, 2, 3, 4])
def test_a_wrong_operator(blob: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    """Those before it are equal; those after it have inputs that differ. A part is judged with its whole tensor."""
    use(monkeypatch, wrong)
    result = compare_operators(blob, inputs, "sim:unix")
    first = result.first_difference
    assert first is not None
    completing = 2 if wrong == 1 else wrong
    network = read_blob_file(blob).network
    assert (first.index, first.name, first.inputs_equal) == (completing, KINDS[wrong].name, True)
    assert first.tensor == network.operators[wrong].output
    assert (first.errors.differing, first.errors.max_abs) == (1, 2)
    assert first.errors.mean_abs == 2 / first.elements
    assert first.errors.rmse == pytest.approx((4 / first.elements) ** 0.5)
    assert first.errors.first is not None
    assert first.errors.first.position == (0, 0)
    board, reference = result.values[completing]
    assert (first.errors.first.board, first.errors.first.reference) == (board[0, 0], reference[0, 0])
    later = {row.index: row.inputs_equal for row in result.operators if row.index > completing}
    assert not later or later[min(later)] is False


def test_real_errors_are_steps_times_the_scale(blob: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 3)
    document = compare_operators(blob, inputs, "sim:unix").as_dict()
    row = document["operators"][2]
    assert document["first_difference"] == row["index"] == 3
    assert row["scale"] == pytest.approx(0.05)
    assert row["real_errors"]["max_abs"] == pytest.approx(0.1)


def test_a_sample_that_is_not_there(blob: Path, inputs: Path) -> None:
    for sample in (-1, 4):
        with pytest.raises(InputError, match=rf"there is no sample {sample} in .*: it has 0 to 3"):
            compare_operators(blob, inputs, "sim:unix", sample=sample)
    with pytest.raises(InputError, match="'host' is the reference itself: name a board"):
        compare_operators(blob, inputs, "host")


def test_command(blob: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 3)
    picture = tmp_path / "picture.png"
    arguments = ["diff", str(blob), "--input", str(inputs), "--port", "sim:unix"]
    result = CliRunner().invoke(cli, [*arguments, "--plot", str(picture)])
    assert result.exit_code == 1
    assert (
        "different: operator 3 FULLY_CONNECTED is the first, from equal inputs; its element [0, 0] is" in result.output
    )
    assert "1-2" in result.output
    assert picture.read_bytes().startswith(PNG)
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["equal"] is False
    assert [row["errors"]["differing"] for row in document["operators"]][:3] == [0, 0, 1]
    use(monkeypatch, None)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert "equal: every element of all 4 tensors" in result.output
    result = CliRunner().invoke(cli, [*arguments, "--operator", "1"])
    assert result.exit_code == 2


@pytest.fixture
def comparison(blob: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    use(monkeypatch, None)
    return compare_operators(blob, inputs, "sim:unix")


def test_plot(comparison: Comparison) -> None:
    assert plot_operator(comparison).startswith(PNG)
    assert plot_operator(comparison, 1).startswith(PNG)
    with pytest.raises(InputError, match="there is no operator 5: the model has 0 to 4"):
        plot_operator(comparison, 5)


def test_plot_without_matplotlib(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"matplotlib, which is not installed: pip install 'smidgen\[plot\]'"):
        plot_operator(comparison)


def test_channels_are_tiles() -> None:
    tensor = np.arange(2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)  # element = 12 y + 4 x + channel
    picture = tiles(tensor)
    nan = np.nan
    np.testing.assert_array_equal(
        picture,
        np.array(
            [
                [0, 4, 8, nan, 1, 5, 9],
                [12, 16, 20, nan, 13, 17, 21],
                [nan] * 7,
                [2, 6, 10, nan, 3, 7, 11],
                [14, 18, 22, nan, 15, 19, 23],
            ],
            np.float32,
        ),
    )


@pytest.mark.parametrize(("shape", "expected"), [((1, 12), (1, 12)), ((1, 1, 1, 130), (3, 64)), ((5, 2), (1, 10))])
def test_vectors_are_wrapped(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    picture = tiles(np.ones(shape, np.float32))
    assert picture.shape == expected
    assert np.nansum(picture) == np.prod(shape)
