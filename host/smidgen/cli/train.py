"""`smidgen train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich import box
from rich.table import Table

from smidgen.cli.options import FILE, json_option
from smidgen.cli.output import bytes_text, note, print_json, progress_bar, results
from smidgen.errors import InputError

if TYPE_CHECKING:
    from smidgen.train.recipe import SummaryRow

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("config", type=FILE)
@click.option("-o", "--output", type=FOLDER, help="Folder for checkpoints, blob and record.  [default: CONFIG.run]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Instead of the configuration's.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Runs, with seeds in a row.")
@click.option("--restart", is_flag=True, help="Start again instead of going on from checkpoints.")
@click.option("--plot", type=FILE, help="Draw accuracy against bytes, as .png, .svg or .pdf.")
@json_option
def train(
    config: Path, output: Path | None, seed: int | None, seeds: int, restart: bool, plot: Path | None, as_json: bool
) -> None:
    """Train a network for a small blob by the recipe in CONFIG (.toml): distil, prune, quantise, cluster, export.

    An interrupted run goes on where it was; a finished one only shows its numbers again. OUTPUT/seed-N/ gets the blob
    (model.smg) and the record (run.json). Needs PyTorch. CONFIG names Python files, which are run.
    """
    recipe = _recipe()
    settings = recipe.read_config(config)
    folder = output or config.with_suffix(".run")
    first = settings.seed if seed is None else seed
    runs = []
    for number in range(first, first + seeds):
        with progress_bar() as progress:
            runs.append(
                recipe.run_recipe(settings, folder / f"seed-{number}", seed=number, restart=restart, progress=progress)
            )
    rows = recipe.summarize(runs)
    if plot is not None:
        recipe.plot_summary(settings.name, rows, plot)
    if as_json:
        print_json({"summary": [row.as_dict() for row in rows], "runs": [run.as_dict() for run in runs]})
        return
    results.print(_table(rows))
    note(f"{_seeds(first, seeds)}: mean ± standard deviation; cycles of an RP2040 by the cost model")
    note(f"blobs and records are in {folder}")


def _recipe() -> Any:
    try:
        from smidgen.train import recipe
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError("training needs PyTorch: pip install 'smidgen[train]'") from error
    return recipe


def _seeds(first: int, count: int) -> str:
    return f"seed {first}" if count == 1 else f"seeds {first} to {first + count - 1}"


def _table(rows: Sequence[SummaryRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "accuracy", "loss", "bytes", "1 /", "bits", "zeros", "cycles", "arena"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            f"{100 * row.accuracy.mean:.2f} ± {100 * row.accuracy.deviation:.2f} %",
            f"{100 * row.loss.mean:+.2f} ± {100 * row.loss.deviation:.2f}",
            bytes_text(round(row.bytes.mean)),
            f"{row.ratio.mean:.1f}",
            f"{row.bits_per_weight.mean:.2f}",
            "-" if row.zeros is None else f"{100 * row.zeros.mean:.0f} %",
            "-" if row.cycles is None else f"{row.cycles.mean:,.0f}",
            "-" if row.arena_bytes is None else bytes_text(round(row.arena_bytes.mean)),
        )
    return table
