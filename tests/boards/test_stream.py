"""Streams and collections with real MicroPython."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from smidgen.blob.reader import read_blob
from smidgen.cli.app import cli
from smidgen.errors import BoardError, InputError
from smidgen.link.session import connect
from smidgen.link.virtual import VirtualUnixBoard
from smidgen.reference import run_network
from smidgen.stream import LiveWindow, StreamOptions, StreamResult, run_stream
from smidgen.stream.board_ring import BoardRing
from smidgen.stream.collect import collect
from smidgen.stream.dataset import load_dataset


def expected_outputs(blob: Path, frames: NDArray[np.int8], hop: int) -> list[list[int]]:
    """What the reference says of each window of six elements."""
    network = read_blob(blob.read_bytes()).network
    shape, window = network.tensors[0].shape, 6 // frames.shape[1]
    starts = range(0, len(frames) - window + 1, hop)
    windows = [frames[start : start + window].reshape(shape) for start in starts]
    return [run_network(network, [cut])[0].reshape(-1).tolist() for cut in windows]


def quantized(blob: Path, samples: NDArray[np.float32]) -> NDArray[np.int8]:
    tensor = read_blob(blob.read_bytes()).network.tensors[0]
    real = samples.astype(np.float64) / tensor.scale
    rounded = np.sign(real) * np.floor(np.abs(real) + 0.5) + tensor.zero_point
    return np.clip(rounded, -128, 127).astype(np.int8)


@pytest.mark.parametrize(("channels", "hop"), [(1, 1), (2, 2), (3, 5)])
def test_every_window_is_exact(
    virtual_board: VirtualUnixBoard, dense_blob: Path, tmp_path: Path, channels: int, hop: int
) -> None:
    samples = np.random.default_rng(hop).normal(0, 6, (200, channels)).astype(np.float32)
    np.save(tmp_path / "a.npy", samples)
    seen: list[LiveWindow] = []
    options = StreamOptions(hop=hop, realtime=False)
    result = run_stream(dense_blob, str(tmp_path / "a.npy"), virtual_board.port, options, show=seen.append)
    expected = expected_outputs(dense_blob, quantized(dense_blob, samples), hop)
    assert [live.answer.outputs[0].reshape(-1).tolist() for live in seen] == expected
    assert result.timing.keeps_up and not result.partial
    assert sum(result.labels.values()) == len(expected)


def test_recordings_are_streamed_one_after_the_other(
    virtual_board: VirtualUnixBoard, dense_blob: Path, tmp_path: Path
) -> None:
    samples = np.random.default_rng(5).normal(0, 6, (40, 2)).astype(np.float32)
    starts = [0, 10, 12, 21]
    np.savez(tmp_path / "a.npz", samples=samples, starts=np.array(starts), rate=np.array(100.0))
    seen: list[LiveWindow] = []
    options = StreamOptions(hop=2, realtime=False)
    result = run_stream(dense_blob, str(tmp_path / "a.npz"), virtual_board.port, options, show=seen.append)
    parts = np.split(quantized(dense_blob, samples), starts[1:])
    expected = [output for part in parts for output in expected_outputs(dense_blob, part, 2)]
    assert [live.answer.outputs[0].reshape(-1).tolist() for live in seen] == expected
    assert [live.answer.number for live in seen] == list(range(len(expected)))
    assert result.timing.keeps_up and result.timing.frames == 40


def test_frames_that_come_all_at_once_are_dropped_and_counted(
    virtual_board: VirtualUnixBoard, dense_blob: Path
) -> None:
    frames = np.random.default_rng(0).integers(-128, 128, (1000, 2)).astype(np.int8)
    expected = expected_outputs(dense_blob, frames, 2)
    with connect(virtual_board.port) as board:
        board.install()
        ring = BoardRing(board, board.load(dense_blob), 2, 2, 7)
        answers = [ring.feed(frames), *(ring.feed(frames[:0]) for _ in range(3))]
        windows = [answer.window for answer in answers]
        assert windows == [497, 498, None, None] and answers[0].dropped == 497 and answers[0].waiting == 1
        assert [answer.outputs[0].reshape(-1).tolist() for answer in answers[:2]] == expected[497:]
        ring.skip(10)
        assert ring.feed(frames[:3]).dropped > 497


def test_command(virtual_board: VirtualUnixBoard, dense_blob: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", samples=np.zeros((30, 1)), rate=np.array(1000.0))
    record = tmp_path / "r.jsonl"
    arguments = ["stream", str(dense_blob), "--source", str(tmp_path / "a.npz"), "--port", virtual_board.port]
    result = CliRunner().invoke(cli, [*arguments, "--json", "--hop", "6", "--record", str(record), "--speed", "max"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["windows"], document["dropped"], document["frames"]) == (5, 0, 30)
    assert len(record.read_text().splitlines()) == 7
    plain = CliRunner().invoke(cli, [*arguments, "--limit", "2"])
    assert plain.exit_code == 0 and "2 windows of 6 frames, 3 apart" in plain.stdout
    np.save(tmp_path / "short.npy", np.zeros(5, np.float32))
    short = CliRunner().invoke(cli, [*arguments, "--source", str(tmp_path / "short.npy"), "--speed", "max"])
    assert short.exit_code == 0 and "ended after 5 frames, a window takes 6 frames of 1" in short.stderr
    np.savez(tmp_path / "short.npz", samples=np.zeros(10), starts=np.array([0, 5]))
    short = CliRunner().invoke(cli, [*arguments, "--source", str(tmp_path / "short.npz"), "--speed", "max"])
    assert short.exit_code == 0 and "no recording of the source is long enough, a window takes 6" in short.stderr
    refused = CliRunner().invoke(cli, [*arguments, "--window", "7"])
    assert isinstance(refused.exception, InputError)


def test_standard_input_that_stays_open(virtual_board: VirtualUnixBoard, dense_blob: Path) -> None:
    """The thread that waits for more samples does not disturb the end of the program."""
    command = [sys.executable, "-m", "smidgen", "stream", str(dense_blob), "--source", "-", "--format", "csv"]
    command += ["--speed", "max", "--limit", "1", "--json", "--port", virtual_board.port]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(b"1\n" * 6)
        process.stdin.flush()
        document = json.loads(process.stdout.read())
        assert process.wait() == 0, process.stderr.read()
    assert document["windows"] == 1


def test_a_sensor_of_the_board(virtual_board: VirtualUnixBoard, dense_blob: Path) -> None:
    """What the board has quantised and seen is what the simulated reader counts, and the answers are exact."""
    seen: list[LiveWindow] = []
    source = "board:simulated,rate=400,channels=2"
    result = run_stream(dense_blob, source, virtual_board.port, StreamOptions(hop=2, limit=12), show=seen.append)
    network = read_blob(dense_blob.read_bytes()).network
    assert result.timing.answered == 12
    for live in seen:
        rows = live.answer.rows
        assert run_network(network, [rows.reshape(1, 6)])[0].tolist() == live.answer.outputs[0].tolist()
        steps = np.arange(3)[:, np.newaxis] + 2 * live.answer.number
        values = ((steps * np.array([1, 2]) * 64 & 0x3FFF) - 0x2000) / 128
        if not result.timing.skipped_frames:
            tensor = network.tensors[0]
            expected = np.clip(np.floor(values / tensor.scale + tensor.zero_point + 0.5), -128, 127)
            assert rows.tolist() == expected.tolist()


@pytest.mark.parametrize("source", ["a.npy", "board:simulated,rate=1000000,channels=2"])
def test_a_hop_for_which_the_board_has_no_room(
    virtual_board: VirtualUnixBoard, dense_blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The error says the largest hop, and with that it works."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.zeros((3, 2), np.float32))

    def stream(hop: int) -> StreamResult:
        return run_stream(dense_blob, source, virtual_board.port, StreamOptions(hop=hop, realtime=False, limit=1))

    with pytest.raises(BoardError, match=r"a hop of 1000000 frames takes \d+ .* \d+ bytes are free: take") as caught:
        stream(1_000_000)
    largest = int(str(caught.value).rsplit(" ", 1)[-1])
    assert largest > 10_000
    assert stream(largest).timing.answered == 1
    with pytest.raises(BoardError, match=f"a hop of {3 * largest // 2} frames"):
        stream(3 * largest // 2)


def test_collecting_from_a_sensor(virtual_board: VirtualUnixBoard, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    for label, count in (("up", 300), ("down", 20)):
        collection = collect(
            "board:simulated,rate=1000,channels=3", label, data, port=virtual_board.port, samples=count
        )
        assert collection.samples == count
    (up, first), (down, second) = load_dataset(data, 3, 1000).recordings()
    assert (up, len(first), down, len(second)) == ("up", 300, "down", 20)
    if not collection.lost:
        steps = np.arange(20)[:, np.newaxis] * np.array([1, 2, 3]) * 64
        assert second.tolist() == (((steps & 0x3FFF) - 0x2000) / 128).tolist()


def test_a_reader_of_ones_own(virtual_board: VirtualUnixBoard, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "class Steps:\n"
        "    def __init__(self, first):\n"
        "        self.rate, self.channels, self.units, self.lost, self.next = 10, 1, (0.5,), 0, first\n"
        "    def readinto(self, values):\n"
        "        values[0] = self.next\n"
        "        self.next += 1\n"
        "        return 1\n"
    )
    data = tmp_path / "data.npz"
    collect(f"board:{own}:Steps,first=7", "a", data, port=virtual_board.port, samples=3)
    assert load_dataset(data, 1, 10).samples.tolist() == [[3.5], [4.0], [4.5]]
    own.write_text(own.read_text().replace("(0.5,)", "(1, 2)"))
    with pytest.raises(InputError, match="1 channels and 2 units"):
        collect(f"board:{own}:Steps,first=7", "a", data, port=virtual_board.port, samples=3)
    own.write_text("class Steps:\n    def __init__(self, first):\n        raise OSError(5)\n")
    with pytest.raises(BoardError, match="OSError"):
        collect(f"board:{own}:Steps,first=7", "a", data, port=virtual_board.port, samples=3)
