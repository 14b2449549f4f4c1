"""`smidgen pack`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from smidgen import packer
from smidgen.boards import BoardDescription
from smidgen.cli.compression import compression_options, compression_request, print_curve
from smidgen.cli.explanation import print_explanation
from smidgen.cli.options import BOARD_NAME, FILE, json_option
from smidgen.cli.output import note, print_json, progress_bar, results
from smidgen.cli.tables import print_report
from smidgen.compress import plot_curve
from smidgen.optimization import DEFAULT_MEMORY_BYTES
from smidgen.plan.optimize import Goal
from smidgen.plan.weights import CODINGS, Coding
from smidgen.quantize import DEFAULT_METHOD, RANGE_METHODS


@click.command()
@click.argument("model", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The blob to write (.smg).")
@click.option("--calibration", type=FILE, help="Real inputs (.npz or .npy) to quantise and to compress with.")
@click.option(
    "--method", type=click.Choice(RANGE_METHODS), default=DEFAULT_METHOD, show_default=True,
    help="How activation ranges are chosen from the calibration data.",
)  # fmt: skip
@click.option(
    "--calibration-scale",
    type=float,
    help="Real value of one step of integer calibration data, e.g. 0.0039216 for pixels.",
)
@click.option("--labels", type=FILE, help="Text file with the name of one class a line.")
@click.option("--golden", type=FILE, help="Inputs and expected outputs (.npz: input, output) to check and to embed.")
@click.option(
    "--golden-count", type=click.IntRange(min=0),
    help="How many golden vectors go into the blob.  [default: 2, if they take at most 4 KiB]",
)  # fmt: skip
@click.option(
    "--keep-channels", is_flag=True,
    help="Keep channels that no output depends on, so that all tensors have the shapes they have in MODEL.",
)  # fmt: skip
@click.option(
    "--optimize", type=click.Choice([goal.value for goal in Goal]),
    help="What to choose kernels, working memory and coding for.  [default: balanced; size when compressing]",
)  # fmt: skip
@click.option(
    "--coding", type=click.Choice(CODINGS),
    help="How all weights are stored, e.g. raw for a blob in memory-mapped flash.  [default: what --optimize chooses]",
)  # fmt: skip
@click.option(
    "--board", type=BOARD_NAME,
    help=f"Whose memory the plan is made to fit.  [default: {DEFAULT_MEMORY_BYTES:,} bytes]",
)  # fmt: skip
@click.option("--explain", is_flag=True, help="Show why each operator got its kernel, and what other goals would cost.")
@compression_options
@json_option
def pack(
    model: Path, output: Path, calibration: Path | None, calibration_scale: float | None, method: str,
    labels: Path | None, golden: Path | None, golden_count: int | None,
    keep_channels: bool, optimize: str | None, coding: Coding | None, board: BoardDescription | None, explain: bool,
    as_json: bool, **compressing: Any,
) -> None:  # fmt: skip
    """Pack MODEL (.tflite, .onnx) into one blob: quantise if it is a float model, plan memory, compress weights."""
    request, plot = compression_request(**compressing)
    with progress_bar() as progress:
        packed = packer.pack(
            model, calibration=calibration, calibration_scale=calibration_scale, method=method, labels=labels,
            golden=golden, golden_count=golden_count, keep_channels=keep_channels, optimize=optimize, coding=coding,
            board=board, explain=explain, compression=request, progress=progress,
        )  # fmt: skip
    packer.save(packed.data, output, (model, calibration, labels, golden, compressing["calibration_labels"]))
    for line in packed.notes:
        note(line)
    if packed.compression is not None:
        print_curve(packed.compression)
        if plot is not None:
            plot_curve(packed.compression, plot, model.stem)
    if as_json:
        explanation = {"explanation": packed.explanation.as_dict()} if packed.explanation else {}
        removed = asdict(packed.removal)
        compression = {"compression": packed.compression.as_dict()} if packed.compression else {}
        print_json({"output": str(output), **packed.report.as_dict(), "removed": removed, **explanation, **compression})
        return
    print_report(packed.report, packed.removal)
    if packed.explanation is not None:
        print_explanation(packed.explanation)
    results.print(
        f"wrote {output}: {len(packed.data):,} bytes ({model.name}: {model.stat().st_size:,} bytes)", soft_wrap=True
    )
