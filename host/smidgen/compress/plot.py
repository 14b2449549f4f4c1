"""Draws the trade-off curve."""

from __future__ import annotations

from pathlib import Path

from smidgen.compress.search import Compression, Kind
from smidgen.errors import InputError

_DOTS_PER_INCH = 120


def plot_curve(compression: Compression, path: str | Path, title: str = "") -> None:
    """Write bytes against loss, and against divergence, as an image; the name's ending says which kind.

    Raises InputError without matplotlib, for a kind of image it does not know, or a path that cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib: pip install 'smidgen[plot]'") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    points = compression.curve
    sizes = [point.size.blob_bytes for point in points]
    axes.plot(sizes, [100 * point.loss for point in points], "o-", label=f"loss of {compression.loss_name}")
    chosen = compression.chosen
    axes.plot([chosen.size.blob_bytes], [100 * chosen.loss], "D", color="black", markersize=9, label="chosen")
    if compression.target.kind == Kind.BLOB_BYTES:
        axes.axvline(compression.target.limit, color="grey", linestyle="--", label="target")
    if compression.target.kind == Kind.LOSS:
        axes.axhline(100 * compression.target.limit, color="grey", linestyle="--", label="target")
    axes.set(xlabel="bytes of the blob", ylabel="loss, points", title=title)
    axes.grid(alpha=0.3)
    second = axes.twinx()
    second.semilogy(sizes[1:], [point.quality.divergence for point in points[1:]], "s:", color="tab:orange")
    second.set_ylabel("divergence of the outputs", color="tab:orange")
    axes.legend()
    try:
        figure.savefig(path, dpi=_DOTS_PER_INCH)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write the plot {path}: {error}") from error
