"""Devices under test of MLPerf Tiny, measured by smidgen's own runner and by a stand-in for the official one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlperf_models import anomaly_blob

from availability import not_available
from command_process import run_command
from mlperf_rig import MODELS, OfficialRunner, real_candidate, small_candidate
from models import FOLDER, golden_path
from smidgen.errors import BoardError, InputError, MismatchError
from smidgen.link.session import connect
from smidgen.link.virtual import VirtualUnixBoard, create_virtual_board
from smidgen.mlperf import (
    BenchmarkSamples,
    Candidate,
    DeviceUnderTest,
    device_under_test,
    load_samples,
    measure_accuracy,
    measure_performance,
    open_candidate,
    samples_of_blob,
)
from smidgen.mlperf.protocol import DutPort
from smidgen.mlperf.runner import WINDOWS
from terminal import Terminal


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    return small_candidate(tmp_path)


@pytest.fixture
def dut(virtual_board: VirtualUnixBoard, candidate: Candidate) -> Iterator[DeviceUnderTest]:
    with device_under_test(candidate, virtual_board.port) as dut:
        yield dut


@pytest.fixture
def runner(dut: DeviceUnderTest) -> Iterator[OfficialRunner]:
    with OfficialRunner(dut.port) as runner:
        yield runner


def sample_of(candidate: Candidate, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(-128, 128, candidate.benchmark.elements).astype(np.int8)
    return candidate.benchmark.encode(values, candidate.input)[0]


def agrees(results: list[float], candidate: Candidate, sample: bytes) -> bool:
    """Within the three decimals that a result has."""
    return bool(np.allclose(results, candidate.expected(sample), rtol=1e-5, atol=0.0006))


def test_the_official_sequence(runner: OfficialRunner, candidate: Candidate) -> None:
    assert runner.send_command("name") == ["m-name-dut-[smidgen]", "m-ready"]
    firmware = "m-profile-[ULPMark for tinyML Firmware V0.0.1]"
    assert runner.send_command("profile") == [firmware, "m-model-[kws01]", "m-ready"]
    for window in range(5):
        sample = sample_of(candidate, window)
        runner.load(sample)
        microseconds, results = runner.infer(10, 1)
        assert microseconds > 0
        assert agrees(results, candidate, sample)
    again = runner.send_command("results")
    assert again[1] == "m-ready" and [float(part) for part in again[0][11:-1].split(",")] == results


def test_what_a_device_says_when_it_starts(virtual_board: VirtualUnixBoard, candidate: Candidate) -> None:
    """And when it is started again by hand, at the prompt."""
    with device_under_test(candidate, virtual_board.port) as dut, OfficialRunner(dut.port) as runner:
        assert len(runner.send_command("%timestamp")) == 1  # an empty command, as a runner that flushes sends it
        first, second = runner.read_answer("timestamp"), runner.send_command("timestamp")
    assert first[0].startswith("m-lap-us-") and first[1:] == second[1:] == ["m-ready"]
    assert int(second[0][9:]) > int(first[0][9:])


def test_the_buffer_can_be_printed(runner: OfficialRunner) -> None:
    assert runner.send_command("db load 10") == ["m-[Expecting 10 bytes]", "m-ready"]
    assert runner.send_command("db 000102030405060708") == ["m-ready"]
    assert runner.send_command("db fF") == ["m-load-done", "m-ready"]
    assert runner.send_command("db print") == ["m-buffer-00-01-02-03-04-05-06-07", "m-buffer-08-ff", "m-ready"]


@pytest.mark.parametrize(
    ("commands", "answer"),
    [
        (["jump"], "e-[Unknown command: jump]"),
        (["jump high"], "e-[Unknown command: jump]"),
        (["db"], "e-[Command 'db' requires a subcommand]"),
        (["db load"], "e-[Command 'db load' requires the # of bytes]"),
        (["db load 0"], "e-[Command 'db load' must be >0 bytes]"),
        (["db load -3"], "e-[Command 'db load' must be >0 bytes]"),
        (["db load many"], "e-[Command 'db load' must be >0 bytes]"),
        (["db load 491"], "e-[Supplied buffer size 491 exceeds maximum of 490]"),
        (["db load " + 60 * "9"], "e-[Supplied buffer size " + 60 * "9" + " exceeds maximum of 490]"),
        (["db 00"], "e-[No bytes are expected; 'db load N' comes first]"),
        (["db load 4", "db 012"], "e-[Insufficent number of hex digits]"),
        (["db load 4", "db 00xy11"], "e-[Invalid hex digit 'xy']"),
        (["db load 4", "db 00-1"], "e-[Invalid hex digit '-1']"),
        (["db load 4", "db 001g"], "e-[Invalid hex digit '1g']"),
        (["db load 1", "db 00", "db 01"], "e-[No bytes are expected; 'db load N' comes first]"),
        (["infer 1 0"], "e-[Input db has 0 bytes, expected 490]"),
        (["infer"], "e-[Input db has 0 bytes, expected 490]"),
        (["infer 0"], "e-[Inference iterations must be >0]"),
        (["infer 1 -1"], "e-[Inference warmup must be >=0]"),
        (["infer 1 some"], "e-[Inference warmup must be >=0]"),
        (["db load 4", "db 00010203", "infer 1 0"], "e-[Input db has 4 bytes, expected 490]"),
        (["results"], "e-[No results; 'infer N W' comes first]"),
        (["db " + 78 * "0"], "e-[Command has 81 characters, at most 80 are possible]"),
        ([200 * "x"], "e-[Command has 200 characters, at most 80 are possible]"),
    ],
)
def test_refusals(runner: OfficialRunner, commands: list[str], answer: str) -> None:
    for command in commands[:-1]:
        runner.send_command(command)
    assert runner.send_command(commands[-1]) == [answer, "m-ready"]
    assert runner.send_command("name") == ["m-name-dut-[smidgen]", "m-ready"]


def test_a_command_of_80_characters_is_taken(runner: OfficialRunner) -> None:
    assert runner.send_command("db load 38") == ["m-[Expecting 38 bytes]", "m-ready"]
    assert runner.send_command("db  " + 76 * "1") == ["m-load-done", "m-ready"]


def test_too_many_bytes(runner: OfficialRunner) -> None:
    """What is more than N in a command is disregarded, and nothing is written behind the buffer."""
    runner.send_command("db load 490")
    for _ in range(15):
        assert runner.send_command("db " + 31 * "07") == ["m-ready"]
    assert runner.send_command("db " + 31 * "08") == ["m-load-done", "m-ready"]
    assert runner.send_command("db " + 31 * "09")[0].startswith("e-[No bytes are expected")
    assert runner.send_command("db print")[-2:] == ["m-buffer-08-08", "m-ready"]


def test_a_sample_can_be_begun_again(runner: OfficialRunner, candidate: Candidate) -> None:
    runner.send_command("db load 490")
    runner.send_command("db 0102")
    sample = sample_of(candidate)
    runner.load(sample)
    assert agrees(runner.infer(1, 0)[1], candidate, sample)


def test_a_run_that_is_refused_leaves_the_results(runner: OfficialRunner, candidate: Candidate) -> None:
    runner.load(sample_of(candidate))
    _, results = runner.infer(2, 3)
    runner.send_command("infer 0")
    assert runner.send_command("results")[0] == "m-results-[" + ",".join(f"{one:.3f}" for one in results) + "]"


def test_bytes_that_are_no_text(runner: OfficialRunner) -> None:
    runner.serial.write(b"\xff\xfe\x00\r\n\x80%")
    assert runner.read_answer("noise") == ["e-[Unknown command: ?]", "m-ready"]
    runner.serial.write(b"\r\nna\rme\n%")
    assert runner.read_answer("name") == ["m-name-dut-[smidgen]", "m-ready"]


def test_a_whole_session_at_once(runner: OfficialRunner) -> None:
    """A runner may send before it has read."""
    runner.serial.write(b"name%db load 2%db 0102%db print%")
    answers = [runner.read_answer("all") for _ in range(4)]
    assert answers[3] == ["m-buffer-01-02", "m-ready"]


def left_behind(port: str) -> tuple[list[str], list[str], int]:
    """The board's global names, its files, and the bytes of heap in use, as the next one finds them."""
    with connect(port) as board:
        used = board.eval("__import__('gc').collect() or __import__('gc').mem_alloc()")
        return board.eval("sorted(globals())"), board.eval("sorted(__import__('os').listdir('/'))"), used


