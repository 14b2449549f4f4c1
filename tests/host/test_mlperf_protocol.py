"""MLPerf Tiny on this computer: samples on the wire, results, and the runner's side of the protocol."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from mlperf_models import sized_blob

from smidgen.cli.app import cli
from smidgen.errors import BoardError, BoardTimeout, InputError
from smidgen.link.layout import BlobLayout, TensorLayout
from smidgen.mlperf import BENCHMARKS, find_benchmark, load_samples, open_candidate, protocol, samples_of_blob
from smidgen.mlperf.metrics import area_under_curve, top1_accuracy
from smidgen.mlperf.protocol import DutPort
from smidgen.mlperf.runner import Performance

IMAGE = TensorLayout((1, 32, 32, 3), 1.0, -128)
SPECTRUM = TensorLayout((1, 640), 0.4, 89)


def layout(*sizes: int, inputs: int = 1) -> BlobLayout:
    tensors = tuple(TensorLayout((1, size), 0.1, 0) for size in sizes)
    return BlobLayout(tensors, inputs, len(sizes) - inputs, (), 0)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("kws01", (490, 12)), ("vww01", (27648, 2)), ("ic01", (3072, 10)), ("ad01", (640, 640))],
)
def test_the_sizes_tell_the_benchmark(name: str, sizes: tuple[int, int]) -> None:
    benchmark = find_benchmark(layout(*sizes))
    assert benchmark.name == name
    assert benchmark.sample_bytes == {"kws01": 490, "vww01": 27648, "ic01": 3072, "ad01": 2560}[name]
    assert find_benchmark(layout(*sizes), name) is benchmark


def test_other_networks_are_refused() -> None:
    with pytest.raises(InputError, match="490 input and 11 output elements"):
        find_benchmark(layout(490, 11))
    with pytest.raises(InputError, match="640 input and 640 output elements; kws01 490 and 12"):
        find_benchmark(layout(640, 640), "kws01")
    with pytest.raises(InputError, match="has 2 and 1"):
        find_benchmark(layout(490, 490, 12, inputs=2))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_int8_value_survives_the_wire(name: str) -> None:
    benchmark = BENCHMARKS[name]
    tensor = TensorLayout((1, benchmark.elements), 0.391, 89)
    values = np.tile(np.resize(np.arange(-128, 128), benchmark.elements), (2, 1)).astype(np.int8)
    first, second = benchmark.encode(values, tensor)
    assert first == second and len(first) == benchmark.sample_bytes
    assert benchmark.decode(first, tensor).tolist() == values[:1].tolist()


def test_pixels_are_unsigned_on_the_wire() -> None:
    pixels = np.resize(np.arange(256), (1, 32, 32, 3)).astype(np.uint8)
    (sample,) = BENCHMARKS["ic01"].encode(pixels, IMAGE)
    assert sample == pixels.tobytes()
    assert BENCHMARKS["ic01"].encode(pixels.astype(np.float32), IMAGE) == [sample]
    assert BENCHMARKS["ic01"].decode(sample, IMAGE).reshape(-1)[:3].tolist() == [-128, -127, -126]


def test_anomaly_detection_is_in_real_numbers() -> None:
    """The result is the mean squared difference between the input, not quantised, and the output."""
    benchmark = BENCHMARKS["ad01"]
    real = np.linspace(-20, 10, 640).astype(np.float32)
    (sample,) = benchmark.encode(real, SPECTRUM)
    assert sample == real.astype("<f4").tobytes()
    output = np.zeros((1, 640), np.int8)
    expected = np.mean((0.4 * (0 - 89) - real.astype(np.float64)) ** 2)
    assert benchmark.results(sample, output, SPECTRUM) == pytest.approx([expected], rel=1e-6)


def test_samples_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="3072 elements a sample; got 3000"):
        BENCHMARKS["ic01"].encode(np.zeros((1, 3000), np.uint8), IMAGE)
    with pytest.raises(InputError, match="int8 or real values, not uint8"):
        BENCHMARKS["kws01"].encode(np.zeros((1, 490), np.uint8), TensorLayout((1, 490), 0.6, 83))
    with pytest.raises(InputError, match="int64"):
        BENCHMARKS["ic01"].encode(np.zeros((1, 3072), np.int64), IMAGE)


def test_another_quantisation_is_noticed() -> None:
    assert BENCHMARKS["kws01"].warning(TensorLayout((1, 490), 0.5847029, 83)) is None
    assert "zero point 82" in str(BENCHMARKS["kws01"].warning(TensorLayout((1, 490), 0.5847029, 82)))
    assert "scale 0.25" in str(BENCHMARKS["ic01"].warning(TensorLayout((1, 3072), 0.25, -128)))
    assert BENCHMARKS["ad01"].warning(TensorLayout((1, 640), 3.0, 0)) is None


def test_files_of_samples(tmp_path: Path) -> None:
    candidate = open_candidate(sized_blob(tmp_path))
    random = np.random.default_rng(0).integers(-128, 128, (3, 49, 10, 1)).astype(np.int8)
    np.savez(tmp_path / "a.npz", input=random, labels=np.array([0.0, 11.0, 3.0]))
    loaded = load_samples(tmp_path / "a.npz", candidate)
    assert loaded.samples == [sample.tobytes() for sample in random]
    assert loaded.labels is not None and loaded.labels.tolist() == [0, 11, 3]
    assert loaded.first(2).samples == loaded.samples[:2] and len(loaded.first(2).labels) == 2  # type: ignore[arg-type]
    np.savez(tmp_path / "b.npz", spectra=random, names=np.array(["a", "b", "c"]))
    assert load_samples(tmp_path / "b.npz", candidate).labels is None
    np.save(tmp_path / "c.npy", random[:1])
    assert load_samples(tmp_path / "c.npy", candidate).samples == loaded.samples[:1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": (2, 490), "b": (1, 490)}, "2 with a multiple of 490"),
        ({"a": (2, 491)}, "0 with a multiple of 490"),
        ({"input": (2, 490), "labels": (3,)}, "3 labels and 2 samples"),
        ({"input": (1, 490), "labels": [12]}, "0 to 11"),
        ({"input": (1, 490), "labels": [0.5]}, "whole numbers"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    values = {
        name: np.zeros(shape, np.int8) if isinstance(shape, tuple) else np.array(shape)
        for name, shape in arrays.items()
    }
    np.savez(tmp_path / "a.npz", **values)
    with pytest.raises(InputError, match=message):
        load_samples(tmp_path / "a.npz", open_candidate(sized_blob(tmp_path)))


def test_a_blob_gives_samples_too(tmp_path: Path) -> None:
    candidate = open_candidate(sized_blob(tmp_path))
    samples = samples_of_blob(candidate).samples
    assert len(samples) >= 1 and all(len(sample) == 490 for sample in samples)
    assert samples == samples_of_blob(candidate).samples


def test_metrics() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [0.3, 0.7]])
    assert top1_accuracy(scores, np.array([1, 1, 0, 1])) == 0.75
    assert area_under_curve(np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1])) == 1.0
    assert area_under_curve(np.array([4.0, 3, 2, 1]), np.array([0, 0, 1, 1])) == 0.0
    assert area_under_curve(np.array([1.0, 1, 1, 2]), np.array([0, 1, 0, 1])) == pytest.approx(0.75)
    assert area_under_curve(np.array([1.0, 2]), np.array([1, 1])) is None


def test_how_many_inferences_take_ten_seconds() -> None:
    performance = Performance("kws01", "smidgen", 10, 1, (500_000, 400_000, 600_000, 500_000, 500_000), False)
    assert performance.median_throughput == pytest.approx(20)
    assert performance.seconds == pytest.approx(2.5)
    assert performance.sufficient_inferences == 40
    assert Performance("kws01", "smidgen", 10, 1, (), True).median_throughput is None


@contextmanager
def device(answer: Callable[[str], str]) -> Iterator[str]:
    """A port behind which every command is answered."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def serve() -> None:
        received = b""
        with suppress(OSError):  # everybody has closed the other end
            while data := os.read(master, 100):
                received += data
                while b"%" in received:
                    command, _, received = received.partition(b"%")
                    os.write(master, answer(command.decode()).encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        thread.join()
        os.close(master)


@contextmanager
def answering(text: str) -> Iterator[DutPort]:
    """A port on which every command has the same answer."""
    with device(lambda command: text) as path, DutPort(path, slowness=0.2) as port:
        yield port


def test_an_answer_in_other_line_ends_and_with_empty_lines() -> None:
    with answering("\n\0m-name-dut-[x y]\n\r\nsomething else\r\nm-ready\n") as port:
        assert port.name() == "x y"


@pytest.mark.parametrize("text", ["", "m-name-dut-[x]\r\n", "m-ready"])
def test_a_device_that_falls_silent(text: str) -> None:
    with answering(text) as port, pytest.raises(BoardTimeout, match="no line for 1 s"):
        port.name()


def test_a_device_that_infers_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "INFER_SECONDS", 1.0)
    with answering("m-warmup-start-0\r\n") as port, pytest.raises(BoardTimeout, match="'infer 9 0': take fewer"):
        port.infer(9, 0)


