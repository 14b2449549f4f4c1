"""Made-up sessions: a small blob that really is packed, and durations with noise as boards have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen.bench.counter import Counter
from smidgen.bench.facts import blob_facts, host_facts
from smidgen.bench.folder import SessionFolder
from smidgen.bench.results import BenchResult, BoardFacts, MemoryUse
from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob
from smidgen.packer import pack_graph

MICROSECONDS = Counter("ticks_us", 1e6, 125e6, None, is_exact=False, is_shared=False, note="ticks_us")
SHARED = Counter("ticks_us", 1e6, None, None, is_exact=False, is_shared=True, note="ticks_us of a process")
EXACT = Counter("ticks_us", 1e6, 125e6, 125.0, is_exact=True, is_shared=False, note="125 cycles each")


def dense_blob(layers: int = 2) -> tuple[Blob, bytes]:
    """[1, 6] -> [1, 6] -> ..., fully connected."""
    b = GraphBuilder()
    b.tensor("x0", (1, 6), 0.1, 3)
    for layer in range(layers):
        b.tensor(f"x{layer + 1}", (1, 6), 0.2, -4)
        weights = b.weights(f"w{layer}", (6, 6), 0)
        b.append(g.FullyConnected([f"x{layer}"], f"x{layer + 1}", weights=weights, activation=g.Activation.RELU))
    data = pack_graph(b.finish(["x0"], [f"x{layers}"]), {})
    return read_blob(data), data


def make_result(ticks: list[int], counter: Counter | None = MICROSECONDS, **changes: Any) -> BenchResult:
    """A complete session with these durations."""
    blob, data = dense_blob()
    result = BenchResult(
        started="2026-01-31T12:00:00+01:00",
        blob=blob_facts(blob, data, Path("dense.smg")),
        board=BoardFacts(
            "/dev/ttyACM0", "Board <1> with Chip", "rp2", "1.25.0", "armv6m", "0.1.0", "m", "00" * 32, False
        ),
        host=host_facts(),
        requested=len(ticks),
        is_partial=False,
        counter=counter,
        load_microseconds=[900, 910, 905],
        memory=MemoryUse(200_000, 40_000, 60_000, 60_032),
        round_trips=[0.002, 0.0021],
        ticks=ticks,
    )
    for name, value in changes.items():
        setattr(result, name, value)
    return result


def save_session(folder: Path, ticks: list[int], counter: Counter | None = MICROSECONDS, **changes: Any) -> Path:
    """As `smidgen bench` leaves it, without pictures."""
    folder.mkdir()
    SessionFolder(folder).write_results(make_result(ticks, counter, **changes).as_dict())
    return folder
