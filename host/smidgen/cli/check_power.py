"""`smidgen check-power`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict

import rich_click as click
from rich import box
from rich.table import Table

from smidgen.cli.options import json_option
from smidgen.cli.output import note, print_json, results
from smidgen.errors import MismatchError
from smidgen.link.session import connect
from smidgen.power import USAGE, ResistorCheck, check_resistor, create_source, require_checkable


@click.command("check-power", epilog="Sources:\n\n" + "\n\n".join(USAGE.splitlines()))
@click.argument("source")
@click.option("--ohms", type=click.FloatRange(min=0, min_open=True), required=True, help="The resistor's value.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    default=1.0,
    show_default=True,
    help="The resistor's, in percent.",
)
@click.option("--seconds", type=click.FloatRange(0.01, 100), default=5.0, show_default=True, help="How long.")
@click.option(
    "--port", envvar="SMIDGEN_PORT", help="The board that reads a sensor of its own (ina219, ina226, ina228)."
)
@json_option
def check_power(source: str, ohms: float, tolerance: float, seconds: float, port: str | None, as_json: bool) -> None:
    """Check power SOURCE against a resistor that takes the place of a board.

    Exit code 1 if the current is off by more than the resistor's tolerance.
    """
    with ExitStack() as stack:
        meter = create_source(source)
        require_checkable(meter, port is not None)
        board = stack.enter_context(connect(port)) if port else None
        stack.enter_context(meter)
        note(f"measuring for {seconds:g} s with {meter.info.name}")
        check = check_resistor(meter, ohms, tolerance / 100, seconds, board.exec if board else None)
    if as_json:
        print_json({**asdict(check), "error": check.error, "is_good": check.is_good})
    else:
        results.print(_table(check))
    if not check.is_good:
        sys.exit(MismatchError.exit_code)


def _table(check: ResistorCheck) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("volts", "milliamperes", "expected", "error", ""):
        table.add_column(column, justify="right")
    table.add_row(
        f"{check.volts:.4f}",
        f"{check.amperes * 1000:.4f}",
        f"{check.expected_amperes * 1000:.4f} ± {check.expected_uncertainty:.1%}",
        f"{check.error:+.2%}",
        "good" if check.is_good else "more than the resistor's tolerance",
    )
    return table
