"""`smidgen bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import rich_click as click
from click.core import ParameterSource
from rich import box
from rich.table import Table

from smidgen.bench import DEFAULT_INFERENCES, BenchPlan, BenchResult, PowerPlan, bench
from smidgen.bench.figures import Row, latency_rows, link_rows, memory_rows, milliseconds, power_rows
from smidgen.bench.folder import REPORT
from smidgen.bench.plan import DEFAULT_IDLE_SECONDS
from smidgen.cli.options import BLOB_FILE, board_port_option, heap_option, json_option, require_heap_option
from smidgen.cli.output import note, print_json, progress_bar, results
from smidgen.cli.tables import make_table
from smidgen.power import USAGE, Battery, parse_battery, parse_source

INTERRUPTED = 130  # exit code
_PROFILE_ROUNDS = 10


class Duration(click.ParamType):  # type: ignore[type-arg]
    """'1s', '250ms', '5min', '1h', or a number of seconds."""

    name = "duration"
    _units = {"ms": 1e-3, "min": 60.0, "s": 1.0, "h": 3600.0}  # noqa: RUF012 - the longer ending first

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text, factor = str(value).strip(), 1.0
        for ending, seconds in self._units.items():
            if text.endswith(ending):
                text, factor = text.removesuffix(ending), seconds
                break
        try:
            number = float(text) * factor
        except ValueError:
            number = 0.0
        if not 0 < number < 1e9:
            self.fail(f"{value!r} is no duration: give 1s, 250ms, 5min or 1h", param, ctx)
        return number


def _battery(ctx: click.Context, param: click.Parameter, value: str | None) -> Battery | None:
    return None if value is None else parse_battery(value)


@click.command("bench", epilog="Sources of power:\n\n" + "\n\n".join(USAGE.splitlines()))
@click.argument("blob", type=BLOB_FILE)
@click.option(
    "-n", "inferences", type=click.IntRange(min=1), default=DEFAULT_INFERENCES, show_default=True,
    help="Inferences to time; given, also those of each window of power.",
)  # fmt: skip
@click.option("--profile", is_flag=True, help=f"Time every operator too, in {_PROFILE_ROUNDS} more inferences.")
@click.option("--power", metavar="SOURCE", help="Measure energy; the sources are below.")
@click.option(
    "--marker",
    type=click.IntRange(0, 255),
    help="Pin of the board that is high while it infers; ppk2, joulescope and csv need it.",
)
@click.option(
    "--idle", type=Duration(), default=DEFAULT_IDLE_SECONDS, help="How long to wait before each window.  [default: 2s]"
)
@click.option("--every", type=Duration(), help="Average power of one inference every so often, e.g. 1s.")
@click.option("--battery", callback=_battery, help="How long it lasts: CR2032, AA, 18650, 2xAA, 1200mAh@3.7.")
@click.option(
    "--session", "folder", type=click.Path(file_okay=False, path_type=Path),
    help="A new or empty folder.  [default: sessions/DATE_NAME]",
)  # fmt: skip
@board_port_option
@heap_option
@json_option
@click.pass_context
def bench_command(
    ctx: click.Context,
    blob: Path,
    inferences: int,
    profile: bool,
    power: str | None,
    marker: int | None,
    idle: float,
    every: float | None,
    battery: Battery | None,
    folder: Path | None,
    port: str,
    heap_bytes: int | None,
    as_json: bool,
) -> None:
    """Measure BLOB on a board: latency, memory, operators, energy; into a folder with a report.

    Exit code 1 if the board's outputs are wrong, 5 if board or meter fails, 6 if BLOB or an option is unsuitable, 130
    after Ctrl-C. What was measured until then is kept, and marked as partial.
    """
    require_heap_option(port, heap_bytes)
    plan = None
    if power is not None:
        parse_source(power)
        is_given = ctx.get_parameter_source("inferences") is not ParameterSource.DEFAULT
        plan = PowerPlan(
            power, marker, inferences if is_given else None, idle_seconds=idle, every_seconds=every, battery=battery
        )
    elif every is not None or battery is not None or marker is not None:
        raise click.UsageError(
            "--every, --battery and --marker belong to --power SOURCE (--power estimate needs no meter)"
        )
    with progress_bar() as progress:
        session = bench(
            blob, port, BenchPlan(inferences, _PROFILE_ROUNDS if profile else 0, plan, folder),
            heap_bytes=heap_bytes, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json({"folder": str(session.folder), **session.result.as_dict()})
    else:
        _print(session.result)
    for warning in session.result.warnings:
        note(warning)
    note(f"{'partial, ' if session.result.is_partial else ''}report: {session.folder / REPORT}")
    if session.result.is_partial:
        sys.exit(INTERRUPTED)


def _print(result: BenchResult) -> None:
    results.print(f"{result.blob.name} on {result.board.machine}", soft_wrap=True)
    for rows in (latency_rows(result), memory_rows(result), link_rows(result), power_rows(result)):
        if rows:
            results.print(_rows(rows))
    if result.operator_microseconds:
        results.print(_operators(result))


def _rows(rows: list[Row]) -> Table:
    table = Table(show_header=False, box=box.SIMPLE, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def _operators(result: BenchResult) -> Table:
    times = result.operator_microseconds
    total = sum(times) or 1.0
    table = make_table(
        f"Operators, mean of {len(result.operator_ticks)} inferences",
        [("#", True), ("operator", False), ("MACs", True), ("time", True), ("share", True), ("arena", True)],
    )
    for operator, time in zip(result.blob.operators, times, strict=True):
        table.add_row(
            str(operator.index), operator.name, f"{operator.macs:,}" if operator.macs else "",
            milliseconds(time), f"{100 * time / total:.1f} %", f"{operator.arena_bytes:,} B",
        )  # fmt: skip
    return table
