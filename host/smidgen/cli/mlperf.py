"""`smidgen mlperf`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import rich_click as click

from smidgen.cli.options import BLOB_FILE, FILE, board_port_option, heap_option, json_option, require_heap_option
from smidgen.cli.output import note, print_json, progress_bar, results
from smidgen.cli.tables import make_table
from smidgen.mlperf import (
    BENCHMARKS,
    Accuracy,
    Candidate,
    DeviceUnderTest,
    Performance,
    device_under_test,
    load_samples,
    measure_accuracy,
    measure_performance,
    open_candidate,
    samples_of_blob,
)
from smidgen.mlperf.runner import LEAST_SECONDS

INTERRUPTED = 130  # exit code
_PERFORMANCE, _ACCURACY = "performance", "accuracy"


@click.command()
@click.argument("blob", type=BLOB_FILE)
@click.option(
    "--run", "mode", type=click.Choice([_PERFORMANCE, _ACCURACY]),
    help="Measure with smidgen's own runner, instead of waiting for the official one.",
)  # fmt: skip
@click.option(
    "--input", "inputs", type=FILE,
    help="Samples for --run (.npy; .npz with labels).  [default: the blob's golden vectors, else noise]",
)  # fmt: skip
@click.option(
    "-n", "inferences", type=click.IntRange(min=1), default=10, show_default=True,
    help="Performance: inferences in each of five windows.",
)  # fmt: skip
@click.option(
    "--warmups", type=click.IntRange(min=0), default=1, show_default=True, help="Performance: inferences before them."
)
@click.option("--limit", type=click.IntRange(min=1), help="Only so many samples.")
@click.option("--model", type=click.Choice(list(BENCHMARKS)), help="Refuse a blob for another benchmark.")
@board_port_option
@heap_option
@json_option
def mlperf(
    blob: Path, mode: str | None, inputs: Path | None, inferences: int, warmups: int, limit: int | None,
    model: str | None, port: str, heap_bytes: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a board a device under test of MLPerf Tiny, with BLOB as its model (kws01, vww01, ic01, ad01).

    Then the official runner can measure it, until Ctrl-C; or --run does. The board is afterwards as it was.
    """
    if mode is None and (inputs is not None or as_json):
        raise click.UsageError("--input and --json belong to --run performance or --run accuracy")
    require_heap_option(port, heap_bytes)
    candidate = open_candidate(blob, model)
    if candidate.warning:
        note(candidate.warning)
    samples = (load_samples(inputs, candidate) if inputs else samples_of_blob(candidate)).first(limit)
    result: Performance | Accuracy | None = None
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar())
        loading = partial(progress, "loading the model")
        dut = stack.enter_context(device_under_test(candidate, port, heap_bytes=heap_bytes, progress=loading))
        if mode == _PERFORMANCE:
            result = measure_performance(candidate, dut, samples, inferences, warmups, progress)
        elif mode == _ACCURACY:
            result = measure_accuracy(candidate, dut, samples, progress)
        else:
            _wait(candidate, dut)
    if result is None:
        return
    if as_json:
        print_json(result.as_dict())
    elif isinstance(result, Performance):
        _print_performance(candidate, result)
    else:
        _print_accuracy(candidate, result)
    if result.is_partial:
        sys.exit(INTERRUPTED)


def _wait(candidate: Candidate, dut: DeviceUnderTest) -> None:
    results.print(f"{candidate.benchmark.name} {dut.port}", soft_wrap=True)
    results.file.flush()
    note("the port is free for the runner (docs/mlperf.md); Ctrl-C here ends the device under test")
    try:
        dut.wait()
    except KeyboardInterrupt:
        note("ended")


def _print_performance(candidate: Candidate, result: Performance) -> None:
    if result.median_throughput is None:
        note("interrupted before the first window was complete")
        return
    table = make_table(
        f"{result.benchmark}, {candidate.benchmark.title}: {candidate.path.name}",
        [("window", True), ("inferences", True), ("runtime", True), ("throughput", True)],
    )
    for number, (microseconds, throughput) in enumerate(zip(result.windows, result.throughputs, strict=True), 1):
        table.add_row(str(number), f"{result.inferences:,}", f"{microseconds * 1e-6:.3f} s", f"{throughput:.3f} inf./s")
    results.print(table)
    results.print(f"median throughput {result.median_throughput:.3f} inf./s; all results as the reference's")
    if result.is_partial:
        note(f"partial: {len(result.windows)} of the five windows")
    elif result.seconds < LEAST_SECONDS:
        note(
            f"the windows took {result.seconds:.1f} s, MLPerf Tiny asks for {LEAST_SECONDS:g}: "
            f"-n {result.sufficient_inferences}"
        )


def _print_accuracy(candidate: Candidate, result: Accuracy) -> None:
    results.print(f"{result.benchmark}, {candidate.benchmark.title}: {candidate.path.name}", soft_wrap=True)
    results.print(f"{result.samples} samples, all results as the reference's")
    if result.is_partial:
        note("partial: interrupted")
    if result.score is None:
        note("no score: the input has no labels (for ad01: none of one of the two classes)")
    elif candidate.benchmark.is_anomaly_detection:
        results.print(f"AUC {result.score:.3f} (closed division: at least {result.floor:.2f})")
    else:
        results.print(f"top-1 accuracy {result.score:.1%} (closed division: at least {result.floor:.0%})")
