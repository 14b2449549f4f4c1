"""Benchmark sessions on virtual boards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks import sessions as trials
from benchmarks.power import demo_network

from availability import not_available
from command_process import run_command
from smidgen.bench import BenchPlan, PowerPlan, bench
from smidgen.bench import measurement as measurement_module
from smidgen.errors import BoardError, InputError
from smidgen.link.virtual import create_virtual_board
from smidgen.power import parse_battery

FILES = ["log.txt", "memory.png", "operator_bytes.png", "report.html", "results.json"]


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


@pytest.fixture
def pico() -> str:
    name = "sim:pico"
    try:
        create_virtual_board(name)._prepare()
    except BoardError as error:
        not_available(str(error))
    return name


def test_a_session_has_everything(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    steps: dict[str, tuple[int, int]] = {}
    session = bench(
        dense_blob,
        "sim:unix",
        BenchPlan(inferences=25, profile_rounds=3, folder=tmp_path / "session"),
        progress=lambda what, done, total: steps.update({what: (done, total)}),
    )
    assert steps["inferences"] == (25, 25)
    assert steps["operators"] == (3, 3)
    document = results(session.folder)
    assert document["partial"] is False
    assert document["problem"] is None
    assert len(document["latency"]["ticks"]) == 25
    latency = document["latency"]["microseconds"]
    assert 0 <= latency["min"] <= latency["median"] <= latency["p95"] <= latency["max"]
    assert len(document["operators"]["ticks"]) == 3
    assert len(document["load"]["microseconds"]) == 3
    assert len(document["link"]["samples"]) == 20
    memory = document["memory"]
    assert memory["before"] + document["blob"]["blob_bytes"] + document["blob"]["arena_bytes"] <= memory["loaded"]
    assert memory["loaded"] <= memory["peak"] <= memory["heap_bytes"]
    assert document["counter"]["frequency_hz"] is None
    assert "no machine.freq" in document["counter"]["note"]
    for digest in (document["blob"]["sha256"], document["board"]["module_sha256"]):
        assert len(bytes.fromhex(digest)) == 32
    present = sorted(path.name for path in session.folder.iterdir())
    assert set(FILES) <= set(present)
    assert "complete" in (session.folder / "log.txt").read_text()


def test_two_equal_sessions_do_not_differ(unix_port: None) -> None:
    """However busy this computer is: the least durations of two seconds differ by less than a factor of two."""
    assert trials.trial("sim:unix", demo_network(), inferences=100).equal == []


def test_the_estimate_of_a_board(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    power = PowerPlan("estimate:board=pico", inferences=3, windows=2, idle_seconds=0.01, every_seconds=5.0)
    session = bench(dense_blob, "sim:unix", BenchPlan(5, power=power, folder=tmp_path / "session"))
    document = results(session.folder)["power"]
    assert document["source"]["is_estimate"] is True
    assert document["joules_per_inference"] == pytest.approx(0.1 * document["seconds_per_inference"])
    assert document["duty_cycle"]["average_watts"] == pytest.approx(0.0065, rel=0.2)
    assert any("estimate" in warning for warning in results(session.folder)["warnings"])


@pytest.mark.slow
def test_average_power_and_battery_of_a_sensor(pico: str, dense_blob: Path, tmp_path: Path) -> None:
    """An interruption keeps the complete windows, and what follows from them. The load's pin is the marker, unasked."""
    power = PowerPlan(
        "ina226", inferences=200, windows=3, idle_seconds=0.05, every_seconds=2.0, battery=parse_battery("18650")
    )
    stop = interrupted_after(2, "windows of power")
    session = bench(dense_blob, f"{pico}+ina226", BenchPlan(5, power=power, folder=tmp_path / "s"), progress=stop)
    document = results(session.folder)
    assert (document["partial"], document["problem"]) == (True, "interrupted")
    measured = document["power"]
    assert (measured["is_partial"], len(measured["rounds"])) == (True, 2)
    seconds = measured["seconds_per_inference"]
    watts = (0.225 * seconds + 0.1 * (2 - seconds)) / 2  # 45 mA at 5 V for the inference, 20 mA for the rest
    assert measured["duty_cycle"]["average_watts"] == pytest.approx(watts, rel=0.01)
    assert measured["battery"]["name"] == "18650"
    assert measured["battery_seconds"] == pytest.approx(2.6 * 3600 * 3.6 * 0.9 / watts, rel=0.02)  # self-discharge
    report = (session.folder / "report.html").read_text()
    for words in ("Partial: interrupted", "2 until the interruption", "average, one every 2 s", "life of 18650"):
        assert words in report


