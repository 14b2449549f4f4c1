"""`smidgen install` and `smidgen uninstall`."""

from __future__ import annotations

from dataclasses import asdict

import rich_click as click

from smidgen.cli.options import board_port_option, json_option
from smidgen.cli.output import bytes_text, note, print_json, progress_bar, results
from smidgen.link.installation import install_smidgen, uninstall_smidgen
from smidgen.link.virtual import PREFIX, is_virtual


@click.command()
@board_port_option
@json_option
def install(port: str, as_json: bool) -> None:
    """Put smidgen on a board: the smidgen.mpy for its architecture, verified, and nothing if it is there already.

    Whatever runs on the board is interrupted.
    """
    with progress_bar() as progress:
        done = install_smidgen(port, lambda sent, total: progress("installing smidgen", sent, total))
    if as_json:
        print_json(done.as_dict())
        return
    what = f"smidgen {done.version} for {done.arch}, {bytes_text(done.size)}"
    verb = "installed" if done.written else "is there already"
    results.print(f"{done.file} {verb}: {what}; {done.machine} on {done.port}", soft_wrap=True)
    if is_virtual(done.port):
        note(f"{done.port} ends with this command; smidgen sim {done.port.removeprefix(PREFIX)} serves one that stays")


@click.command()
@board_port_option
@json_option
def uninstall(port: str, as_json: bool) -> None:
    """Take smidgen off a board, and the folder it was in if that is empty then.

    Models that were copied to the board stay. Whatever runs on the board is interrupted.
    """
    done = uninstall_smidgen(port)
    if as_json:
        print_json(asdict(done))
        return
    folder = f" and the empty folder {done.folder}" if done.folder else ""
    results.print(f"removed {done.file}{folder}" if done.removed else f"there was no {done.file}", soft_wrap=True)
    if done.other_version:
        note(f"smidgen {done.other_version} can still be imported: it is in another folder or in the firmware")
