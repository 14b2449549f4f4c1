"""`smidgen compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click
from rich.text import Text

from smidgen.bench import Change, compare, read_session
from smidgen.bench.significance import Verdict
from smidgen.cli.options import json_option
from smidgen.cli.output import note, print_json, results
from smidgen.cli.tables import make_table
from smidgen.errors import MismatchError

_PATH = click.Path(path_type=Path)


@click.command("compare")
@click.argument("before", type=_PATH)
@click.argument("after", type=_PATH)
@json_option
def compare_command(before: Path, after: Path, as_json: bool) -> None:
    """Show what changed from session BEFORE to AFTER (folders, or their results.json), beyond noise.

    Exit code 0 if nothing, 1 if something.
    """
    comparison = compare(read_session(before), read_session(after))
    if as_json:
        print_json(comparison.as_dict())
    else:
        _print(comparison.changes)
        count = len(comparison.differences)
        results.print("no difference" if not count else f"{count} difference{'s' if count > 1 else ''}")
    for session in (comparison.before, comparison.after):
        if session.is_partial:
            note(f"{session.path} is partial")
    if comparison.differs:
        sys.exit(MismatchError.exit_code)


def _print(changes: tuple[Change, ...]) -> None:
    table = make_table(
        "", [("what", False), ("before", True), ("after", True), ("change", True), ("", False), ("", False)]
    )
    for change in changes:
        share = f"{100 * change.share:+.2f} %" if change.share is not None else ""
        style = {Verdict.DIFFERENT: "bold red", Verdict.UNKNOWN: "yellow", Verdict.SAME: "dim"}[change.verdict]
        table.add_row(change.what, change.before, change.after, share, Text(change.verdict.value, style), change.note)
    results.print(table)
