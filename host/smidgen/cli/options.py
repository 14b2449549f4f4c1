"""Options and types of arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from click.shell_completion import CompletionItem

from smidgen.boards import BoardDescription, UnknownBoardError, find_board, load_boards
from smidgen.errors import InputError
from smidgen.link.virtual import VIRTUAL_BOARDS, VirtualUnixBoard
from smidgen.ports import AUTO, HOST, ID_PREFIX, PORT_VARIABLE, list_candidates

FILE = click.Path(dir_okay=False, path_type=Path)


class BlobFile(click.Path):
    """The path of a .smg file: completed to those, and to all files where there is none."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        folder = incomplete[: incomplete.rfind("/") + 1]
        paths = (folder + path.name for path in sorted(Path(folder or ".").glob("*.smg")))
        found = [CompletionItem(path) for path in paths if path.startswith(incomplete)]
        return found or super().shell_complete(ctx, param, incomplete)


class BoardName(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions of click
    """A name of `smidgen boards`, which becomes the description; an unknown one is a usage error."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> BoardDescription:
        if isinstance(value, BoardDescription):
            return value
        try:
            return find_board(value)
        except UnknownBoardError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            boards = load_boards()
        except InputError:  # told by the command itself; a Tab is no occasion
            return []
        return [CompletionItem(board.name, help=board.title) for board in boards if board.name.startswith(incomplete)]


class PortName(click.ParamType):  # type: ignore[type-arg]
    """Anything that names a port: see `smidgen.ports.resolve`, which is asked when everything else has been checked.

    with_host: 'host', this computer, too.
    """

    name = "port"

    def __init__(self, with_host: bool = False) -> None:
        self._with_host = with_host

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            candidates = [candidate for candidate in list_candidates() if candidate.may_have_repl]
        except InputError:
            candidates = []
        names = [*([HOST] if self._with_host else []), AUTO, *VIRTUAL_BOARDS]
        names += [candidate.port for candidate in candidates]
        names += [ID_PREFIX + candidate.serial_number for candidate in candidates if candidate.serial_number]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


BLOB_FILE = BlobFile(dir_okay=False, path_type=Path)
BOARD_NAME = BoardName()
_PORT_KINDS = (
    f"{AUTO} (the only board on a cable), {ID_PREFIX}SERIAL, a device, an address, or a virtual board (sim:unix)"
)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")(
        command
    )


def port_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """For commands that can also run on this computer."""
    return click.option(
        "--port", type=PortName(with_host=True), default=HOST, show_default=True,
        envvar=PORT_VARIABLE, show_envvar=True,
        help=f"Where to run: 'host' (the NumPy reference) or a board: {_PORT_KINDS}.",
    )(command)  # fmt: skip


def board_port_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """For commands that need a board."""
    return click.option(
        "--port", type=PortName(), default=AUTO, show_default=True, envvar=PORT_VARIABLE, show_envvar=True,
        help=f"The board: {_PORT_KINDS}.",
    )(command)  # fmt: skip


def heap_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--heap", "heap_bytes", type=click.IntRange(min=16384), help="Heap of sim:unix, in bytes.")(
        command
    )


def require_heap_option(port: str, heap_bytes: int | None) -> None:
    """Raise a usage error for --heap with another port than the one that has it."""
    if heap_bytes is not None and port != VirtualUnixBoard.name:
        raise click.UsageError(f"--heap is for --port {VirtualUnixBoard.name}; the port is {port}")
