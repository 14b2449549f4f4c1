"""A board's prompt with smidgen and a model at hand, for a person or a script, and the board as it was afterwards."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smidgen.errors import BoardError
from smidgen.link.session import Board
from smidgen.link.terminal import Console, Terminal

MODEL_NAME = "m"
Progress = Callable[[int, int], None]  # bytes done, bytes in all

# Names and values; that is all a visitor can leave behind besides files.
_REMEMBER = "_smg_before = dict(globals())"

# `_` is the last value shown, and may be a part of the model. After a reset there is nothing to restore. The module
# stays imported: MicroPython keeps native code until a reset, and would keep a copy for each time it is imported anew.
_RESTORE = """
def _smg_restore(names):
    import builtins
    before = names['_smg_before']
    names.clear()
    names.update(before)
    try:
        del builtins._
    except (AttributeError, KeyError):
        pass
if '_smg_before' in globals():
    _smg_restore(globals())
globals().pop('_smg_restore', None)
__import__('gc').collect()
"""


@dataclass(frozen=True)
class Visit:
    """installed: smidgen was not on the board before."""

    board: Board
    installed: bool

    def talk(self, console: Console) -> None:
        """Connect a person's terminal with the board's prompt until they leave it."""
        Terminal(self.board.friendly_prompt(), console).talk()

    def run(self, source: str) -> Iterator[str]:
        """Run `source` statement by statement, as if typed at the prompt; yields what each printed.

        Raises BoardError, which names the line, at the first statement that raises an exception.
        """
        for number, statement in _statements(source):
            try:
                yield self.board.exec(f"exec(compile({statement!r},'<stdin>','single'))")
            except BoardError as error:
                if error.traceback:
                    raise BoardError(f"line {number}: {error}", error.traceback) from error
                raise


@contextmanager
def visit(
    board: Board,
    blob: bytes | str | Path | None = None,
    *,
    install_progress: Progress | None = None,
    load_progress: Progress | None = None,
) -> Iterator[Visit]:
    """`smidgen` imported on the board, installed if need be, and `blob`, a model or its file, loaded as `m`.

    At the end the board's names are what they were, and the memory of all that came since is free.
    """
    board.exec(_REMEMBER)
    try:
        installed = board.install(progress=install_progress)
        if blob is not None:
            board.release(board.load(blob, progress=load_progress), MODEL_NAME)
        board.exec("import smidgen")
        yield Visit(board, installed)
    except BaseException:
        _try_to_restore(board)
        raise
    board.exec(_RESTORE)


def _try_to_restore(board: Board) -> None:
    try:
        board.exec(_RESTORE)
    except BoardError:
        pass  # the board may be gone, and that is reported already


def _statements(source: str) -> Iterator[tuple[int, str]]:
    """Number of the first line, and text, of every statement; those that share a line stay together.

    What Python cannot parse is one statement: the board will say what is wrong with it.
    """
    try:
        nodes = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        yield 1, source
        return
    lines = source.split("\n")
    first = last = 0
    for node in nodes:
        begins = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        if begins > last:
            if last:
                yield first, _text(lines, first, last)
            first = begins
        last = node.end_lineno or begins
    if last:
        yield first, _text(lines, first, last)


def _text(lines: list[str], first: int, last: int) -> str:
    return "\n".join(lines[first - 1 : last]) + "\n"