def test_a_device_that_refuses() -> None:
    with (
        answering("e-[Unknown command: name]\r\nm-ready\r\n") as port,
        pytest.raises(BoardError, match=r"answered 'e-.*' to 'name'"),
    ):
        port.name()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m-lap-us-1\r\n",
        "m-lap-us-1\r\nm-lap-us-2\r\n",
        "m-lap-us-1\r\nm-results-[0.5]\r\n",
        "m-lap-us-2\r\nm-lap-us-1\r\nm-results-[0.5]\r\n",
        "m-lap-us-1\r\nm-lap-us-2\r\nm-results-[]\r\n",
        "m-lap-us-1\r\nm-lap-us-2\r\nm-results-[0.5,x]\r\n",
        "m-lap-us-1\r\nm-lap-us-2\r\nm-results-[0.5]\r\nm-results-[0.5]\r\n",
        f"m-lap-us-{100 * '1'}\r\nm-lap-us-2\r\nm-results-[0.5]\r\n",
    ],
)
def test_no_valid_inference(text: str) -> None:
    with answering(text + "m-ready\r\n") as port, pytest.raises(BoardError, match="no valid answer to 'infer 1 0'"):
        port.infer(1, 0)


def test_an_inference() -> None:
    answer = "m-infer-start-2\r\nm-lap-us-100\r\nm-lap-us-350\r\nm-results-[0.125,-1.500]\r\nm-ready\r\n"
    with answering(answer) as port:
        inference = port.infer(2, 0)
    assert (inference.microseconds, inference.results) == (250, (0.125, -1.5))


