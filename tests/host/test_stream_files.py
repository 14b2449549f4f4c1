"""Recordings of streams, and data sets."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from smidgen.cli.app import cli
from smidgen.errors import InputError
from smidgen.stream import collect as collecting
from smidgen.stream.collect import collect
from smidgen.stream.dataset import load_dataset
from smidgen.stream.record import open_recorder
from smidgen.stream.run import LiveWindow
from smidgen.stream.session import AnsweredWindow
from smidgen.stream.source import ArraySource
from smidgen.stream.timing import StreamTiming


def window(number: int) -> LiveWindow:
    rows = np.full((4, 2), number, np.int8)
    answer = AnsweredWindow(number, [np.array([number, 1], np.int8)], 100 + number, 0.002, 3, rows)
    return LiveWindow(answer, [0.25, 0.75], "up", [0.0] * 4, StreamTiming(None), None)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("interrupted", [False, True])
def test_lines(tmp_path: Path, interrupted: bool) -> None:
    path = tmp_path / "a.jsonl"
    try:
        with open_recorder(path, {"blob": "x.smg"}, windows=True) as recorder:
            recorder.add(window(0))
            assert len(lines(path)) == 2  # it is there at once
            recorder.add(window(1))
            if interrupted:
                raise KeyboardInterrupt
            recorder.complete()
    except KeyboardInterrupt:
        pass
    about, first, second, end = lines(path)
    assert about == {"stream": {"blob": "x.smg"}}
    assert (first["window"], first["outputs"], first["latency_ms"], first["dropped"]) == (0, [[0, 1]], 2.0, 3)
    assert second["input"] == [[1, 1]] * 4
    assert end == {"end": {"windows": 2, "partial": interrupted}}


@pytest.mark.parametrize("interrupted", [False, True])
def test_arrays(tmp_path: Path, interrupted: bool) -> None:
    path = tmp_path / "a.npz"
    try:
        with open_recorder(path, {"blob": "x.smg"}, windows=True) as recorder:
            for number in range(40):
                recorder.add(window(number))
                if number == 20:
                    with np.load(path) as so_far:
                        assert len(so_far["number"]) == 16 and bool(so_far["partial"])
            if interrupted:
                raise KeyboardInterrupt
            recorder.complete()
    except KeyboardInterrupt:
        pass
    with np.load(path) as arrays:
        assert arrays["output"].shape == (40, 2) and arrays["input"].shape == (40, 4, 2)
        assert arrays["number"].tolist() == list(range(40))
        assert bool(arrays["partial"]) is interrupted
        assert json.loads(str(arrays["about"])) == {"blob": "x.smg"}


def test_windows_are_optional_and_nothing_may_happen(tmp_path: Path) -> None:
    with open_recorder(tmp_path / "a.npz", {}, windows=False) as recorder:
        recorder.complete()
    with np.load(tmp_path / "a.npz") as arrays:
        assert len(arrays["number"]) == 0 and "input" not in arrays and not arrays["partial"]
    with pytest.raises(InputError, match=r"recordings are \.jsonl or \.npz"):
        open_recorder(tmp_path / "a.csv", {}, windows=False)
    for name in ("no/a.jsonl", "no/a.npz"):
        with pytest.raises(InputError, match="cannot write"):
            open_recorder(tmp_path / name, {}, windows=False)


def test_collecting_adds_recordings(tmp_path: Path) -> None:
    source, data = tmp_path / "a.npy", tmp_path / "data.npz"
    samples = np.arange(1200, dtype=np.float32).reshape(600, 2)
    np.save(source, samples)
    first = collect(str(source), "walk", data, rate=100)
    second = collect(str(source), "run", data, rate=100, seconds=3)
    third = collect(str(source), "walk", data, rate=100, samples=1)
    assert (first.samples, second.samples, third.samples) == (600, 300, 1)
    assert third.recordings == {"walk": 2, "run": 1} and not third.partial
    recordings = load_dataset(data, 2, 100).recordings()
    assert [label for label, _ in recordings] == ["walk", "run", "walk"]
    assert [np.array_equal(part, samples[: len(part)]) for _, part in recordings] == [True] * 3
    assert [len(part) for _, part in recordings] == [600, 300, 1]


def test_collecting_from_several_recordings(tmp_path: Path) -> None:
    source, data = tmp_path / "a.npz", tmp_path / "data.npz"
    samples = np.arange(9, dtype=np.float32).reshape(9, 1)
    np.savez(source, samples=samples, starts=np.array([0, 4, 4, 6]))
    assert collect(str(source), "walk", data).recordings == {"walk": 3}
    assert collect(str(source), "run", data, samples=6).recordings == {"walk": 3, "run": 2}
    parts = [part.reshape(-1).tolist() for _, part in load_dataset(data, 1, None).recordings()]
    assert parts == [[0, 1, 2, 3], [4, 5], [6, 7, 8], [0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("cut")])
def test_what_came_before_an_interruption_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    class Interrupted(ArraySource):
        def read(self, count: int) -> Any:
            samples = super().read(2)
            if not len(samples):
                raise error
            return samples

    source = Interrupted("test", np.ones((6, 1), np.float32), 10.0)
    monkeypatch.setattr(collecting, "open_source", lambda *_: source)
    data = tmp_path / "data.npz"
    if isinstance(error, InputError):
        with pytest.raises(InputError, match="cut"):
            collect("x", "a", data)
    else:
        assert collect("x", "a", data).partial
    assert [len(part) for _, part in load_dataset(data, 1, 10.0).recordings()] == [6]


def test_collecting_from_a_file_needs_no_board(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    arguments = ["collect", "--source", str(tmp_path / "a.csv"), "--label", "a", "-o", str(tmp_path / "data.npz")]
    done = CliRunner().invoke(cli, [*arguments, "--port", "id:none"])
    assert done.exit_code == 0, done.output
    assert load_dataset(tmp_path / "data.npz", 2, None).samples.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("source", ["a.npy", "board:simulated"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/data.npz", "there is no folder .*none; make it"),
        ("folder.npz", "Is a directory; choose another name"),
        ("a.npy/data.npz", "there is no folder .*a.npy; make it"),
        (f"{'x' * 251}.npz", "File name too long"),
    ],
)
def test_an_output_that_cannot_be_written_is_found_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str, message: str
) -> None:
    """Before a sample is read, and before a port is opened."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.zeros((4, 1), np.float32))
    Path("folder.npz").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for opening in ("open_source", "connect"):
        monkeypatch.setattr(collecting, opening, lambda *_: pytest.fail("it was opened"))
    with pytest.raises(InputError, match=f"cannot write {name}: {message}"):
        collect(source, "a", Path(name))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_in_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    np.save(tmp_path / "a.npy", np.zeros((4, 1), np.float32))
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    monkeypatch.setattr(collecting, "open_source", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(InputError, match=r"data\.npz: Permission denied; choose another name or folder"):
        collect(str(tmp_path / "a.npy"), "a", tmp_path / "data.npz")


def test_looking_whether_a_data_set_can_be_written_leaves_it_as_it_is(tmp_path: Path) -> None:
    source, data = tmp_path / "a.npy", tmp_path / "data.npz"
    np.save(source, np.zeros((4, 1), np.float32))
    collect(str(source), "a", data)
    content = data.read_bytes()
    with pytest.raises(InputError, match="the source has 100"):
        collect(str(source), "a", data, rate=100)
    with pytest.raises(InputError, match="cannot read"):
        collect(str(tmp_path / "none.npy"), "a", tmp_path / "new.npz")
    assert data.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "data.npz"]