def use_smidgen(port: str, code: str = "") -> None:
    """So that it is installed and imported, which stays so."""
    with connect(port) as board:
        board.install()
        board.exec("import smidgen as _\ndel _\n" + code)


@pytest.mark.parametrize("before", [b"", b"db load 490%db 01", b"infer 1000000 0%", b"db pri"])
def test_ctrl_c_gives_the_prompt_back(virtual_board: VirtualUnixBoard, candidate: Candidate, before: bytes) -> None:
    """In a terminal, whatever the device is doing."""
    use_smidgen(virtual_board.port)
    names, files, used = left_behind(virtual_board.port)
    with device_under_test(candidate, virtual_board.port) as dut:
        with OfficialRunner(dut.port) as runner:
            runner.load(sample_of(candidate))
            runner.serial.write(before)
            if before.startswith(b"infer"):
                runner.serial.read_until(b"m-lap-us-")
        terminal = Terminal(dut.port)
        terminal.type(b"\x03")
        terminal.type(b"\x03")  # what the device has not read yet is half a line at the prompt
        terminal.type(b"print(40 + 2)\r", until=b"\r\n42\r\n>>> ")
        terminal.serial.close()
        assert left_behind(virtual_board.port)[:2] == (names, files)
        assert left_behind(virtual_board.port)[2] < used + 2048


