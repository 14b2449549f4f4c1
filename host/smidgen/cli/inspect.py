"""`smidgen inspect`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from smidgen.blob.reader import read_blob_file
from smidgen.cli.options import BLOB_FILE, json_option
from smidgen.cli.output import print_json
from smidgen.cli.tables import print_report
from smidgen.report import report_blob


@click.command()
@click.argument("blob", type=BLOB_FILE)
@json_option
def inspect(blob: Path, as_json: bool) -> None:
    """Check BLOB completely and show what is in it: operators, memory, where every byte goes."""
    report = report_blob(read_blob_file(blob))
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report)
