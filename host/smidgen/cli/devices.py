"""`smidgen devices`."""

from __future__ import annotations

import rich_click as click
from rich.table import Table

from smidgen.cli.options import json_option
from smidgen.cli.output import note, print_json, results
from smidgen.cli.tables import make_table
from smidgen.link.virtual import VIRTUAL_BOARDS, create_virtual_board, is_virtual
from smidgen.ports import AUTO, ID_PREFIX, PORT_VARIABLE, Device, State, find_devices
from smidgen.ports.names import NOTHING_FOUND, WHAT_TO_CHECK

_STATES = {
    State.REPL: "REPL",
    State.SILENT: "no prompt",
    State.BOOTLOADER: "bootloader",
    State.BOOTSEL: "BOOTSEL volume",
    State.BUSY: "busy",
    State.NO_PERMISSION: "no permission",
    State.FAILED: "failed",
    State.NOT_ASKED: "not asked",
}


@click.command()
@click.option("--probe/--no-probe", default=True, show_default=True, help="Open the ports and ask the boards.")
@click.option("--interrupt", is_flag=True, help="Stop a program that runs on a board, to ask it.")
@click.option("--all", "every_port", is_flag=True, help="Ask on every serial port, whatever its USB id.")
@click.option(
    "--port", "named", envvar=PORT_VARIABLE, show_envvar=True,
    help="A port to ask besides, such as one that smidgen sim serves, or an address.",
)  # fmt: skip
@json_option
def devices(probe: bool, interrupt: bool, every_port: bool, named: str | None, as_json: bool) -> None:
    """List the boards on cables: what each is, what runs on it, in which state it is and what to do.

    A board at its prompt is asked; a program that runs goes on. It is sent Enter and Ctrl-B, no Ctrl-C without
    --interrupt. Nothing is opened with --no-probe.
    """
    if interrupt and not probe:
        raise click.UsageError("--interrupt asks the boards, --no-probe does not: give one of them")
    found = find_devices(ask=probe, interrupt=interrupt, every_port=every_port, named=_besides(named))
    if as_json:
        print_json([device.as_dict() for device in found])
        return
    if found:
        results.print(_table(found))
        for device in found:
            results.print(f"{device.port}: {device.advice}", soft_wrap=True)
    else:
        results.print(f"{NOTHING_FOUND}. What to check:", soft_wrap=True)
        for what, question in WHAT_TO_CHECK:
            results.print(f"  {what:<12} {question}", soft_wrap=True)
    _print_virtual_boards()
    if sum(device.state is State.REPL for device in found) > 1:
        note(f"commands take --port PATH or --port {ID_PREFIX}SERIAL; {AUTO} is for a single board")


def _besides(named: str | None) -> list[str]:
    """A port that no list of devices has; the names of boards that are listed, or that nobody serves, are none."""
    if not named or named == AUTO or named.startswith(ID_PREFIX) or is_virtual(named):
        return []
    return [named]


def _print_virtual_boards() -> None:
    missing = {name: create_virtual_board(name).missing() for name in VIRTUAL_BOARDS}
    ready = [name for name, reason in missing.items() if reason is None]
    results.print(f"virtual boards, no cable needed: {', '.join(ready) or 'none on this computer'}", soft_wrap=True)
    for reason in filter(None, missing.values()):
        note(reason)


def _table(found: list[Device]) -> Table:
    table = make_table("", [(name, False) for name in (
        "port", "board", "chip", "MicroPython", "natmod", "smidgen", "serial number", "state",
    )])  # fmt: skip
    for device in found:
        table.add_row(
            device.port, _board(device), device.chip or "", device.micropython or "", device.natmod_arch or "",
            device.smidgen_version or "", device.serial_number or "", _STATES[device.state],
        )  # fmt: skip
    return table


def _board(device: Device) -> str:
    """Its name, or as much as is known."""
    if device.board or device.state in (State.REPL, State.BOOTSEL):
        return device.board or device.machine or "/".join(device.possible_boards)
    return f"{device.product or ''} {device.usb_id or ''}".strip()
