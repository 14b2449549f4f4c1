"""What counts as a difference between two sessions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bench_sessions import EXACT, MICROSECONDS, SHARED, make_result, save_session
from benchmarks.sessions import board_noise

from command_process import run_command
from smidgen.bench import SessionComparison, compare, read_session
from smidgen.bench.counter import Counter
from smidgen.bench.results import MemoryUse
from smidgen.bench.significance import Verdict
from smidgen.errors import InputError

SEEDS = range(20)


def compared(folder: Path, first: list[int], second: list[int], counter: Counter = MICROSECONDS) -> SessionComparison:
    folder.mkdir(exist_ok=True)
    sessions = [save_session(folder / name, ticks, counter) for name, ticks in (("a", first), ("b", second))]
    return compare(read_session(sessions[0]), read_session(sessions[1]))


def verdict(comparison: SessionComparison, what: str = "latency") -> Verdict:
    return next(change.verdict for change in comparison.changes if change.what == what)


@pytest.mark.parametrize("seed", SEEDS)
def test_finds_a_slowdown_of_two_percent(tmp_path: Path, seed: int) -> None:
    comparison = compared(tmp_path, board_noise(100, 20_000, seed), board_noise(100, 20_400, seed + 1000))
    assert [change.what for change in comparison.differences] == ["latency"]
    (change,) = comparison.differences
    assert change.share == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize("seed", SEEDS)
def test_finds_nothing_in_two_equal_runs(tmp_path: Path, seed: int) -> None:
    assert not compared(tmp_path, board_noise(100, 20_000, seed), board_noise(100, 20_000, seed + 1000)).differs


def test_noise_larger_than_a_change_hides_it(tmp_path: Path) -> None:
    noisy = compared(tmp_path, board_noise(100, 20_000, 1, 0.1), board_noise(100, 20_400, 2, 0.1))
    assert verdict(noisy) is Verdict.SAME


def test_exact_counters_compare_to_a_tick(tmp_path: Path) -> None:
    assert not compared(tmp_path / "1", [20_000, 20_005], [20_001, 20_001], EXACT).differs
    assert compared(tmp_path / "2", [20_000, 20_005], [20_002, 20_002], EXACT).differs


def test_a_shared_computer_needs_a_large_difference(tmp_path: Path) -> None:
    assert not compared(tmp_path / "1", board_noise(50, 2000, 1), board_noise(50, 3500, 2), SHARED).differs
    assert compared(tmp_path / "2", board_noise(50, 2000, 1), board_noise(50, 4500, 2), SHARED).differs


def test_a_computer_that_is_busy_most_of_the_time(tmp_path: Path) -> None:
    """What else it does only makes durations longer, so the least ones are compared."""
    free, busy = board_noise(100, 2000, 1), [*board_noise(90, 6000, 2), *board_noise(10, 2000, 3)]
    assert not compared(tmp_path, free, busy, SHARED).differs


def test_a_few_samples_are_not_judged(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [20_000] * 4, [30_000] * 4)
    assert verdict(comparison) is Verdict.UNKNOWN
    assert not comparison.differs


def test_a_difference_of_two_ticks_is_none(tmp_path: Path) -> None:
    assert not compared(tmp_path / "1", [50] * 100, [52] * 100).differs
    assert compared(tmp_path / "2", [50] * 100, [53] * 100).differs


def test_times_of_counters_with_another_rate_are_compared_as_times(tmp_path: Path) -> None:
    cycles = Counter("ticks_cpu", 160e6, 160e6, 1.0, is_exact=False, is_shared=False, note="cycles")
    micro = board_noise(100, 20_000, 1)
    a = save_session(tmp_path / "a", micro)
    b = save_session(tmp_path / "b", [160 * ticks for ticks in board_noise(100, 20_000, 2)], cycles)
    assert verdict(compare(read_session(a), read_session(b))) is Verdict.SAME


def test_operators_memory_and_identity(tmp_path: Path) -> None:
    ticks = board_noise(100, 20_000, 1)
    a = save_session(tmp_path / "a", ticks, operator_ticks=[[500, 300]] * 10)
    b = save_session(
        tmp_path / "b", ticks, operator_ticks=[[500, 330]] * 10, memory=MemoryUse(200_000, 40_500, 63_000, 63_032)
    )
    comparison = compare(read_session(a), read_session(b))
    assert [change.what for change in comparison.differences] == ["operator 1 FULLY_CONNECTED", "heap of the model"]
    document = json.loads((b / "results.json").read_text())
    document["blob"]["sha256"] = "11" * 32
    document["board"]["micropython"] = "1.29.0"
    (b / "results.json").write_text(json.dumps(document))
    changed = [change.what for change in compare(read_session(a), read_session(b)).differences]
    assert changed[:2] == ["blob", "MicroPython"]


def smidgen(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments)


def test_exit_codes_and_json(tmp_path: Path) -> None:
    a = save_session(tmp_path / "a", board_noise(100, 20_000, 1))
    b = save_session(tmp_path / "b", board_noise(100, 20_400, 2))
    same = smidgen("compare", a, a / "results.json")
    assert same.returncode == 0, same.stderr
    assert "no difference" in same.stdout
    different = smidgen("compare", a, b, "--json")
    assert different.returncode == 1
    assert json.loads(different.stdout)["differs"] is True
    absent = smidgen("compare", a, tmp_path / "absent")
    assert absent.returncode == 6
    assert "Traceback" not in absent.stderr


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("latency", "ticks"), "many"),
        (("latency", "ticks"), [1, -1]),
        (("latency", "ticks"), [1.5]),
        (("operators", "ticks"), [[1]]),
        (("blob", "operators"), None),
        (("blob", "sha256"), 5),
        (("counter", "hertz"), 0),
        (("counter", "hertz"), "fast"),
        (("counter", "hertz"), 2**64),
        (("blob", "arena_bytes"), 2**64),
        (("memory", "peak"), None),
        (("power",), {"joules_per_inference": "much"}),
    ],
)
def test_refuses_what_is_no_session(tmp_path: Path, place: tuple[str, ...], value: object) -> None:
    document = make_result([1, 2, 3]).as_dict()
    part: Any = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    file = tmp_path / "results.json"
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"results\.json"):
        read_session(file)


@pytest.mark.parametrize("text", ["", "[]", "5", "{}", "[" * 100_000, '{"format": 2}', "\ud800"])
def test_refuses_other_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(InputError):
        read_session(file)
