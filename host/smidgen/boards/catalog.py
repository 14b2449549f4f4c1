"""All boards, and one by its name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from smidgen.boards.description import BoardDescription
from smidgen.boards.reader import read_board
from smidgen.errors import InputError

BOARDS_VARIABLE = "SMIDGEN_BOARDS"


class UnknownBoardError(InputError):
    """There is no board of this name."""


def load_boards() -> tuple[BoardDescription, ...]:
    """Every board: those on a cable before virtual ones, each sorted by name.

    Where two folders describe a board of the same name, the first folder wins, so $SMIDGEN_BOARDS can replace one.
    InputError if any file is wrong, or if there is none at all.
    """
    found: dict[str, BoardDescription] = {}
    for directory in directories():
        for file in sorted(directory.glob("*.toml")):
            board = read_board(file)
            found.setdefault(board.name, board)
    if not found:
        raise InputError(f"there are no board descriptions (*.toml) in: {', '.join(map(str, directories()))}")
    return tuple(sorted(found.values(), key=lambda board: (board.is_virtual, board.name)))


def find_board(name: str) -> BoardDescription:
    """The board of this name. UnknownBoardError, an InputError, lists those that exist."""
    boards = {board.name: board for board in load_boards()}
    if name in boards:
        return boards[name]
    close = difflib.get_close_matches(name.lower(), boards, n=1)
    hint = f"did you mean {close[0]!r}? There" if close else "there"
    raise UnknownBoardError(f"there is no board {name!r}; {hint} are: {', '.join(boards)}")


def directories() -> Iterator[Path]:
    """Folders with board descriptions, in the order in which they are searched. InputError if the user's is missing."""
    if named := os.environ.get(BOARDS_VARIABLE):
        directory = Path(named)
        if not directory.is_dir():
            raise InputError(f"{BOARDS_VARIABLE} names {named!r}, which is not a folder")
        yield directory
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    if (checkout / "native" / "module").is_dir():
        yield checkout / "boards"
    else:
        yield package / "boards"
