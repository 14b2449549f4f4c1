"""`smidgen demo`."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import ExitStack

import rich_click as click
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from smidgen.cli.options import PortName, json_option
from smidgen.cli.output import bytes_text, messages, note, print_json, progress_bar, results
from smidgen.demo import DemoResult, LiveWindow, run_demo
from smidgen.errors import MismatchError
from smidgen.ports import PORT_VARIABLE, resolve

_ROWS = 8


@click.command()
@click.option(
    "--port",
    type=PortName(),
    default="sim:unix",
    show_default=True,
    envvar=PORT_VARIABLE,
    help="The board: a virtual one, auto (the only board on a cable), or another name of a port (docs/ports.md).",
)
@click.option("--windows", type=click.IntRange(min=1), help="At most so many windows.  [default: all]")
@json_option
def demo(port: str, windows: int | None, as_json: bool) -> None:
    """Recognise exercises from a wrist-worn motion sensor, live on a board.

    Quantises a float network with calibration data, packs it, installs smidgen on the board, loads the network and
    streams recordings of people it has never seen, window by window.
    """
    with ExitStack() as preparation, _LiveView(preparation) as view:
        progress = preparation.enter_context(progress_bar())
        result = run_demo(resolve(port), limit=windows, progress=progress, show=view.show)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    if not result.is_exact:
        sys.exit(MismatchError.exit_code)


class _LiveView:
    """The last windows and how many were right: redrawn on a terminal, a line now and then elsewhere.

    It takes the place of what `preparation` shows, because a terminal has room for one moving picture.
    """

    def __init__(self, preparation: ExitStack) -> None:
        self._preparation = preparation
        self._recent: deque[LiveWindow] = deque(maxlen=_ROWS)
        self._live = Live(console=messages, transient=True, refresh_per_second=10, auto_refresh=False)
        self._drawn = False

    def __enter__(self) -> _LiveView:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._live.stop()

    def show(self, window: LiveWindow) -> None:
        self._recent.append(window)
        if messages.is_terminal:
            if not self._drawn:
                self._preparation.close()
                self._live.start()
                self._drawn = True
            self._live.update(self._picture(window), refresh=window.number % 5 == 0)
        elif window.number % 100 == 0 or window.number == window.total:
            note(f"{window.number}/{window.total} windows, {window.correct_so_far} right")

    def _picture(self, last: LiveWindow) -> Group:
        table = Table(title="live predictions", title_justify="left")
        for name in ("window", "truth", "prediction", "score", "ms on the board"):
            table.add_column(name, justify="right" if name in ("window", "score", "ms on the board") else "left")
        for window in self._recent:
            color = "green" if window.predicted == window.truth else "red"
            table.add_row(
                str(window.number), window.truth, f"[{color}]{window.predicted}[/]", f"{window.score:.2f}",
                f"{window.microseconds / 1000:.2f}",
            )  # fmt: skip
        summary = f"{last.number} of {last.total} windows, {100 * last.correct_so_far / last.number:.1f} % right"
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(last.total, last.number, width=30), summary)
        return Group(table, bar)


def _print(result: DemoResult) -> None:
    table = Table(title=f"{result.windows} windows of subjects {_listed(result.test_subjects)}, not seen in training",
                  title_justify="left", show_header=False)  # fmt: skip
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("accuracy, float network", f"{100 * result.accuracy_float:.2f} %")
    table.add_row("accuracy, int8 host reference", f"{100 * result.accuracy_host:.2f} %")
    table.add_row("accuracy, int8 on the board", f"{100 * result.accuracy_board:.2f} %")
    verdict = "yes" if result.is_exact else "NO"
    table.add_row(
        "board equals reference, bit for bit", f"{verdict} ({result.exact_windows} of {result.windows} windows)"
    )
    table.add_row("blob / float weights", f"{bytes_text(result.blob_bytes)} / {bytes_text(result.float_bytes)}")
    table.add_row("arena", bytes_text(result.arena_bytes))
    table.add_row("MACs", f"{result.macs:,}")
    median, p95 = result.median_microseconds / 1000, result.p95_microseconds / 1000
    table.add_row("latency, median / 95th percentile", f"{median:.2f} / {p95:.2f} ms")
    results.print(table)
    note(f"board: {result.board} on {result.port}; latency measured there")


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
