"""`smidgen collect`."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from smidgen.cli.options import FILE, board_port_option, json_option
from smidgen.cli.output import note, print_json, progress_bar, results
from smidgen.stream.collect import collect as collect_samples
from smidgen.stream.standard_input import CSV, ENCODINGS

_INTERRUPTED = 130


@click.command()
@click.option("--source", required=True, help="board:READER,..., a file, - or microphone (docs/streaming.md).")
@click.option("--label", required=True, help="What these samples are.")
@click.option("-o", "--output", type=FILE, required=True, help="The data set to add them to (.npz).")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long.  [default: until Ctrl-C]")
@click.option("--samples", type=click.IntRange(min=1), help="How many, instead of --seconds.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Samples a second, if the source does not say."
)
@click.option("--format", "encoding", type=click.Choice([*ENCODINGS, CSV]), default="int16", help="Of standard input.")
@click.option("--channels", type=click.IntRange(1, 256), default=1, help="Of standard input.")
@board_port_option
@json_option
def collect(
    source: str, label: str, output: Path, seconds: float | None, samples: int | None, rate: float | None,
    encoding: str, channels: int, port: str, as_json: bool,
) -> None:  # fmt: skip
    """Collect labelled samples from a sensor of the board, or another source, for training."""
    if seconds is not None and samples is not None:
        raise click.UsageError("--seconds and --samples both say how much: give one of them")
    with progress_bar() as progress:
        collection = collect_samples(
            source, label, output, port=port, samples=samples, seconds=seconds, rate=rate, encoding=encoding,
            channels=channels, progress=lambda done, total: progress(f"collecting {label}", done, total),
        )  # fmt: skip
    if as_json:
        print_json(collection.as_dict())
    else:
        held = ", ".join(f"{count} {name}" for name, count in collection.recordings.items()) or "nothing"
        results.print(f"{collection.samples:,} samples of {label}; {output} has {held}")
        if collection.lost:
            note(f"the board lost {collection.lost:,} samples: take a lower rate")
    if collection.partial:
        sys.exit(_INTERRUPTED)