def test_the_board_is_as_it_was(virtual_board: VirtualUnixBoard, candidate: Candidate) -> None:
    use_smidgen(virtual_board.port, "mine = 5")
    names, files, used = left_behind(virtual_board.port)
    with device_under_test(candidate, virtual_board.port) as dut, DutPort(dut.port) as port:
        assert port.name() == "smidgen"
    terminal = Terminal(virtual_board.port)
    terminal.type(b"print(mine)\r", until=b"\r\n5\r\n>>> ")
    terminal.serial.close()
    assert left_behind(virtual_board.port)[:2] == (names, files)
    assert left_behind(virtual_board.port)[2] < used + 2048


def test_another_session_takes_the_board(virtual_board: VirtualUnixBoard, candidate: Candidate) -> None:
    """A runner that was killed leaves a device under test; any command of smidgen can use the board nevertheless."""
    with device_under_test(candidate, virtual_board.port), connect(virtual_board.port) as board:
        assert board.eval("1 + 1") == 2
        assert not [name for name in board.eval("list(globals())") if name.startswith("Smidgen")]


def test_a_model_that_does_not_fit(candidate: Candidate, unix_port: None) -> None:
    with (
        pytest.raises(BoardError, match=r"RAM free|bytes of RAM"),
        device_under_test(candidate, "sim:unix", heap_bytes=40_000),
    ):
        pass


def test_performance(dut: DeviceUnderTest, candidate: Candidate) -> None:
    seen: list[tuple[str, int, int]] = []
    result = measure_performance(
        candidate, dut, samples_of_blob(candidate), 20, 2, progress=lambda *step: seen.append(step)
    )
    assert (result.benchmark, result.vendor, result.is_partial) == ("kws01", "smidgen", False)
    assert len(result.windows) == WINDOWS and seen[-1] == ("windows", WINDOWS, WINDOWS)
    assert result.median_throughput == pytest.approx(20e6 / sorted(result.windows)[2])
    assert result.seconds == pytest.approx(sum(result.windows) / 1e6)


