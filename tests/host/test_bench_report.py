"""The report of a session, and how a browser shows it."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from bench_sessions import dense_blob, make_result
from benchmarks.sessions import board_noise

from browser import look_at
from smidgen.bench.arena import ArenaBlock, arena_blocks, occupied_bytes
from smidgen.bench.folder import SessionFolder, create_session
from smidgen.bench.report import write_report
from smidgen.bench.results import BenchResult
from smidgen.bench.statistics import summarize
from smidgen.errors import InputError
from smidgen.power import PowerTrace, RoundEnergy, SourceInfo, Window, duty_cycle, parse_battery
from smidgen.power import summarize as summarize_energy

PHONES_AND_DESKTOPS = [(360, 780), (390, 844), (1280, 800)]


def with_power(result: BenchResult, is_estimate: bool = False) -> PowerTrace:
    """Adds 100 mW of inference above 50 mW of waiting, from a meter with 1000 samples a second."""
    idle, active = Window(1.0, 0.05, 5.0, 0, 1000), Window(10.0, 1.0, 5.0, 500, 10_000)
    source = SourceInfo("a meter <for tests>", 1000.0, "1 %", is_estimate)
    result.energy = summarize_energy(source, [RoundEnergy(idle, active)] * 2)
    result.duty = duty_cycle(result.energy, 1.0)
    result.battery, result.battery_seconds = parse_battery("CR2032"), 3e7
    result.warnings += result.energy.warnings
    amperes = np.where(np.arange(5000) % 1000 < 500, 0.01, 0.02)
    return PowerTrace(np.linspace(0, 5, 5001), np.full(5000, 5.0), amperes, np.zeros(5000, np.uint8))


def write(folder: Path, result: BenchResult, trace: PowerTrace | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    write_report(result, dense_blob()[0], trace, SessionFolder(folder))
    return folder / "report.html"


@pytest.fixture
def full_report(tmp_path: Path) -> Path:
    pytest.importorskip("matplotlib")
    result = make_result(board_noise(100, 20_000, 1), operator_ticks=[[15_000, 5000]] * 3)
    return write(tmp_path / "session", result, with_power(result))


@pytest.mark.parametrize(("width", "height"), PHONES_AND_DESKTOPS)
def test_a_browser_shows_the_report(full_report: Path, tmp_path: Path, width: int, height: int) -> None:
    screenshot = tmp_path / "screenshot.png"
    seen = look_at(full_report, width, height, screenshot)
    assert seen["viewport"] == width
    assert seen["scroll"] <= width
    assert seen["outside"] == []
    assert seen["faults"] == []
    assert seen["loads"] == []  # nothing from the network or beside the page
    assert len(seen["pictures"]) == 5
    assert all(shown > min(width * 0.75, 300) and high > 60 for shown, high in seen["pictures"])
    assert screenshot.stat().st_size > 10_000
    for words in ("dense", "20.", "a meter <for tests>", "CR2032", "Board <1> with Chip", "FULLY_CONNECTED"):
        assert words in seen["text"]


def test_the_report_needs_nothing_else(full_report: Path) -> None:
    text = full_report.read_text(encoding="utf-8")
    assert '<meta name="viewport"' in text
    assert not re.search(r"""(src|href)=["'](?!#)""", re.sub(r'xlink:href="#[^"]*"', "", text))
    assert "<script" not in text
    pictures = sorted(path.name for path in full_report.parent.glob("*.png"))
    assert pictures == ["latency.png", "memory.png", "operator_bytes.png", "operator_times.png", "power.png"]
    assert all((full_report.parent / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_names_cannot_write_into_the_page(tmp_path: Path) -> None:
    result = make_result([1000] * 20, problem="<script>alert(1)</script>", is_partial=True)
    text = write(tmp_path / "session", result).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "Partial: &lt;script&gt;" in text


def test_an_estimate_says_so_beside_every_figure(tmp_path: Path) -> None:
    result = make_result([20_000] * 20)
    trace = with_power(result, is_estimate=True)
    text = write(tmp_path / "session", result, trace).read_text(encoding="utf-8")
    assert text.count("estimate: ") == 5
    assert "an inference (estimate)" in text


def test_a_session_without_figures_has_a_report(tmp_path: Path) -> None:
    result = make_result([], counter=None, is_partial=True, memory=None, round_trips=[], load_microseconds=[])
    assert "not measured" in write(tmp_path / "session", result).read_text(encoding="utf-8")


def test_arena_bytes_that_are_shared_count_once() -> None:
    blocks = [ArenaBlock(0, 100, 0, 1, 0), ArenaBlock(50, 100, 1, 2, 1), ArenaBlock(300, 8, 1, 1, None)]
    assert [occupied_bytes(blocks, operator) for operator in range(4)] == [100, 158, 100, 0]


def test_no_operator_uses_more_than_the_arena() -> None:
    blob, _ = dense_blob()
    blocks = arena_blocks(blob)
    occupied = [occupied_bytes(blocks, operator) for operator in range(len(blob.network.operators))]
    assert 12 <= max(occupied) <= blob.arena_bytes
    assert max(block.offset + block.size for block in blocks) <= blob.arena_bytes


def test_summary() -> None:
    summary = summarize([float(value) for value in range(1, 101)])
    assert summary is not None
    assert (summary.min, summary.median, summary.p95, summary.max) == (1, 50.5, 95, 100)
    assert summarize([]) is None


def test_sessions_replace_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    started = datetime(2026, 1, 31, 12, 0, 0, tzinfo=timezone.utc)
    names = [create_session("../a b", started).path.as_posix() for _ in range(3)]
    assert names == [f"sessions/2026-01-31_12-00-00_a-b{ending}" for ending in ("", "_2", "_3")]
    (tmp_path / "mine").mkdir()
    create_session("x", started, tmp_path / "mine").log("a line")
    with pytest.raises(InputError, match="not empty"):
        create_session("x", started, tmp_path / "mine")
    with pytest.raises(InputError, match="cannot make"):
        create_session("x", started, tmp_path / "mine" / "log.txt")
