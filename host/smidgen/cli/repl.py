"""`smidgen repl`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import rich_click as click

from smidgen.cli.options import BLOB_FILE, board_port_option, heap_option, require_heap_option
from smidgen.cli.output import note, progress_bar
from smidgen.link.prompt import MODEL_NAME, Visit, visit
from smidgen.link.session import connect, read_file
from smidgen.link.terminal_console import raw_terminal


@click.command()
@click.argument("blob", type=BLOB_FILE, required=False)
@board_port_option
@heap_option
def repl(blob: Path | None, port: str, heap_bytes: int | None) -> None:
    """The prompt of a board, with smidgen imported and BLOB loaded as m.

    Ctrl-] or Ctrl-X leaves; the board is then as it was. What m can do: docs/repl.md. When standard input is no
    terminal, the statements in it are run one after the other, as if typed, until one raises an exception.
    """
    require_heap_option(port, heap_bytes)
    data = None if blob is None else read_file(blob)
    with connect(port, heap_bytes=heap_bytes) as board, ExitStack() as stack:
        with progress_bar() as progress:
            there = stack.enter_context(
                visit(
                    board,
                    data,
                    install_progress=lambda done, total: progress("installing smidgen", done, total),
                    load_progress=lambda done, total: progress("loading the model", done, total),
                )
            )
        if there.installed:
            note("smidgen was not on the board: installed it")
        if sys.stdin.isatty() and sys.stdout.isatty():
            _talk(there, blob)
        else:
            for text in there.run(sys.stdin.read()):
                sys.stdout.write(text)
                sys.stdout.flush()


def _talk(there: Visit, blob: Path | None) -> None:
    info = there.board.hello()
    note(f"{info.machine}, MicroPython {info.version}, {info.free_bytes:,} bytes free")
    loaded = f"{MODEL_NAME} is {blob.name}: try print({MODEL_NAME}). " if blob else ""
    note(f"{loaded}Ctrl-] leaves, Ctrl-C interrupts, Tab completes, Ctrl-E begins and Ctrl-D ends a paste")
    with raw_terminal() as console:
        there.talk(console)
