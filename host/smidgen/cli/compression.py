"""The options of `smidgen pack` that make weights smaller, and the curve it prints then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from rich.table import Table

from smidgen.cli.options import FILE
from smidgen.cli.output import messages
from smidgen.compress import Compression, Kind, Point, Target
from smidgen.compression import CompressionRequest

_TARGETS = {
    "target_bytes": Kind.BLOB_BYTES,
    "bits_per_weight": Kind.BITS_PER_WEIGHT,
    "max_accuracy_loss": Kind.LOSS,
}


class Percent(click.ParamType):  # type: ignore[type-arg]
    """A number of percent, with or without the sign, as a part of 1."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            part = float(str(value).strip().removesuffix("%")) / 100
        except ValueError:
            part = -1.0
        if not 0 <= part <= 1:
            self.fail(f"{value!r} is not a number of percent from 0 to 100, such as 0.5%", param, ctx)
        return part


def compression_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Targets, labels of the samples, and how to search."""
    options = [
        click.option(
            "--target-bytes", type=click.IntRange(min=1), metavar="N",
            help="Compress the weights until the blob has at most N bytes.",
        ),
        click.option(
            "--bits-per-weight", type=click.FloatRange(min=0, min_open=True), metavar="BITS",
            help="Compress the weights to so many bits each on average, code tables included.",
        ),
        click.option(
            "--max-accuracy-loss", type=Percent(), metavar="PERCENT",
            help="Compress the weights as far as no more is lost: of the accuracy with --calibration-labels, else of "
            "the agreement with the uncompressed network, on a quarter of the calibration data that is kept apart.",
        ),
        click.option(
            "--calibration-labels", type=FILE, help="Right class of each calibration sample (.npz or .npy, from 0)."
        ),
        click.option("--plot", type=FILE, help="Draw the curve of bytes against loss (.png, .svg, .pdf)."),
        click.option(
            "--jobs", type=int, default=-1, show_default=True, help="Processes to search with; -1: one on each core."
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the compression."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def compression_request(
    *, calibration_labels: Path | None, plot: Path | None, jobs: int, seed: int, **targets: float | None
) -> tuple[CompressionRequest | None, Path | None]:
    """What the options ask for, and where the plot goes. Raises UsageError where they do not go together."""
    given = {name: limit for name, limit in targets.items() if limit is not None}
    if len(given) > 1:
        names = " and ".join("--" + _TARGETS[name].value for name in given)
        raise click.UsageError(f"{names} are targets of the same search; give one of them")
    if not given:
        for name, value in (("--calibration-labels", calibration_labels), ("--plot", plot)):
            if value is not None:
                raise click.UsageError(f"{name} belongs to a compression; give --target-bytes, --bits-per-weight or "
                                       "--max-accuracy-loss")  # fmt: skip
        return None, None
    ((name, limit),) = given.items()
    return CompressionRequest(Target(_TARGETS[name], limit), calibration_labels, seed, jobs), plot


def print_curve(compression: Compression) -> None:
    """The trade-off curve as a table on stderr."""
    judged = f"{compression.judged_samples} samples of {compression.judged_samples + compression.calibration_samples}"
    table = Table(title=f"Bytes against {compression.loss_name}, judged with {judged}", title_justify="left")
    for column in ("blob", "bits a weight", "same class", "accuracy", "loss", "divergence", ""):
        table.add_column(column, justify="right")
    for point in compression.curve:
        table.add_row(*_row(point), "chosen" if point is compression.chosen else "")
    messages.print(table)


def _row(point: Point) -> tuple[str, ...]:
    quality = point.quality
    return (
        f"{point.size.blob_bytes:,} B",
        f"{point.size.bits_per_weight:.2f}",
        "" if quality.agreement is None else f"{100 * quality.agreement:.1f} %",
        "" if quality.accuracy is None else f"{100 * quality.accuracy:.1f} %",
        f"{100 * point.loss:.1f} %",
        f"{quality.divergence:.4f}",
    )