def test_what_does_not_belong_together(tmp_path: Path) -> None:
    source, data = tmp_path / "a.npy", tmp_path / "data.npz"
    np.save(source, np.zeros((4, 2), np.float32))
    collect(str(source), "a", data, rate=100)
    with pytest.raises(InputError, match="has 100 samples a second, the source has 50"):
        collect(str(source), "a", data, rate=50)
    np.save(source, np.zeros((4, 3), np.float32))
    with pytest.raises(InputError, match="has 2 channels, the source has 3"):
        collect(str(source), "a", data, rate=100)
    for seconds in (float("nan"), float("inf"), 0.0):
        with pytest.raises(InputError, match="more than 0 s"):
            collect(str(source), "a", data, rate=100, seconds=seconds)
    with pytest.raises(InputError, match="a label has"):
        collect(str(source), " ", data)
    with pytest.raises(InputError, match=r"is a \.npz file"):
        collect(str(source), "a", tmp_path / "a.csv")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="has no array 'samples'"):
        collect(str(source), "a", tmp_path / "other.npz")
    with np.load(data) as arrays:
        damaged = dict(arrays)
    for name, array in (("labels", np.array([7])), ("starts", np.array([1])), ("rate", np.array("x"))):
        np.savez(tmp_path / "bad.npz", **{**damaged, name: array})
        with pytest.raises(InputError, match=r"bad\.npz is"):
            load_dataset(tmp_path / "bad.npz", 2, 100)
