"""`smidgen push`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from smidgen.cli.options import BLOB_FILE, board_port_option, json_option
from smidgen.cli.output import bytes_text, note, print_json, progress_bar, results
from smidgen.link.push import Pushed
from smidgen.link.push import push as push_blob
from smidgen.link.speed import Transfer
from smidgen.link.virtual import is_virtual


@click.command()
@click.argument("blob", type=BLOB_FILE)
@click.option("--as", "name", metavar="NAME", help="Name of the file on the board; by default that of BLOB.")
@click.option("--ram", is_flag=True, help="Into RAM, as the global 'm' of the board's prompt; gone at a reset.")
@board_port_option
@json_option
def push(blob: Path, name: str | None, ram: bool, port: str, as_json: bool) -> None:
    """Send the model BLOB to a board: into its file system, or straight into its RAM.

    Nothing is sent that is there already, or that does not fit.
    """
    if ram and name is not None:
        raise click.UsageError("--as names a file; a model in RAM (--ram) is the global 'm' on the board")
    with progress_bar() as progress:
        pushed = push_blob(
            blob, port, name=name, ram=ram, progress=lambda done, total: progress(f"sending to {port}", done, total)
        )
    if as_json:
        print_json(pushed.as_dict())
    else:
        results.print(_sentence(pushed), soft_wrap=True)
    if is_virtual(pushed.port):
        note(f"{pushed.port} lived for this command only; 'smidgen sim' serves a virtual board that stays")
    elif ram:
        note("the model is gone when the board is reset; smidgen push without --ram puts it into a file")


def _sentence(pushed: Pushed) -> str:
    place = f"RAM of {pushed.port}, as {pushed.name}" if pushed.in_ram else f"the file {pushed.name} on {pushed.port}"
    what = f"{bytes_text(pushed.size)} in {place}"
    if pushed.transfer is None:
        return f"{what}: there already, nothing was sent"
    return f"{what}: {_speed(pushed.transfer)}"


def _speed(transfer: Transfer) -> str:
    speed = f"sent in {transfer.seconds:.2f} s, {transfer.bytes_per_second / 1000:.1f} kB/s"
    if transfer.limit is None or transfer.share is None:
        return f"{speed} (a virtual line has no limit to compare with)"
    assumed = "assumed " if transfer.limit.assumed else ""
    limit = f"{transfer.limit.reason}, {assumed}{transfer.limit.bytes_per_second / 1000:.1f} kB/s"
    return f"{speed}, {100 * transfer.share:.0f} % of the limit of the line ({limit})"
