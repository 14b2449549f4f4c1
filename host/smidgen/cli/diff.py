"""`smidgen diff`."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click
from rich.text import Text

from smidgen import packer
from smidgen.cli.options import BLOB_FILE, FILE, board_port_option, heap_option, json_option, require_heap_option
from smidgen.cli.output import note, print_json, progress_bar, results
from smidgen.cli.tables import make_table
from smidgen.diff import Comparison, OperatorComparison, compare_operators
from smidgen.diff_plot import plot_operator
from smidgen.errors import MismatchError


@click.command()
@click.argument("blob", type=BLOB_FILE)
@click.option("--input", "inputs", type=FILE, required=True, help="Samples (.npy or .npz): int8, or real values.")
@click.option(
    "--index", type=click.IntRange(min=0), default=0, show_default=True, help="The sample to compare, counted from 0."
)
@click.option("--plot", type=FILE, help="Draw board, reference and difference of one operator into this PNG file.")
@click.option(
    "--operator",
    type=click.IntRange(min=0),
    help="The operator to draw.  [default: the first that differs, or the last]",
)
@board_port_option
@heap_option
@json_option
def diff(
    blob: Path,
    inputs: Path,
    index: int,
    plot: Path | None,
    operator: int | None,
    port: str,
    heap_bytes: int | None,
    as_json: bool,
) -> None:
    """Compare BLOB on a board with the host reference, operator by operator, on one sample.

    Exit 0 if all elements of all tensors are equal, 1 if not.
    """
    if operator is not None and plot is None:
        raise click.UsageError("--operator chooses what --plot draws: give --plot FILE too")
    require_heap_option(port, heap_bytes)
    if plot is not None:
        packer.require_writable(plot, (blob, inputs))
    with progress_bar() as progress:
        result = compare_operators(
            blob, inputs, port, sample=index, operator=operator, heap_bytes=heap_bytes,
            progress=lambda done, total: progress(f"comparing on {port}", done, total),
        )  # fmt: skip
    if plot is not None:
        packer.save(plot_operator(result, operator), plot, (blob, inputs))
        note(f"wrote {plot}")
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    if not result.is_equal:
        sys.exit(MismatchError.exit_code)


def _print(result: Comparison) -> None:
    first = result.first_difference
    columns = [("#", True), ("operator", False), ("output", True)]
    if first is not None:
        columns += [("differ", True), ("max", True), ("mean", True), ("RMSE", True), ("real", True), ("inputs", False),
                    ("", False)]  # fmt: skip
    table = make_table(f"{result.port} against the reference, sample {result.sample}", columns)
    table.padding = (0, 1, 0, 0)  # the widest table has to fit a terminal
    for row in result.operators:
        errors = [] if first is None else [*_errors(row), Text("first", "bold red") if row is first else ""]
        table.add_row(*_operator(row), *errors)
    results.print(table)
    if first is None:
        results.print(Text("equal", "green") + f": every element of all {len(table.rows)} tensors", soft_wrap=True)
    else:
        results.print(Text("different", "bold red") + f": {_sentence(first)}", soft_wrap=True)


def _operator(row: OperatorComparison) -> list[str]:
    number = f"{row.parts[0]}-{row.index}" if row.parts else str(row.index)
    return [number, row.name, "x".join(map(str, row.shape))]


def _errors(row: OperatorComparison) -> list[str]:
    """In steps of int8, and the RMSE in real units too."""
    inputs = "equal" if row.inputs_equal else "differ"
    errors = row.errors
    if row.is_equal:
        return ["0", "", "", "", "", inputs]
    return [
        f"{errors.differing:,}", str(errors.max_abs), f"{errors.mean_abs:.2g}", f"{errors.rmse:.2g}",
        f"{errors.rmse * row.scale:.2g}", inputs,
    ]  # fmt: skip


def _sentence(row: OperatorComparison) -> str:
    element = row.errors.first
    assert element is not None
    position = ", ".join(map(str, element.position))
    return (
        f"operator {row.index} {row.name} is the first, from equal inputs; its element [{position}] is {element.board} "
        f"on the board and {element.reference} in the reference"
    )
