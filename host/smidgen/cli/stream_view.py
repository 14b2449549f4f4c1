"""What `smidgen stream` shows: a picture that is redrawn on a terminal, a line for each window elsewhere."""

from __future__ import annotations

from collections import Counter

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from smidgen.cli.output import messages, note
from smidgen.stream import LiveWindow, StreamResult
from smidgen.stream.timing import StreamTiming

_BARS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 60
_SCORES = 8  # classes that are shown
_REDRAWS_PER_SECOND = 10


class StreamView:
    """quiet: no lines where there is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = Live(console=messages, transient=True, refresh_per_second=_REDRAWS_PER_SECOND)

    def __enter__(self) -> StreamView:
        if messages.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if messages.is_terminal:
            self._live.stop()

    def show(self, live: LiveWindow) -> None:
        if messages.is_terminal:
            self._live.update(_picture(live))
        elif not self._quiet:
            answer = f"{live.label} {max(live.scores):.2f}, {_times(live)}{_losses(live.timing)}"
            note(f"window {live.answer.number}: {answer}")


def sparkline(values: list[float], columns: int = _COLUMNS) -> str:
    """One character for each value, or for the mean of a few where there are too many."""
    if not values:
        return ""
    step = max(1, -(-len(values) // columns))
    means = [sum(values[k : k + step]) / len(values[k : k + step]) for k in range(0, len(values), step)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BARS[1 + round((value - low) / span * (len(_BARS) - 2))] for value in means)


def summary(result: StreamResult) -> str:
    """A few lines at the end."""
    timing = result.timing
    counts = Counter(result.labels).most_common(5)
    labels = ", ".join(f"{count} {label}" for label, count in counts) or "none"
    lines = [
        f"{timing.answered} windows of {result.plan.window} frames, {result.plan.hop} apart: {labels}",
        f"{timing.dropped} dropped, {timing.late} late, {timing.skipped_frames} frames not sent; "
        f"link and board busy {100 * timing.load:.0f} % of {timing.seconds:.1f} s",
    ]
    times = timing.as_dict()
    if times["inference_us"]:
        line = f"inference {times['inference_us']['median'] / 1000:.2f} ms (median, on the board)"
        if times["latency_ms"]:
            line += f", latency {times['latency_ms']['median']:.1f} ms, 95 % within {times['latency_ms']['p95']:.1f} ms"
        lines.append(line)
    if result.lost:
        lines.append(f"the source has lost samples, or was interrupted, {result.lost} times")
    if result.line_share is not None:
        lines.append(f"{100 * result.line_share:.1f} % of what the line carries")
    return "\n".join(lines)


def advice(result: StreamResult) -> str | None:
    """What to do when the board did not keep up, or there was nothing to answer."""
    timing, window = result.timing, f"a window takes {result.plan.window} frames of {result.plan.width}"
    if not timing.answered and timing.keeps_up and not result.partial:
        if timing.frames < result.plan.window:
            return f"no window: the source ended after {timing.frames} frames, {window}"
        return f"no window: no recording of the source is long enough, {window}"
    if timing.keeps_up:
        return None
    return (
        f"the board does not keep up with a window every {result.plan.hop} frames: take a larger --hop, "
        f"or a file with --speed max"
    )


def _picture(live: LiveWindow) -> Group:
    table = Table.grid(padding=(0, 1))
    order = sorted(range(len(live.scores)), key=lambda k: -live.scores[k])[:_SCORES]
    for index in sorted(order):
        score = live.scores[index]
        table.add_row(escape(live.name(index)), ProgressBar(1.0, min(1.0, max(0.0, score)), width=30), f"{score:.2f}")
    load = f"link and board {100 * live.timing.load:.0f} % busy"
    return Group(
        sparkline(live.signal),
        f"[bold]{escape(live.label)}[/]  window {live.answer.number}, {_times(live)}",
        table,
        f"{load}{_losses(live.timing)}",
    )


def _times(live: LiveWindow) -> str:
    inference = f"{live.answer.microseconds / 1000:.2f} ms on the board"
    return inference if live.answer.latency is None else f"{inference}, latency {1000 * live.answer.latency:.1f} ms"


def _losses(timing: StreamTiming) -> str:
    counts = (("dropped", timing.dropped), ("late", timing.late))
    return "".join(f", {count} {name}" for name, count in counts if count)
