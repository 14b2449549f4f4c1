"""The pictures of a report, drawn with matplotlib: as SVG for the page, and as PNG for files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.bench.arena import arena_blocks
from smidgen.bench.results import BenchResult, OperatorFacts
from smidgen.blob.contents import Blob
from smidgen.errors import InputError
from smidgen.power import PowerTrace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.4, 2.7  # inches; a phone's page is about as wide
_ROW = 0.24  # inches for an operator
_DOTS_PER_INCH = 160
_BLUE, _ORANGE, _GREY, _RED = "#2a6fb0", "#d98324", "#8a8f98", "#b3362c"
_MOST_POINTS = 2000  # of a power trace
_STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none",
          "font.family": "sans-serif", "axes.titlesize": 9, "axes.titlelocation": "left"}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """name: of its PNG file, without the ending. title: what stands above it. svg: an element for a page."""

    name: str
    title: str
    svg: str
    png: bytes


def draw(result: BenchResult, blob: Blob, trace: PowerTrace | None) -> list[Picture]:
    """Those for which there are figures. InputError without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        raise InputError("plots need matplotlib, which is not installed: pip install 'smidgen[plot]'") from None
    operators = result.blob.operators
    pictures = []
    with matplotlib.rc_context(_STYLE):
        if result.microseconds:
            pictures.append(_picture("latency", "Latency", _HEIGHT, lambda axes: _latency(axes, result)))
        if result.operator_microseconds:
            times = [value / 1000 for value in result.operator_microseconds]
            pictures.append(_bars("operator_times", "Time of each operator", operators, times, "ms", _BLUE))
        weights = [operator.weight_bytes / 1024 for operator in operators]
        pictures.append(_bars("operator_bytes", "Packed weights of each operator", operators, weights, "KiB", _ORANGE))
        height = max(_HEIGHT, 1.2 + _ROW * len(operators))
        pictures.append(_picture("memory", "Arena over the operators", height, lambda axes: _memory(axes, blob)))
        if trace is not None:
            pictures.append(_picture("power", "Power", _HEIGHT, lambda axes: _power(axes, trace)))
    return pictures


def _picture(name: str, title: str, height: float, draw_into: Callable[[Axes], None]) -> Picture:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    draw_into(figure.subplots())
    return Picture(name, title, _svg(figure), _png(figure))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def _latency(axes: Axes, result: BenchResult) -> None:
    milliseconds = np.asarray(result.microseconds) / 1000
    axes.hist(milliseconds, bins=min(40, max(5, len(milliseconds) // 4)), color=_BLUE)
    summary = result.latency
    if summary:
        axes.axvline(summary.median / 1000, color=_ORANGE, label="median")
        axes.axvline(summary.p95 / 1000, color=_RED, linestyle="--", label="95 %")
    axes.set(xlabel="ms", ylabel="inferences")
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.locator_params(axis="x", nbins=6)
    axes.legend(frameon=False)


def _bars(
    name: str, title: str, operators: tuple[OperatorFacts, ...], values: list[float], unit: str, colour: str
) -> Picture:
    def draw_into(axes: Axes) -> None:
        places = range(len(operators))
        axes.barh(places, values, color=colour)
        axes.set_yticks(places, [_label(operator) for operator in operators])
        axes.margins(y=0.01)
        axes.invert_yaxis()
        axes.set_xlabel(unit)

    return _picture(name, title, 0.8 + _ROW * len(operators), draw_into)


def _label(operator: OperatorFacts) -> str:
    return f"{operator.index} {operator.name.removesuffix('_2D').replace('_CONV', '').replace('_', ' ').lower()}"


def _memory(axes: Axes, blob: Blob) -> None:
    """Each tensor as a box: which operators it lives for, and where in the arena."""
    from matplotlib.ticker import MaxNLocator

    scratch_label, tensor_label = "scratch", "tensors"
    for block in arena_blocks(blob):
        label = scratch_label if block.tensor is None else tensor_label
        axes.broken_barh(
            [(block.offset / 1024, block.size / 1024)],
            (block.first - 0.5, block.last - block.first + 1),
            facecolor=_ORANGE if block.tensor is None else _BLUE,
            alpha=0.55,
            edgecolor="white",
            linewidth=0.6,
            label=label,
        )
    axes.axvline(blob.arena_bytes / 1024, color=_RED, linestyle="--", label="arena")
    axes.set(xlabel="KiB from the arena's beginning", ylabel="operator", xlim=(0, blob.arena_bytes / 1024 * 1.02))
    axes.set_ylim(len(blob.network.operators) - 0.5, -0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))


def _power(axes: Axes, trace: PowerTrace) -> None:
    """A long trace as the band between the least and the most of every stretch."""
    milliwatts = np.asarray(trace.volts * trace.amperes * 1000, float)
    times = np.asarray(trace.edges[:-1] - trace.edges[0], float)
    if len(milliwatts) <= _MOST_POINTS:
        axes.step(times, milliwatts, where="post", color=_BLUE, linewidth=0.8)
    else:
        starts = np.linspace(0, len(milliwatts), _MOST_POINTS, endpoint=False).astype(int)
        low, high = np.minimum.reduceat(milliwatts, starts), np.maximum.reduceat(milliwatts, starts)
        axes.fill_between(times[starts], low, high, step="post", color=_BLUE, linewidth=0.5)
    axes.set(xlabel="s", ylabel="mW", ylim=(0, float(milliwatts.max()) * 1.08 or 1))
