"""Where things are printed: results on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_UNLIMITED = 10_000  # columns: tables that do not go to a terminal are as wide as what is in them

results = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _UNLIMITED)
messages = Console(stderr=True, highlight=False)


def fail(message: str) -> None:
    """An error for the person at the keyboard."""
    messages.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


def note(message: str) -> None:
    """Something worth knowing that is not an error."""
    messages.print(f"[dim]{escape(message)}[/]", soft_wrap=True)


def print_text(text: str) -> None:
    """Text as it is, such as a script."""
    sys.stdout.write(text)


def print_json(document: Any) -> None:
    """The one document of `--json`."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A callback (what, done, total) that draws a bar on stderr; on anything but a terminal it draws nothing."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=messages, transient=True, disable=not messages.is_terminal,
    ) as bar:  # fmt: skip
        tasks: dict[str, Any] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield update


def bytes_text(count: int) -> str:
    """12345 -> '12,345 B'."""
    return f"{count:,} B"
