"""`smidgen flash`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich_click as click
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from smidgen.boards import BoardDescription
from smidgen.cli.options import BOARD_NAME, PortName, json_option
from smidgen.cli.output import bytes_text, messages, note, print_json, progress_bar, results
from smidgen.flash import FlashPlan, execute, plan_flash
from smidgen.flash.esp_flash import DEFAULT_BAUD
from smidgen.ports import AUTO


@click.command()
@click.argument("board", type=BOARD_NAME)
@click.option(
    "--firmware", metavar="FILE|VERSION", help="A .uf2 or .bin file, or a version.  [default: latest release]"
)
@click.option(
    "--port",
    metavar="PORT",
    envvar="SMIDGEN_PORT",
    shell_complete=PortName().shell_complete,
    help="Serial port: a path, id:SERIAL or auto.  [default: the only board there is]",
)
@click.option(
    "--volume", type=click.Path(path_type=Path), help="Where the drive of a board in BOOTSEL mode is mounted."
)
@click.option("--erase", is_flag=True, help="Erase all of the flash first, with all files.")
@click.option("--baud", type=click.IntRange(min=9600), default=DEFAULT_BAUD, show_default=True, help="Speed (ESP32).")
@click.option("--dry-run", is_flag=True, help="Show the plan only.")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@json_option
@click.pass_context
def flash(
    context: click.Context,
    board: BoardDescription,
    firmware: str | None,
    port: str | None,
    volume: Path | None,
    erase: bool,
    baud: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put MicroPython on BOARD, and say what runs then. smidgen boards lists the boards.

    Shows what it is going to do and asks first. SMIDGEN_VOLUMES names a folder to look for drives in.
    """
    if volume is not None and context.get_parameter_source("port") is ParameterSource.ENVIRONMENT:
        port = None  # a default for all commands, and this one has been told better
    if volume is not None and port not in (None, AUTO):
        raise click.UsageError("--port and --volume name the same board in two states: give one of them")
    asks = not (dry_run or yes)
    if asks and not sys.stdin.isatty():
        raise click.UsageError(
            "flash asks before it writes, and there is no terminal to ask on: add --yes, or --dry-run to see the plan"
        )
    with _warnings_shown(), progress_bar() as progress:
        plan = plan_flash(board.name, firmware, port, volume=volume, erase=erase, baud=baud, progress=progress)
    if asks or not as_json:
        _show(plan, messages if as_json else results)
    if dry_run:
        if as_json:
            print_json({"plan": plan.as_dict(), "result": None})
        return
    if asks and not click.confirm("Write this to the board?", err=True):
        note("nothing was written")
        raise click.Abort
    with _warnings_shown(), progress_bar() as progress:
        result = execute(plan, progress)
    if as_json:
        print_json({"plan": plan.as_dict(), "result": result.as_dict()})
    else:
        results.print(result.sentence, soft_wrap=True)
    _warn(result.warning)


def _show(plan: FlashPlan, console: Console) -> None:
    version = f", MicroPython {plan.version}" if plan.version else ""
    chip = plan.board.chip
    title = plan.board.title if chip in plan.board.title else f"{plan.board.title}, {chip}"
    rows = {
        "board": f"{plan.board.name}: {title}",
        "volume" if plan.target.volume else "port": str(plan.target),
        "firmware": f"{plan.firmware.path}{version}",
        "SHA-256": plan.firmware.sha256,
        "size": bytes_text(len(plan.firmware.data)),
        "written": _ranges(plan.written),
        "erased": "all of the flash" if plan.erase else _ranges(plan.erased),
        "files": plan.consequence,
    }
    if plan.command:
        rows["by hand"] = plan.command
    for name, value in rows.items():
        console.print(Text(f"{name:<10}", "bold") + Text(value), soft_wrap=True)
    _warn(plan.warning)


def _warn(message: str) -> None:
    if message:
        messages.print(f"[bold yellow]warning:[/] {escape(message)}", soft_wrap=True)


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"0x{start:08x} to 0x{end - 1:08x} ({bytes_text(end - start)})" for start, end in ranges)


class _Warnings(logging.Handler):
    """What the package warns of, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        _warn(record.getMessage())


@contextmanager
def _warnings_shown() -> Iterator[None]:
    logger, handler = logging.getLogger("smidgen.flash"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
