"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from smidgen.link.virtual import VIRTUAL_BOARDS
from smidgen.runner import HOST

FILE = click.Path(dir_okay=False, path_type=Path)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")(
        command
    )


def port_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--port", default=HOST, show_default=True, envvar="SMIDGEN_PORT",
        help=f"Where to run: 'host' (the NumPy reference), a virtual board ({', '.join(VIRTUAL_BOARDS)}), "
        "or the path of a serial port.",
    )(command)  # fmt: skip


def heap_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--heap", "heap_bytes", type=click.IntRange(min=16384), help="Heap of sim:unix, in bytes.")(
        command
    )