def test_accuracy(dut: DeviceUnderTest, candidate: Candidate) -> None:
    samples = [sample_of(candidate, seed) for seed in range(8)]
    right = np.array([int(np.argmax(candidate.expected(sample))) for sample in samples])
    labels = right.copy()
    labels[:2] = (labels[:2] + 1) % 12
    result = measure_accuracy(candidate, dut, BenchmarkSamples(samples, labels))
    assert (result.samples, result.score, result.suffices) == (8, 0.75, False)
    assert measure_accuracy(candidate, dut, BenchmarkSamples(samples)).score is None


def test_an_interruption_keeps_what_was_measured(dut: DeviceUnderTest, candidate: Candidate) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    samples = samples_of_blob(candidate)
    performance = measure_performance(candidate, dut, samples, 1, 0, interrupt)
    assert performance.is_partial and len(performance.windows) == 3
    accuracy = measure_accuracy(candidate, dut, BenchmarkSamples(samples.samples * 4), interrupt)
    assert accuracy.is_partial and accuracy.samples == 3


def test_a_board_that_computes_something_else(dut: DeviceUnderTest, candidate: Candidate, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = small_candidate(tmp_path / "other", seed=1)
    with pytest.raises(MismatchError, match="sample 0: result 0 of the board is"):
        measure_accuracy(other, dut, samples_of_blob(candidate))


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "smidgen", "mlperf", *map(str, arguments)]


