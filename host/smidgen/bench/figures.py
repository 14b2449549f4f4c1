"""A session's figures as rows of text, for the terminal and for the report."""

from __future__ import annotations

from smidgen.bench.results import BenchResult
from smidgen.bench.statistics import summarize

Row = tuple[str, str]  # what, and its figure with a unit


def milliseconds(microseconds: float) -> str:
    """To the microsecond, the resolution of most counters."""
    return f"{microseconds / 1000:,.3f} ms"


def energy_text(joules: float) -> str:
    for unit, factor in (("J", 1.0), ("mJ", 1e3), ("µJ", 1e6)):
        if abs(joules) * factor >= 1:
            return f"{joules * factor:.4g} {unit}"
    return f"{joules * 1e9:.4g} nJ"


def duration_text(seconds: float) -> str:
    days = seconds / 86400
    if days >= 730:
        return f"{days / 365.25:.1f} years"
    return f"{days:.1f} days" if days >= 2 else f"{seconds / 3600:.1f} h"


def latency_rows(result: BenchResult) -> list[Row]:
    summary = result.latency
    if summary is None or result.counter is None:
        return [("latency", "not measured")]
    rows = [
        ("inferences", f"{summary.count} of {result.requested}"),
        ("median", milliseconds(summary.median)),
        ("least", milliseconds(summary.min)),
        ("95 % within", milliseconds(summary.p95)),
        ("most", milliseconds(summary.max)),
    ]
    cycles = result.counter.cycles(summary.median * result.counter.hertz / 1e6)
    if cycles is not None:
        rows.append(("cycles (median)", f"{cycles:,.0f}"))
    return [*rows, ("counter", result.counter.note)]


def memory_rows(result: BenchResult) -> list[Row]:
    blob, memory = result.blob, result.memory
    rows = [
        ("blob", f"{blob.blob_bytes:,} B"),
        ("arena", f"{blob.arena_bytes:,} B, of it scratch {blob.scratch_bytes:,} B"),
    ]
    if memory:
        rows += [
            ("heap", f"{memory.heap_bytes:,} B"),
            ("in use before the model", f"{memory.before:,} B"),
            ("with the model", f"{memory.loaded:,} B"),
            ("peak while it infers", f"{memory.peak:,} B"),
        ]
    return rows


def link_rows(result: BenchResult) -> list[Row]:
    rows = []
    if load := summarize(result.load_microseconds):
        rows.append(("loading, on the board", milliseconds(load.median)))
    if result.transfer:
        rows.append(("sending the blob", f"{result.transfer['seconds']:.2f} s"))
    if trip := summarize(result.round_trips):
        rows.append(("round trip of the link", f"{1000 * trip.median:,.2f} ms (least {1000 * trip.min:,.2f} ms)"))
    return rows


def power_rows(result: BenchResult) -> list[Row]:
    energy = result.energy
    if energy is None:
        return []
    mark = "estimate: " if energy.source.is_estimate else ""
    spread = f" ± {100 * energy.spread:.2g} %" if energy.spread is not None else ""
    interrupted = " until the interruption" if energy.is_partial else ""
    rows = [
        ("source", energy.source.name),
        ("energy of an inference", f"{mark}{energy_text(energy.joules_per_inference)}{spread}"),
        ("of it above waiting", f"{mark}{energy_text(energy.joules_above_idle)}"),
        ("power inferring, waiting", f"{mark}{1000 * energy.active_watts:.4g} mW, {1000 * energy.idle_watts:.4g} mW"),
        ("supply", f"{energy.volts:.3f} V"),
        ("windows", f"{len(energy.rounds)}{interrupted}, {energy.inferences} inferences in all"),
    ]
    if energy.source.sample_rate_hz:
        rows.append(("samples a second", f"{energy.source.sample_rate_hz:,.0f}"))
    rows.append(("uncertainty", energy.source.uncertainty))
    if result.duty:
        every = f"{result.duty.every_seconds:g} s"
        rows.append((f"average, one every {every}", f"{mark}{1000 * result.duty.average_watts:.4g} mW"))
    if result.battery and result.battery_seconds is not None:
        use = f"one every {result.duty.every_seconds:g} s" if result.duty else "inferring all the time"
        rows.append((f"life of {result.battery.name}, {use}", f"{mark}{duration_text(result.battery_seconds)}"))
    return rows


def identity_rows(result: BenchResult) -> list[Row]:
    board, blob, host = result.board, result.blob, result.host
    return [
        ("started", result.started),
        ("board", board.machine),
        ("port", board.port),
        ("MicroPython", f"{board.micropython} ({board.platform})"),
        ("smidgen on the board", f"{board.smidgen or 'unknown'}, {board.module_file}"),
        ("SHA-256 of it", board.module_sha256),
        ("blob", blob.file),
        ("SHA-256 of it", blob.sha256),
        ("golden vectors checked", str(result.outputs_checked) if result.outputs_checked else "none in the blob"),
        ("computer", f"smidgen {host.smidgen}, Python {host.python}, {host.system}"),
    ]
