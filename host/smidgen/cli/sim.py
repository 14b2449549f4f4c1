"""`smidgen sim`."""

from __future__ import annotations

import rich_click as click

from smidgen.cli.options import heap_option
from smidgen.cli.output import note, results
from smidgen.link.virtual import PREFIX, VIRTUAL_BOARDS, create_virtual_board

_NAMES = [name.removeprefix(PREFIX) for name in VIRTUAL_BOARDS]


@click.command()
@click.argument("name", type=click.Choice(_NAMES))
@heap_option
def sim(name: str, heap_bytes: int | None) -> None:
    """Serve the virtual board NAME until Ctrl-C; prints the serial port that mpremote or any terminal can open."""
    board = create_virtual_board(PREFIX + name, heap_bytes)
    board.start()
    try:
        results.print(board.port, soft_wrap=True)
        results.file.flush()
        note(f"try: mpremote connect {board.port}      (Ctrl-C here switches the board off)")
        board.wait()
    except KeyboardInterrupt:
        note("switched off")
    finally:
        board.close()
