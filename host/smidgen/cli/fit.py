"""`smidgen fit`."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click
from rich import box
from rich.table import Table

from smidgen.boards import BoardDescription, load_boards
from smidgen.cli.options import BOARD_NAME, FILE, json_option
from smidgen.cli.output import bytes_text, note, print_json, results
from smidgen.fit import FLASH, BoardFit, FitReport, fit_model

FITS_NOWHERE = 7  # exit code


@click.command()
@click.argument("model", type=FILE)
@click.option(
    "--board", "named", type=BOARD_NAME, multiple=True, help="A board (smidgen boards lists them); repeatable."
)
@click.option("--all-boards", is_flag=True, help="All boards on a cable.")
@json_option
def fit(model: Path, named: tuple[BoardDescription, ...], all_boards: bool, as_json: bool) -> None:
    """Predict latency, RAM and flash of MODEL (.smg, or int8 .tflite or .onnx) on boards, before anything is uploaded.

    Exit code 7 if it fits on none of the boards that were asked for. '~' marks projections and estimates.
    """
    if bool(named) == all_boards:
        raise click.UsageError("give --board NAME (it may be repeated) or --all-boards")
    boards = [board for board in load_boards() if not board.is_virtual] if all_boards else named
    report = fit_model(model, list(boards))
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)
    if not any(board.fits for board in report.boards):
        sys.exit(FITS_NOWHERE)


def _print(report: FitReport) -> None:
    results.print(
        f"{report.name}: {report.macs:,} MACs; blob {bytes_text(report.blob_bytes)}, "
        f"arena {bytes_text(report.arena_bytes)}",
        soft_wrap=True,
    )
    results.print(_table(report.boards))
    for row in report.boards:
        results.print(f"{row.board}: {row.advice}", soft_wrap=True)
        if row.latency is not None:
            note(f"{row.board}: {row.latency.basis}")


def _table(rows: list[BoardFit]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("board", "chip", "latency", "heap needed", "heap there", "of it module", "flash needed", "fits"):
        numeric = heading not in ("board", "chip", "fits")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row.board, row.chip, _latency(row), bytes_text(row.heap_needed),
            ("~" if row.heap_is_estimate else "") + bytes_text(row.heap_available),
            bytes_text(row.module_heap_bytes), bytes_text(row.flash_needed),
            ("yes" if row.blob_in != FLASH else "blob in flash") if row.fits else "no",
        )  # fmt: skip
    return table


def _latency(row: BoardFit) -> str:
    if row.latency is None:
        return "-"
    return ("~" if row.latency.is_projection else "") + f"{row.latency.milliseconds:,.1f} ms"
