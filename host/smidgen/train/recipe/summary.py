"""Several runs of a recipe with different seeds: means and spreads, as figures and as a plot."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smidgen.errors import InputError
from smidgen.train.recipe.run import RunRecord


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of the sample; 0 for one run)."""

    mean: float
    deviation: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


@dataclass(frozen=True)
class SummaryRow:
    """A row of all runs. loss: of accuracy against the float network of the same seed, 0 .. 1, negative for a gain.

    ratio: bytes of the float weights for one byte.
    """

    name: str
    accuracy: Spread
    loss: Spread
    bytes: Spread
    ratio: Spread
    bits_per_weight: Spread
    zeros: Spread | None
    cycles: Spread | None
    arena_bytes: Spread | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarize(runs: Sequence[RunRecord]) -> list[SummaryRow]:
    """One row for each row of the runs, which are of one configuration."""
    return [_row(runs, index) for index in range(len(runs[0].rows))]


def _row(runs: Sequence[RunRecord], index: int) -> SummaryRow:
    rows, floats = [run.rows[index] for run in runs], [run.rows[0] for run in runs]

    def spread(field: str) -> Spread | None:
        values = [getattr(row, field) for row in rows]
        return None if None in values else Spread.of(values)

    return SummaryRow(
        name=rows[0].name,
        accuracy=Spread.of([row.accuracy for row in rows]),
        loss=Spread.of([real.accuracy - row.accuracy for row, real in zip(rows, floats, strict=True)]),
        bytes=Spread.of([row.bytes for row in rows]),
        ratio=Spread.of([real.bytes / row.bytes for row, real in zip(rows, floats, strict=True)]),
        bits_per_weight=Spread.of([row.bits_per_weight for row in rows]),
        zeros=spread("zeros"),
        cycles=spread("cycles"),
        arena_bytes=spread("arena_bytes"),
    )


def plot_summary(name: str, rows: Sequence[SummaryRow], path: str | Path) -> None:
    """Draw accuracy against bytes, with the spread over seeds. Raises InputError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib: pip install 'smidgen[plot]'") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        axes.errorbar(
            row.bytes.mean, 100 * row.accuracy.mean, xerr=row.bytes.deviation, yerr=100 * row.accuracy.deviation,
            marker="o", capsize=3, label=row.name,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("bytes (float: of the weights; else of the blob)")
    axes.set_ylabel("accuracy on test data, %")
    axes.set_title(name)
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write the plot {path}: {error}") from error
