"""`smidgen train`: a recipe from its configuration to a blob, and what happens when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipe_files import CONFIG, write_recipe

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from smidgen.blob.reader import read_blob_file  # noqa: E402
from smidgen.errors import InputError  # noqa: E402
from smidgen.train.recipe import RunRecord, plot_summary, read_config, run_recipe, summarize  # noqa: E402

STAGES = ["teacher", "student", "distil", "prune", "quantize", "compress"]
ROWS = ["float", "int8", "distilled", "pruned", "quantized", "compressed"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, RunRecord]:
    """The configuration, the folder of a whole run, and its record."""
    folder = tmp_path_factory.mktemp("waves")
    path = write_recipe(folder)
    return path, folder / "run", run_recipe(read_config(path), folder / "run")


def test_rows_and_stages(finished: tuple[Path, Path, RunRecord]) -> None:
    _, folder, record = finished
    assert [row.name for row in record.rows] == ROWS
    counts = {stage: sum(epoch["stage"] == stage for epoch in record.epochs) for stage in STAGES}
    assert counts == {"teacher": 3, "student": 4, "distil": 4, "prune": 3, "quantize": 2, "compress": 2}
    real, int8, _, pruned, _, compressed = record.rows
    assert real.accuracy > 0.8 and int8.accuracy > real.accuracy - 0.05
    assert real.bytes == 4 * (16 * 10 + 16 + 48 * 48 + 48 + 48 * 3 + 3)
    assert 0.6 < (pruned.zeros or 0) <= 0.82 and (compressed.zeros or 0) > 0.6
    assert compressed.bits_per_weight < 4 and compressed.bytes < int8.bytes
    assert read_blob_file(folder / "model.smg").blob_bytes == compressed.bytes
    document = json.loads((folder / "run.json").read_text())
    assert document["seed"] == 4 and document["rows"][-1]["bytes"] == compressed.bytes
    assert document["versions"]["torch"] == torch.__version__
    assert document["config"]["prune"]["sparsity"] == 0.8


def test_a_finished_run_is_only_read_again(finished: tuple[Path, Path, RunRecord]) -> None:
    path, folder, record = finished
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.pt")}
    again = run_recipe(read_config(path), folder)
    assert again == record
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.pt")} == before


class Stop(Exception):
    pass


@pytest.mark.parametrize("moment", [("distil", 3), ("prune", 2), ("compress", 1)])
def test_an_interrupted_run_ends_with_the_same_weights(
    finished: tuple[Path, Path, RunRecord], tmp_path: Path, moment: tuple[str, int]
) -> None:
    path, folder, record = finished

    def stop(what: str, done: int, _: int) -> None:
        if (what.removeprefix("seed 4: "), done) == moment:
            raise Stop

    with pytest.raises(Stop):
        run_recipe(read_config(path), tmp_path, progress=stop)
    assert not (tmp_path / "run.json").exists()
    assert run_recipe(read_config(path), tmp_path) == record
    assert_same_result(folder, tmp_path)


def assert_same_result(first: Path, second: Path) -> None:
    assert (first / "model.smg").read_bytes() == (second / "model.smg").read_bytes()
    weights = [torch.load(folder / "compress.pt", weights_only=True)["module"] for folder in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process as Linux does")
def test_a_killed_process_goes_on(finished: tuple[Path, Path, RunRecord], tmp_path: Path) -> None:
    path, folder, _ = finished
    command = [sys.executable, "-m", "smidgen", "train", str(path), "--output", str(tmp_path), "--json"]
    run = tmp_path / "seed-4"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not (run / "student.pt").exists():
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL and not (run / "run.json").exists()
    finish = subprocess.run(command, check=True, capture_output=True, env=os.environ)
    document = json.loads(finish.stdout)
    assert [row["name"] for row in document["summary"]] == ROWS
    assert document["runs"][0]["rows"][-1]["bytes"] == (run / "model.smg").stat().st_size
    assert_same_result(folder, run)


def test_another_seed_gives_another_network(finished: tuple[Path, Path, RunRecord], tmp_path: Path) -> None:
    record = finished[2]
    short = CONFIG[: CONFIG.index("[teacher]")] + CONFIG[CONFIG.index("[student]") : CONFIG.index("[distil]")]
    config = read_config(write_recipe(tmp_path, short))
    runs = [run_recipe(config, tmp_path / f"{seed}", seed=seed) for seed in (4, 5)]
    assert [row.name for row in runs[0].rows] == ["float", "int8"]
    assert [epoch["loss"] for epoch in runs[0].epochs] != [epoch["loss"] for epoch in runs[1].epochs]
    # The student does not depend on whether there is a teacher.
    assert [e["loss"] for e in runs[0].epochs] == [e["loss"] for e in record.epochs if e["stage"] == "student"]
    rows = summarize(runs)
    accuracies = [run.rows[1].accuracy for run in runs]
    assert rows[1].accuracy.mean == pytest.approx(sum(accuracies) / 2)
    assert rows[1].accuracy.deviation == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)
    assert rows[1].ratio.mean == pytest.approx(sum(run.rows[0].bytes / run.rows[1].bytes for run in runs) / 2)


def test_a_plot_is_drawn(finished: tuple[Path, Path, RunRecord], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plot_summary("waves", summarize([finished[2]]), tmp_path / "waves.png")
    assert (tmp_path / "waves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="cannot write the plot"):
        plot_summary("waves", summarize([finished[2]]), tmp_path / "waves.what")


def test_a_changed_configuration_does_not_go_on(finished: tuple[Path, Path, RunRecord], tmp_path: Path) -> None:
    _, folder, _ = finished
    config = read_config(write_recipe(tmp_path, CONFIG.replace("sparsity = 0.8", "sparsity = 0.7")))
    with pytest.raises(InputError, match=r"another configuration.*--restart"):
        run_recipe(config, folder)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "teacher.pt").write_bytes(b"nothing that torch knows")
    (tmp_path / "run" / "mine.txt").write_text("keep")
    config = read_config(write_recipe(tmp_path))
    with pytest.raises(InputError, match=r"teacher.pt is damaged.*--restart"):
        run_recipe(config, tmp_path / "run")
    stop = lambda *_: (_ for _ in ()).throw(Stop)  # noqa: E731 - a callback that raises
    with pytest.raises(Stop):
        run_recipe(config, tmp_path / "run", restart=True, progress=stop)
    assert (tmp_path / "run" / "mine.txt").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sparsity = 0.8", "sparsity = 1.5", "prune.sparsity is 1.5, must be a number from 0.01 to 0.99"),
        ("levels = 8", "levels = 1", "compress.levels is 1, must be a whole number from 2 to 255"),
        ("batch = 32", "bach = 32", "training.bach is not known here; known are: batch"),
        ("[data]\n", "[data]\nx = 1\n", "data.x is not known here; known are: load, augment"),
        ("smallest = 200", 'structure = "rows"', "prune.structure is 'rows', must be one of: weights, blocks, chan"),
        ("smallest = 200", 'structure = "blocks"', "prune.block is missing"),
        ("waves.py:load", "waves.py", "data.load is 'waves.py', must be a file and a function in it"),
        ("waves.py:load", "wave.py:load", "data.load names wave.py, but there is no file"),
        ("seed = 4", "seed = -1", "seed is -1, must be a whole number from 0"),
        ("seed = 4", "seed = = 4", "is not TOML"),
        ('[teacher]\nnetwork = "waves.py:teacher"\nepochs = 3\nlearning_rate = 1e-2\n', "", "distil needs a table"),
        ("[quantize]\nepochs = 2\nlearning_rate = 1e-3\n", "", "compress needs a table [quantize]"),
    ],
)
def test_configuration_errors(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CONFIG
    path = write_recipe(tmp_path, CONFIG.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert message in str(caught.value) and "waves.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("waves.py:load", "waves.py:nothing", "has no function 'nothing'"),
        ("waves.py:load", "waves.py:number", "must return smidgen.train.recipe.Data, it returned int"),
        ("waves.py:student", "waves.py:number", "waves.py:number must return a torch.nn.Module, it returned int"),
    ],
)
def test_functions_of_the_user(tmp_path: Path, old: str, new: str, message: str) -> None:
    config = read_config(write_recipe(tmp_path, CONFIG.replace(old, new)))
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        run_recipe(config, tmp_path / "run")


def test_a_loss_that_is_not_a_number_ends_the_run(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    code = tmp_path / "waves.py"
    code.write_text(code.read_text().replace("x + 0.1 *", "x / 0 *"))
    with pytest.raises(InputError, match=r"stage teacher, epoch 1: the loss is nan; a smaller learning_rate"):
        run_recipe(read_config(path), tmp_path / "run")
    assert not (tmp_path / "run" / "current.pt").exists()


def test_data_is_checked(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    code = tmp_path / "waves.py"
    original = code.read_text()
    changes: list[tuple[str, str, str]] = [
        ("y[:180], x", "y[:170], x", r"train_y must be int64 \[180\], it is torch.int64 \[170\]"),
        ('"middle", ', "", "train_y has classes 0 to 2, there are 2 labels"),
        ("x[:180], y", "x[:180].double(), y", "train_x must be float32"),
        ("x[:180], y", "x[:180] / 0, y", "train_x has numbers that are not finite"),
        ("x[180:], y", "x[180:, :1], y", r"training inputs are \[2, 32\], test inputs \[1, 32\]"),
        ("import torch\n", "import torch\nimport nothing_like_this\n", "cannot be run: ModuleNotFoundError"),
    ]
    for old, new, message in changes:
        assert old in original
        code.write_text(original.replace(old, new, 1))
        with pytest.raises(InputError, match=message):
            run_recipe(read_config(path), tmp_path / "run")


def test_a_file_changed_within_a_second_is_run_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write_recipe(tmp_path)
    code = tmp_path / "waves.py"
    original = code.read_text()
    for wrong, message in (("x[:180] / 0, y", "not finite"), ("x[180:, :1], y", "training inputs are")):
        right = {"x[:180] / 0, y": "x[:180], y", "x[180:, :1], y": "x[180:], y"}[wrong]
        code.write_text(original.replace(right, wrong, 1))
        os.utime(code, (1_700_000_000, 1_700_000_000))  # of the same size, too
        with pytest.raises(InputError, match=message):
            run_recipe(read_config(path), tmp_path / "run")


def test_training_without_torch_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from smidgen.cli.app import cli

    for name in [name for name in sys.modules if name.startswith("smidgen.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(cli, ["train", str(write_recipe(tmp_path))])
    assert isinstance(result.exception, InputError) and "pip install 'smidgen[train]'" in str(result.exception)