def test_the_command_serves_the_official_runner(virtual_board: VirtualUnixBoard, candidate: Candidate) -> None:
    process = subprocess.Popen(
        command(candidate.path, "--port", virtual_board.port),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        assert process.stdout.readline() == f"kws01 {virtual_board.port}\n"
        with OfficialRunner(virtual_board.port) as runner:
            sample = sample_of(candidate)
            runner.load(sample)
            assert agrees(runner.infer(3, 0)[1], candidate, sample)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, messages
    terminal = Terminal(virtual_board.port)
    terminal.type(b"print(40 + 2)\r", until=b"\r\n42\r\n>>> ")
    terminal.serial.close()


def test_the_command_serves_a_virtual_board_of_its_own(unix_port: None, candidate: Candidate) -> None:
    process = subprocess.Popen(
        command(candidate.path, "--port", "sim:unix"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        name, port = process.stdout.readline().split()
        with OfficialRunner(port) as runner:
            assert runner.send_command("profile")[1] == f"m-model-[{name}]"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0


def test_the_command_measures(unix_port: None, candidate: Candidate, tmp_path: Path) -> None:
    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        return run_command("mlperf", candidate.path, "--port", "sim:unix", *arguments, timeout=120)

    done = run("--run", "performance", "-n", 3)
    assert done.returncode == 0, done.stderr
    assert "median throughput" in done.stdout and "MLPerf Tiny asks for 10" in done.stderr
    samples = [np.frombuffer(sample_of(candidate, seed), np.int8) for seed in range(4)]
    labels = [int(np.argmax(candidate.expected(sample.tobytes()))) for sample in samples]
    np.savez(tmp_path / "s.npz", input=np.stack(samples), labels=labels)
    done = run("--run", "accuracy", "--input", tmp_path / "s.npz", "--limit", 3, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 3
    assert json.loads(done.stdout)["score"] == 1.0
    refused = run("--input", tmp_path / "s.npz")
    assert refused.returncode == 2 and "--run" in refused.stderr
    assert run("--model", "ic01").returncode == InputError.exit_code


def test_every_virtual_board(board_name: str, candidate: Candidate) -> None:
    sample = sample_of(candidate)
    with device_under_test(candidate, board_name) as dut:
        with OfficialRunner(dut.port, 60.0) as runner:
            assert runner.send_command("profile")[1] == "m-model-[kws01]"
            runner.load(sample)
            assert agrees(runner.infer(2, 1)[1], candidate, sample)
            assert runner.send_command("db 00")[0].startswith("e-")
        assert measure_accuracy(candidate, dut, BenchmarkSamples([sample])).samples == 1


@pytest.mark.parametrize("board_name", ["sim:unix", "sim:cortex-m4"], indirect=True)
def test_anomaly_detection(board_name: str, tmp_path: Path) -> None:
    """The squared error is computed by the board, on all but sim:unix in single precision."""
    candidate = open_candidate(anomaly_blob(tmp_path), "ad01")
    real = np.random.default_rng(0).normal(-20, 15, (2, 640)).astype(np.float32)
    samples = candidate.benchmark.encode(real, candidate.input)
    with device_under_test(candidate, board_name) as dut, OfficialRunner(dut.port, 60.0) as runner:
        runner.load(samples[0])
        assert agrees(runner.infer(1, 0)[1], candidate, samples[0])
        real[0, 7] = np.nan
        runner.load(real[0].tobytes())
        assert runner.send_command("infer 1 0") == ["e-[ValueError: input: element 7 is not a number]", "m-ready"]
        runner.load(samples[1])
        assert agrees(runner.infer(2, 1)[1], candidate, samples[1])


@pytest.mark.parametrize("name", MODELS)
def test_real_models(name: str, virtual_board: VirtualUnixBoard, tmp_path: Path) -> None:
    """The reference models, by both runners; what they compute is compared with the vectors of TFLite Micro."""
    vectors = np.load(golden_path(MODELS[name]))
    candidate = real_candidate(name, tmp_path)
    samples = candidate.benchmark.encode(vectors["input"][:3], candidate.input)
    with device_under_test(candidate, virtual_board.port) as dut:
        with OfficialRunner(dut.port) as runner:
            runner.load(samples[0])
            microseconds, results = runner.infer(3, 1)
        expected = candidate.benchmark.results(samples[0], vectors["output"][0], candidate.output)
        assert microseconds > 0
        assert np.allclose(results, expected, rtol=1e-5, atol=0.0006)
        with DutPort(dut.port) as port:
            port.load(samples[1])
            assert port.loaded() == samples[1]
        assert measure_accuracy(candidate, dut, BenchmarkSamples(samples)).samples == 3
        assert len(measure_performance(candidate, dut, BenchmarkSamples(samples), 2, 0).windows) == WINDOWS


def test_accuracy_on_labelled_images(virtual_board: VirtualUnixBoard, tmp_path: Path) -> None:
    """Pictures of the official set, as the official runner sends them."""
    images = FOLDER / "vww200.npz"
    if not images.exists():
        pytest.skip(f"{images.name} is not here (looked in {FOLDER})")
    candidate = real_candidate("vww01", tmp_path)
    samples = load_samples(images, candidate).first(20)
    assert samples.labels is not None
    expected = [int(np.argmax(candidate.expected(sample))) for sample in samples.samples]
    with device_under_test(candidate, virtual_board.port) as dut:
        result = measure_accuracy(candidate, dut, samples)
    assert result.score == pytest.approx(np.mean(np.array(expected) == samples.labels))


@pytest.mark.slow
def test_keyword_spotting_on_a_pico(tmp_path: Path) -> None:
    try:
        create_virtual_board("sim:pico")._prepare()
    except BoardError as error:
        not_available(str(error))
    candidate = real_candidate("kws01", tmp_path)
    samples = samples_of_blob(candidate)
    with device_under_test(candidate, "sim:pico") as dut:
        with OfficialRunner(dut.port, 60.0) as runner:
            assert runner.send_command("profile")[1] == "m-model-[kws01]"
            runner.load(samples.samples[0])
            microseconds, results = runner.infer(1, 0)
        assert agrees(results, candidate, samples.samples[0])
        assert 90_000 < microseconds < 130_000  # by the board's clock
        assert measure_accuracy(candidate, dut, samples.first(1)).samples == 1