def test_an_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_LONGEST_LINE", 1000)
    with answering(2000 * "x") as port, pytest.raises(BoardError, match="no valid answer"):
        port.name()


def test_a_sample_is_sent_in_pieces_of_31_bytes() -> None:
    commands: list[str] = []

    def answer(command: str) -> str:
        commands.append(command)
        first = "m-[Expecting 70 bytes]\r\n" if command == "db load 70" else ""
        return f"{first}{'m-load-done' if len(commands) == 4 else ''}\r\nm-ready\r\n"

    sample = bytes(range(70))
    with device(answer) as path, DutPort(path) as port:
        port.load(sample)
    assert commands[0] == "db load 70"
    assert [len(command) for command in commands[1:]] == [3 + 62, 3 + 62, 3 + 16]
    assert bytes.fromhex("".join(command.removeprefix("db ") for command in commands[1:])) == sample


def test_a_device_that_does_not_get_all_of_a_sample() -> None:
    with answering("m-[Expecting 3 bytes]\r\nm-ready\r\n") as port, pytest.raises(BoardError, match="no valid answer"):
        port.load(b"abc")


def test_a_blob_for_no_benchmark(tmp_path: Path) -> None:
    path = sized_blob(tmp_path, (1, 6), (1, 3))
    result = CliRunner().invoke(cli, ["mlperf", str(path), "--port", "sim:unix"])
    assert isinstance(result.exception, InputError) and "6 input and 3 output" in str(result.exception)
