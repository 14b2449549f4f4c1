"""`smidgen verify`."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click
from rich.text import Text

from smidgen import verify as verification
from smidgen.cli.options import BLOB_FILE, FILE, heap_option, json_option, port_option, require_heap_option
from smidgen.cli.output import print_json, progress_bar, results
from smidgen.errors import MismatchError


@click.command()
@click.argument("blob", type=BLOB_FILE)
@click.option(
    "--golden", type=FILE, help="Inputs and expected outputs (.npz: input, output).  [default: those in BLOB]"
)
@click.option("--against", type=FILE, help="The int8 model (.tflite, .onnx) that BLOB was packed from.")
@click.option("--input", "inputs", type=FILE, help="Samples for --against (.npy or .npz).")
@port_option
@heap_option
@json_option
def verify(
    blob: Path,
    golden: Path | None,
    against: Path | None,
    inputs: Path | None,
    port: str,
    heap_bytes: int | None,
    as_json: bool,
) -> None:
    """Check that BLOB gives exactly the expected numbers; exit 0 only if every input is exact.

    On a difference, shows the first operator where the board and the reference part.
    """
    if (golden and against) or (against is None) != (inputs is None):
        raise click.UsageError("give --golden FILE, or --against MODEL.tflite with --input FILE, or neither")
    require_heap_option(port, heap_bytes)
    with progress_bar() as progress:

        def update(done: int, total: int) -> None:
            progress(f"verifying on {port}", done, total)

        if golden is not None:
            result = verification.verify_golden(blob, golden, port, heap_bytes=heap_bytes, progress=update)
        elif against is None or inputs is None:
            result = verification.verify_embedded(blob, port, heap_bytes=heap_bytes, progress=update)
        else:
            result = verification.verify_against(blob, against, inputs, port, heap_bytes=heap_bytes, progress=update)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    if not result.is_exact:
        sys.exit(MismatchError.exit_code)


def _print(result: verification.Verification) -> None:
    verdict = Text("exact", "green") if result.is_exact else Text("not exact", "bold red")
    results.print(
        verdict + f": {result.exact} of {result.inputs} inputs on {result.port} equal {result.expected_from}, "
        f"largest difference {result.max_abs_diff}",
        soft_wrap=True,
    )
    first = result.first_difference
    if first is None:
        return
    if first.operator is None:
        results.print(
            f"input {first.input}: every operator agrees with the reference; the expected output differs from both "
            f"({first.elements} elements, by up to {first.max_abs_diff})",
            soft_wrap=True,
        )
    else:
        results.print(
            f"input {first.input}: board and reference part at operator {first.operator} {first.operator_name} "
            f"(tensor {first.tensor}): {first.elements} elements differ, by up to {first.max_abs_diff}",
            soft_wrap=True,
        )
