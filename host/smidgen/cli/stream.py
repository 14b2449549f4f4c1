"""`smidgen stream`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import rich_click as click

from smidgen.cli.options import BLOB_FILE, FILE, board_port_option, json_option
from smidgen.cli.output import note, print_json, results
from smidgen.cli.stream_view import StreamView, advice, summary
from smidgen.errors import InputError
from smidgen.stream import LiveWindow, StreamOptions, run_stream
from smidgen.stream.record import Recorder, open_recorder, require_recordable
from smidgen.stream.standard_input import CSV, ENCODINGS

_INTERRUPTED = 130


@click.command()
@click.argument("blob", type=BLOB_FILE)
@click.option(
    "--source", required=True,
    help="A file (.wav, .csv, .npy, .npz), - (standard input), microphone, or board:READER,... (docs/streaming.md).",
)  # fmt: skip
@click.option("--window", type=click.IntRange(min=1), help="Frames in a window: refuse a model with another number.")
@click.option("--hop", type=click.IntRange(min=1), help="Frames from one window to the next.  [default: half a window]")
@click.option(
    "--speed", type=click.Choice(["1", "max"]), default="1", show_default=True,
    help="1: samples are sent when they are due. max: a file as fast as the board takes it.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="End after so many windows.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Samples a second, if the source does not say."
)
@click.option("--format", "encoding", type=click.Choice([*ENCODINGS, CSV]), default="int16", help="Of standard input.")
@click.option("--channels", type=click.IntRange(1, 256), default=1, help="Of standard input.")
@click.option("--record", type=FILE, help="Write what was seen and answered here (.jsonl, .npz).")
@click.option("--record-windows", is_flag=True, help="With the int8 input of each window.")
@board_port_option
@json_option
def stream(
    blob: Path, source: str, window: int | None, hop: int | None, speed: str, limit: int | None, rate: float | None,
    encoding: str, channels: int, record: Path | None, record_windows: bool, port: str, as_json: bool,
) -> None:  # fmt: skip
    """Stream samples through BLOB on a board, which cuts the windows and answers live."""
    if record_windows and record is None:
        raise click.UsageError("--record-windows says what --record writes: give --record FILE too")
    if record is not None and record.resolve() in (blob.resolve(), Path(source).resolve()):
        raise InputError(f"{record} is an input of this command; choose another name for the recording")
    if record is not None:
        require_recordable(record)
    options = StreamOptions(window, hop, speed == "1", limit, rate, encoding, channels)
    with ExitStack() as stack:
        about = {"blob": blob.name, "source": source, "hop": hop, "speed": speed}
        recorders: list[Recorder] = []
        view = stack.enter_context(StreamView(quiet=as_json))

        def begin() -> None:
            if record is not None:
                recorders.append(stack.enter_context(open_recorder(record, about, windows=record_windows)))

        def show(live: LiveWindow) -> None:
            for recorder in recorders:
                recorder.add(live)
            view.show(live)

        result = run_stream(blob, source, port, options, begin=begin, show=show)
        for recorder in recorders:
            if not result.partial:
                recorder.complete()
    if as_json:
        print_json(result.as_dict())
    else:
        results.print(summary(result))
    if hint := advice(result):
        note(hint)
    if result.partial:
        sys.exit(_INTERRUPTED)
