"""`smidgen run`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import rich_click as click
from rich import box
from rich.table import Table

from smidgen import packer, runner
from smidgen.cli.options import BLOB_FILE, FILE, heap_option, json_option, port_option, require_heap_option
from smidgen.cli.output import note, print_json, progress_bar, results

_SHOWN = 10


@click.command()
@click.argument("blob", type=BLOB_FILE)
@click.option("--input", "inputs", type=FILE, required=True, help="Samples (.npy or .npz): int8, or real values.")
@click.option("--output", type=FILE, help="Write the int8 outputs here (.npy; .npz where there are several).")
@port_option
@heap_option
@json_option
def run(blob: Path, inputs: Path, output: Path | None, port: str, heap_bytes: int | None, as_json: bool) -> None:
    """Run BLOB on every sample of the input file and show the results."""
    require_heap_option(port, heap_bytes)
    if output is not None:
        packer.require_writable(output, (blob, inputs))
    with progress_bar() as progress:
        result = runner.run_file(
            blob,
            inputs,
            port,
            heap_bytes=heap_bytes,
            progress=lambda done, total: progress(f"running on {port}", done, total),
        )
    if output is not None:
        _save(result, output, (blob, inputs))
        note(f"wrote {output}")
    if as_json:
        print_json(result.as_dict())
    else:
        results.print(_table(result))


def _save(result: runner.RunResult, path: Path, used: tuple[Path, ...]) -> None:
    buffer = io.BytesIO()
    if len(result.outputs) == 1:
        np.save(buffer, result.outputs[0])
    else:
        np.savez(buffer, **{f"output_{i}": array for i, array in enumerate(result.outputs)})  # type: ignore[arg-type]
    packer.save(buffer.getvalue(), path, used)


def _table(result: runner.RunResult) -> Table:
    table = Table(
        title=f"{len(result.outputs[0])} samples on {result.port}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("sample", justify="right")
    table.add_column("largest" if result.labels is None else "label")
    table.add_column("score", justify="right")
    table.add_column("ms on the board", justify="right")
    scores = result.scores[0].reshape(len(result.outputs[0]), -1)
    for number, row in enumerate(scores[:_SHOWN]):
        best = int(row.argmax())
        label = result.labels[best] if result.labels else f"element {best}"
        time = f"{result.microseconds[number] / 1000:.2f}" if result.microseconds else "-"
        table.add_row(str(number), label, f"{row[best]:.4f}", time)
    if len(scores) > _SHOWN:
        table.add_row("…", f"and {len(scores) - _SHOWN} more (--output or --json for all)", "", "")
    return table
