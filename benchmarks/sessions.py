"""What `smidgen compare` finds between sessions: python -m benchmarks.sessions

Two real sessions of one network on sim:pico and on sim:unix, one of them made 2 % slower by hand, and pairs of made-up
sessions with a board's noise. Exit code 1 if a slowdown is missed where it can be found, or found where there is none.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.power import demo_network
from benchmarks.tables import console
from rich import box
from rich.table import Table

from smidgen.bench import BenchPlan, bench, compare, read_session
from smidgen.bench.folder import RESULTS
from smidgen.bench.significance import Verdict, noisy_difference

SLOWDOWN = 1.02
PAIRS = 500
EXACT, SHARED = "sim:pico", "sim:unix"


@dataclass(frozen=True)
class SessionTrial:
    """medians: of the two sessions, in microseconds. equal: what differed between them; slower: between the first and
    itself, made slower."""

    port: str
    medians: tuple[float, float]
    cycles: tuple[float | None, float | None]
    equal: list[str]
    slower: list[str]


@dataclass(frozen=True)
class NoiseTrial:
    """Of PAIRS each: how many slower sessions were found, and how many equal ones were taken for different."""

    noise: float
    found: int
    mistaken: int


def trial(port: str, blob: bytes, inferences: int = 20, rounds: int = 2) -> SessionTrial:
    with TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "network.smg"
        file.write_bytes(blob)
        done = [bench(file, port, BenchPlan(inferences, rounds, folder=folder / each)).result for each in "ab"]
        saved = [read_session(folder / each) for each in "ab"]
        _slow_down(folder / "a" / RESULTS, folder / "slower.json")
        slower = read_session(folder / "slower.json")
        documents = [result.as_dict()["latency"] for result in done]
    return SessionTrial(
        port,
        (documents[0]["microseconds"]["median"], documents[1]["microseconds"]["median"]),
        (documents[0]["median_cycles"], documents[1]["median_cycles"]),
        [change.what for change in compare(*saved).differences],
        [change.what for change in compare(saved[0], slower).differences],
    )


def _slow_down(source: Path, target: Path) -> None:
    """The same session with every inference longer."""
    document = json.loads(source.read_text())
    document["latency"]["ticks"] = [round(SLOWDOWN * ticks) for ticks in document["latency"]["ticks"]]
    target.write_text(json.dumps(document))


def board_noise(count: int, median: float, seed: int, noise: float = 0.003) -> list[int]:
    """Microseconds: a normal distribution, a slow drift of half its width, and an interrupt in one of twenty."""
    random = np.random.default_rng(seed)
    drift = 0.5 * noise * np.sin(np.linspace(0, 2 * np.pi, count) + random.uniform(0, 2 * np.pi))
    times = median * (1 + drift + random.normal(0, noise, count))
    times += (random.random(count) < 0.05) * median * 0.05
    return [int(time) for time in times]


def noise_trial(noise: float, pairs: int = PAIRS) -> NoiseTrial:
    """Sessions of a hundred inferences of 20 ms."""
    found = mistaken = 0
    for seed in range(pairs):
        before = board_noise(100, 20_000, seed, noise)
        for factor in (1.0, SLOWDOWN):
            after = board_noise(100, factor * 20_000, seed + pairs, noise)
            differs = noisy_difference(before, after).verdict is Verdict.DIFFERENT
            found += differs and factor != 1
            mistaken += differs and factor == 1
    return NoiseTrial(noise, found, mistaken)


def _sessions_table(results: list[SessionTrial]) -> Table:
    table = Table(title="Two sessions, and the first made 2 % slower", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("board", "median, us", "cycles", "the two", "2 % slower"):
        table.add_column(column, no_wrap=True)
    for one in results:
        cycles = " ".join("unknown" if each is None else f"{each:,.0f}" for each in one.cycles)
        medians = " ".join(f"{each:,.0f}" for each in one.medians)
        table.add_row(one.port, medians, cycles, _verdict(one.equal), _verdict(one.slower))
    return table


def _verdict(differences: list[str]) -> str:
    return ", ".join(differences) or "no difference"


def _noise_table(results: list[NoiseTrial]) -> Table:
    table = Table(title=f"{PAIRS} made-up pairs of 100 inferences", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("noise", "2 % slower: found", "equal: taken for different"):
        table.add_column(column, justify="right")
    for one in results:
        table.add_row(f"{one.noise:.1%}", str(one.found), str(one.mistaken))
    return table


def main() -> int:
    blob = demo_network()
    sessions = [trial(EXACT, blob, inferences=5), trial(SHARED, blob, inferences=100)]
    noises = [noise_trial(noise) for noise in (0.003, 0.01)]
    out = console(stderr=False)
    out.print(_sessions_table(sessions))
    out.print(_noise_table(noises))
    good = (
        not any(one.equal for one in sessions)
        and sessions[0].slower == ["latency"]
        and noises[0].found == PAIRS
        and not any(one.mistaken for one in noises)
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
