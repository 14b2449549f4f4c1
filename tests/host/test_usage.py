"""What is wrong with a command is said before a port is looked for or opened."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen.cli.app import cli
from smidgen.errors import BoardError, InputError
from smidgen.link import session
from smidgen.packer import pack_graph
from smidgen.ports import names

WRONG_USAGE = {
    "push --port auto a.smg --ram --as b.smg": "--as names a file",
    "bench --port auto a.smg --every 1s": "belong to --power SOURCE",
    "bench --port auto a.smg --heap 100000": "--heap is for --port sim:unix; the port is auto",
    "mlperf --port auto a.smg --json": "belong to --run performance",
    "mlperf --port auto a.smg --heap 100000": "--heap is for",
    "diff --port auto a.smg --input x.npy --operator 0": "give --plot FILE too",
    "diff --port auto a.smg --input x.npy --index -1": "-1 is not in the range",
    "diff --port auto a.smg --input x.npy --heap 100000": "--heap is for",
    "verify --port auto a.smg --golden x.npz --against x.tflite": "or neither",
    "verify --port auto a.smg --heap 100000": "--heap is for",
    "run --port auto a.smg --input x.npy --heap 100000": "--heap is for",
    "run --port host a.smg --input x.npy --heap 100000": "--heap is for --port sim:unix; the port is host",
    "repl --port auto a.smg --heap 100000": "--heap is for",
    "stream --port auto a.smg --source x.npy --record-windows": "give --record FILE too",
    "stream --port auto a.smg --source x.npy --hop 0": "0 is not in the range",
    "collect --port auto --source board:adc --label a -o a.npz --seconds 1 --samples 1": "give one of them",
    "demo --port auto --windows 0": "0 is not in the range",
    "flash pico --port /dev/ttyACM0 --volume . --yes": "give one of them",
}
UNSUITABLE = {
    "push --port auto none.smg": "cannot read none.smg",
    "push --port auto a.smg --as models/": "names a folder",
    "bench --port auto none.smg": "cannot read none.smg",
    "bench --port auto a.smg --power nothing": "there is no power source",
    "bench --port auto a.smg --session .": "is not empty",
    "diff --port auto a.smg --input x.npy --index 99": "there is no sample 99",
    "diff --port auto a.smg --input x.npy --plot x.png --operator 99": "there is no operator 99: the model has 0 to 0",
    "diff --port auto a.smg --input x.npy --plot none/x.png": "there is no folder",
    "diff --port auto a.smg --input x.npy --plot x.npy": "is an input of this command",
    "run --port auto a.smg --input none.npy": "cannot read none.npy",
    "run --port auto a.smg --input x.npy --output none/x.npy": "there is no folder",
    "verify --port auto a.smg": "holds no golden vectors",
    "repl --port auto none.smg": "cannot read none.smg",
    "stream --port auto a.smg --source x.npy --rate 10 --hop 1000000000": "is too long",
    "stream --port auto a.smg --source x.npy --rate 10 --window 7": "leave --window away",
    "stream --port auto a.smg --source x.npy": "give --rate",
    "stream --port auto a.smg --source board:nothing": "is no sensor",
    "stream --port auto features.smg --source board:adc": "are computed on the computer",
    "stream --port auto a.smg --source x.npy --rate 10 --record none/x.npz": "there is no folder",
    "stream --port auto a.smg --source x.npy --rate 10 --record x.csv": "recordings are",
    "check-power --port auto nothing --ohms 330": "there is no power source",
    "check-power --port auto estimate:board=pico --ohms 330": "an estimate measures nothing",
    "collect --port auto --source board:nothing --label a -o a.npz": "is no sensor",
    "collect --port auto --source board:adc --label a -o a.npz --seconds nan": "more than 0 s",
    "collect --port auto --source board:adc --label a -o a.npz --seconds 1e300": "at most 1000000000 s",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a model, samples for it, and ports that nobody may touch."""

    def touched(*_: Any, **__: Any) -> None:
        pytest.fail("a port was looked for or opened")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(names, "list_candidates", touched)
    monkeypatch.setattr(session, "_open", touched)
    b = GraphBuilder()
    b.tensor("x", (1, 6), 0.1, 3)
    b.tensor("y", (1, 3), 0.2, -4)
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 6), 0)))
    graph = b.finish(["x"], ["y"])
    (tmp_path / "a.smg").write_bytes(pack_graph(graph, {}))
    (tmp_path / "features.smg").write_bytes(pack_graph(graph, {"preprocessing": "mfcc"}))
    np.save(tmp_path / "x.npy", np.zeros((4, 6), np.int8))
    return tmp_path


@pytest.mark.parametrize("command", WRONG_USAGE)
def test_wrong_usage(command: str) -> None:
    result = CliRunner().invoke(cli, shlex.split(command))
    assert result.exit_code == 2, result.output
    assert WRONG_USAGE[command] in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("command", UNSUITABLE)
def test_unsuitable_input(command: str, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = CliRunner().invoke(cli, shlex.split(command))
    assert isinstance(result.exception, InputError), result.output
    assert UNSUITABLE[command] in str(result.exception)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["old.jsonl", "old.npz"])
def test_a_stream_that_does_not_begin_leaves_the_recording_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def gone(*_: Any) -> None:
        raise BoardError("it is gone")

    monkeypatch.setattr(session, "_open", gone)
    (folder / name).write_text("kept")
    command = f"stream a.smg --source x.npy --rate 10 --port /dev/none --record {name}"
    assert isinstance(CliRunner().invoke(cli, shlex.split(command)).exception, BoardError)
    assert (folder / name).read_text() == "kept"