def test_a_meter_that_is_not_there_is_told_before_anything_is_measured(
    unix_port: None, dense_blob: Path, tmp_path: Path
) -> None:
    with pytest.raises(BoardError, match="cannot open I2C bus 0"):
        bench(dense_blob, "sim:unix", BenchPlan(5, power=PowerPlan("ina219"), folder=tmp_path / "s"))
    (tmp_path / "trace.csv").write_text("time(s),current(A),voltage(V),marker\n0,1,1,0\n1,1,1,0\n")
    power = PowerPlan(f"csv:{tmp_path / 'trace.csv'}")
    with pytest.raises(InputError, match="--marker PIN"):
        bench(dense_blob, "sim:unix", BenchPlan(5, power=power, folder=tmp_path / "t"))
    for folder in "st":
        assert results(tmp_path / folder)["latency"]["ticks"] == []


def test_an_inference_that_takes_longer_than_every(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    power = PowerPlan("estimate:board=pico", inferences=1, windows=1, idle_seconds=0.001, every_seconds=1e-9)
    result = bench(dense_blob, "sim:unix", BenchPlan(5, power=power, folder=tmp_path / "s")).result
    assert not result.is_partial and result.energy is not None
    assert result.duty is None
    assert any("there cannot be one every 1e-09 s" in warning for warning in result.warnings)


def interrupted_after(portions: int, step: str = "inferences") -> Any:
    def progress(what: str, done: int, total: int) -> None:
        if what == step and done >= portions:
            raise KeyboardInterrupt

    return progress


def test_an_interruption_keeps_what_was_measured(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    session = bench(dense_blob, "sim:unix", BenchPlan(100, folder=tmp_path / "s"), progress=interrupted_after(40))
    assert session.result.is_partial
    document = results(session.folder)
    assert document["partial"] is True
    assert document["problem"] == "interrupted"
    assert 40 <= len(document["latency"]["ticks"]) < 100
    assert "Partial: interrupted" in (session.folder / "report.html").read_text()


def test_a_board_that_fails_keeps_what_was_measured(
    unix_port: None, dense_blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[int]:
        raise BoardError("the board is gone")

    monkeypatch.setattr(measurement_module.BoardTimer, "operators", fail)
    with pytest.raises(BoardError, match="gone"):
        bench(dense_blob, "sim:unix", BenchPlan(10, profile_rounds=1, folder=tmp_path / "s"))
    document = results(tmp_path / "s")
    assert (document["partial"], document["problem"]) == (True, "the board is gone")
    assert len(document["latency"]["ticks"]) == 10


def test_results_are_partial_until_the_end(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    """Whatever kills the program leaves results.json as it was last written, whole."""
    seen: list[Any] = []
    folder = tmp_path / "s"
    bench(dense_blob, "sim:unix", BenchPlan(5, folder=folder), progress=lambda *_: seen.append(results(folder)))
    assert seen and all(document["partial"] is True for document in seen)


def test_a_folder_that_is_not_empty_is_refused(unix_port: None, dense_blob: Path) -> None:
    with pytest.raises(InputError, match="not empty"):
        bench(dense_blob, "sim:unix", BenchPlan(1, folder=dense_blob.parent))


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "smidgen", *map(str, arguments)]


def test_the_command(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    arguments = ("bench", dense_blob, "--port", "sim:unix", "-n", 5, "--json", "--profile")
    done = run_command(*arguments, timeout=120, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    folder = tmp_path / document["folder"]
    assert folder.parent == tmp_path / "sessions"
    assert document["latency"]["ticks"] == results(folder)["latency"]["ticks"]
    refused = run_command("bench", dense_blob, "--port", "sim:unix", "--every", "1s")
    assert refused.returncode == 2
    assert "--power" in refused.stderr


def test_ctrl_c_at_the_command(unix_port: None, dense_blob: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    process = subprocess.Popen(
        command("bench", dense_blob, "--port", "sim:unix", "-n", 10_000_000, "--session", folder),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not ((folder / "results.json").exists() and results(folder)["latency"]["ticks"]):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, messages
    assert "partial" in messages
    assert results(folder)["partial"] is True
    assert results(folder)["latency"]["ticks"]
    assert (folder / "report.html").exists()


@pytest.mark.slow
def test_the_pico_takes_the_same_cycles_twice(pico: str, dense_blob: Path) -> None:
    """To the resolution of its clock; and 2 % more, put into the durations by hand, is found."""
    trial = trials.trial(pico, dense_blob.read_bytes(), inferences=8)
    first, second = trial.cycles
    assert first is not None and second is not None
    assert first == 125 * trial.medians[0]  # of 125 MHz
    assert abs(first - second) <= 125
    assert (trial.equal, trial.slower) == ([], ["latency"])
