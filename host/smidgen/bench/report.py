"""The report of a session: one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape

from smidgen.bench.figures import (
    Row,
    energy_text,
    identity_rows,
    latency_rows,
    link_rows,
    memory_rows,
    milliseconds,
    power_rows,
)
from smidgen.bench.folder import REPORT, SessionFolder
from smidgen.bench.plots import Picture, draw
from smidgen.bench.results import BenchResult
from smidgen.blob.contents import Blob
from smidgen.errors import InputError
from smidgen.power import PowerTrace

_STYLE = """
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:68rem;font:16px/1.45 system-ui,sans-serif;color:#1c2126;background:#f6f7f9}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.05rem;margin:0 0 .5rem}p{margin:.4rem 0}
.sub{color:#5c6570;overflow-wrap:anywhere}
.tiles,.cards{display:grid;gap:.8rem;margin:1rem 0}
.tiles{grid-template-columns:repeat(auto-fit,minmax(8rem,1fr))}
.cards{grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));align-items:start}
.tile,.card{background:#fff;border:1px solid #dfe3e8;border-radius:.5rem;padding:.8rem;min-width:0}
.tile b{display:block;font-size:1.35rem;white-space:nowrap}.tile span{color:#5c6570;font-size:.85rem}
.card svg{display:block;width:100%;height:auto}
.warn{background:#fff6e5;border:1px solid #e3b866;border-radius:.5rem;padding:.6rem .8rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem}
td,th{padding:.25rem .5rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #eef0f3}
th{font-weight:600}.facts td:first-child{color:#5c6570;width:38%}.facts td{overflow-wrap:anywhere}
.num{text-align:right;white-space:nowrap}
"""


def write_report(result: BenchResult, blob: Blob, trace: PowerTrace | None, folder: SessionFolder) -> None:
    """report.html, and every picture as a PNG file. Without matplotlib there are no pictures, which the page says."""
    warnings = list(result.warnings)
    try:
        pictures = draw(result, blob, trace)
    except InputError as error:
        pictures = []
        warnings.append(str(error))
    for picture in pictures:
        folder.write(f"{picture.name}.png", picture.png)
    folder.write(REPORT, page(result, pictures, warnings).encode())


def page(result: BenchResult, pictures: list[Picture], warnings: list[str]) -> str:
    """The whole document."""
    title = f"{result.blob.name} on {result.board.machine}"
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{escape(result.blob.name)}</h1><p class="sub">{escape(result.board.machine)}, MicroPython '
        f"{escape(result.board.micropython)}, {escape(result.started)}</p>",
        _warnings(result, warnings),
        _tiles(result),
        '<div class="cards">',
        *(_card(picture.title, picture.svg) for picture in pictures),
        _facts("Latency", latency_rows(result)),
        _facts("Memory", memory_rows(result)),
        _facts("Power", power_rows(result)),
        _facts("Loading and link", link_rows(result)),
        _facts("What was measured", identity_rows(result)),
        "</div>",
        _card("Operators", _operators(result)),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _warnings(result: BenchResult, warnings: list[str]) -> str:
    sentences = [*([f"Partial: {result.problem or 'not complete'}."] if result.is_partial else []), *warnings]
    return "".join(f'<p class="warn">{escape(sentence)}</p>' for sentence in sentences)


def _tiles(result: BenchResult) -> str:
    tiles = []
    if result.latency:
        tiles.append((milliseconds(result.latency.median), "an inference (median)"))
    tiles += [
        (f"{result.blob.arena_bytes / 1024:,.1f} KiB", "arena"),
        (f"{result.blob.blob_bytes / 1024:,.1f} KiB", "blob"),
    ]
    if result.energy:
        mark = " (estimate)" if result.energy.source.is_estimate else ""
        tiles.append((energy_text(result.energy.joules_per_inference), f"an inference{mark}"))
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(what)}</span></div>' for value, what in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{content}</section>'


def _facts(title: str, rows: list[Row]) -> str:
    if not rows:
        return ""
    body = "".join(f"<tr><td>{escape(what)}</td><td>{escape(value)}</td></tr>" for what, value in rows)
    return _card(title, f'<table class="facts">{body}</table>')


def _operators(result: BenchResult) -> str:
    times = result.operator_microseconds
    total = sum(times)
    header = "".join(
        f"<th{'' if heading in ('operator', 'output') else ' class=num'}>{heading}</th>"
        for heading in ("#", "operator", "output", "MACs", "weights", "arena", *(("time", "share") if times else ()))
    )
    rows = []
    for operator in result.blob.operators:
        shape = "x".join(map(str, operator.output_shape))
        numbers = [f"{operator.macs:,}", f"{operator.weight_bytes:,} B", f"{operator.arena_bytes:,} B"]
        if times:
            time = times[operator.index]
            numbers += [milliseconds(time), f"{100 * time / total:.1f} %" if total else ""]
        rows.append(
            f"<tr><td class=num>{operator.index}</td><td>{escape(operator.name)}</td><td>{shape}</td>"
            + "".join(f"<td class=num>{number}</td>" for number in numbers)
            + "</tr>"
        )
    return f'<div class="scroll"><table><tr>{header}</tr>{"".join(rows)}</table></div>'
