"""What networks cost: cycles on a Cortex-M0+, in MicroPython's Pico firmware and bare, memory, and the change.

    python -m benchmarks.cycles [--model kws] [--bare] [--keep-channels] [--json] [--output FILE] [--update-baseline]

Every network runs on sim:pico (whole, by the board's clock, and once more for the times of single operators) and on
the bare engine (operator by operator, exact cycles); its instructions are counted on other architectures under QEMU.
A figure is printed only if the outputs are exactly those that TFLite Micro or the host reference gives.
docs/performance.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.bare import BareEngine, WrongResult
from benchmarks.bare_image import BuildError, build_image
from benchmarks.baseline import PATH, BaselineError, read_baseline, write_baseline
from benchmarks.board_run import BoardRun, WrongOutput
from benchmarks.cortex_m0plus import MachineError
from benchmarks.document import Measurement, make_document
from benchmarks.firmware import PicoFiles, find_files, run_on_pico
from benchmarks.instructions import BOARDS, count_instructions
from benchmarks.measure import ModelCycles, measure
from benchmarks.models import NAMES, BenchmarkModel, coding_note, load_model
from benchmarks.published import published_notes
from benchmarks.synthetic import LAYERS, synthetic_model
from benchmarks.tables import (
    console,
    instructions_table,
    layers_table,
    memory_table,
    models_table,
    operators_table,
    predicted_networks_table,
)

from smidgen.errors import BoardError, InputError, SmidgenError


def _load(names: list[str], keep_channels: bool) -> list[BenchmarkModel]:
    models = []
    for name in names:
        model = load_model(name, keep_channels)
        if model is None:
            _say(f"{name}: skipped, the folder of reference models is not here; set SMIDGEN_MODELS to it")
        else:
            models.append(model)
    return models


def _measure(models: list[BenchmarkModel], engine: BareEngine) -> Iterator[Measurement]:
    """Without firmware."""
    for model in models:
        yield Measurement(model, measure(engine, model), None, {})


def _measure_with_boards(models: list[BenchmarkModel], engine: BareEngine, boards: int) -> Iterator[Measurement]:
    """boards: how many virtual boards run at a time."""
    files = find_files()
    # The longest first, so that the last one is not waited for alone.
    by_work = sorted(models, key=lambda model: -model.macs)
    # Processes, so that Ctrl-C reaches each of them and ends its board.
    with ProcessPoolExecutor(max(1, min(boards, len(models)))) as pool:
        runs = {model.name: pool.submit(_run_on_pico, model, files) for model in by_work}
        try:
            for model in models:
                yield Measurement(model, measure(engine, model), runs[model.name].result(), _instructions(model))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_on_pico(model: BenchmarkModel, files: PicoFiles) -> BoardRun:
    _say(f"{model.name}: runs on sim:pico")
    start = time.monotonic()
    run = run_on_pico(model, files)
    _say(f"{model.name}: sim:pico took {time.monotonic() - start:.0f} s")
    return run


def _instructions(model: BenchmarkModel) -> dict[str, int]:
    """By architecture; those whose virtual board is not there are left out, with a sentence."""
    counts = {}
    for arch in BOARDS:
        try:
            counts[arch] = count_instructions(model, arch)
        except (BoardError, InputError) as error:
            _say(f"{model.name} on {arch}: skipped, {error}")
    return counts


def _show(document: dict[str, Any], measurements: list[Measurement], layers: list[ModelCycles], stderr: bool) -> None:
    baseline = read_baseline()
    output = console(stderr)
    for measurement in measurements:
        times = measurement.board.operator_microseconds if measurement.board else None
        output.print(operators_table(measurement.bare, times))
    output.print(layers_table(layers, baseline["layers"]))
    output.print(memory_table(document))
    if any(measurement.instructions for measurement in measurements):
        output.print(instructions_table(document, baseline["models"]))
    output.print(models_table(document, baseline["models"]))
    output.print(predicted_networks_table(document))
    for line in published_notes(list(document["models"])):
        output.print(line)
    for line in filter(None, (coding_note(measurement.model) for measurement in measurements)):
        output.print(line)
    module = document["module"]
    output.print(f"code of the engine for ARMv6-M, without the module: {module['engine_text_bytes']:,} B")
    if "text_bytes" in module:
        output.print(
            f"smidgen.mpy for armv6m: {module['text_bytes'] + module['rodata_bytes']:,} B of text and constants, "
            f"{module['bss_bytes']:,} B of variables; the file has {module['file_bytes']:,} B"
        )
    if module["heap_bytes"] is not None:
        output.print(
            f"import smidgen takes {module['heap_bytes']:,} B of the {module['free_heap_bytes']:,} B of heap that a "
            "Pico has free"
        )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")  # in one piece: several processes write
    sys.stderr.flush()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cycles", description="What networks cost on a Cortex-M0+: cycles and memory."
    )
    parser.add_argument("--model", choices=NAMES, action="append", help="only this model; may be given twice")
    parser.add_argument("--bare", action="store_true", help="without firmware: half a minute in place of many")
    parser.add_argument("--keep-channels", action="store_true", help="with those that no output depends on")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="virtual boards at a time (default: 2)")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, the tables on stderr")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON document to FILE")
    parser.add_argument("--update-baseline", action="store_true", help=f"store the figures in {PATH.name}")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error(f"--jobs takes 1 or more, got {arguments.jobs}")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0, 1 for a wrong result, 2 for wrong usage, 5 when something is missing or fails, 130 for Ctrl-C."""
    arguments = _parse(argv)
    start = time.monotonic()
    try:
        read_baseline()  # before minutes are spent
        image = build_image()
        engine = BareEngine(image)
        layers = [measure(engine, synthetic_model(name)) for name in LAYERS]
        models = _load(arguments.model or list(NAMES), arguments.keep_channels)
        if arguments.bare:
            measurements = list(_measure(models, engine))
        else:
            measurements = list(_measure_with_boards(models, engine, arguments.jobs))
        document = make_document(measurements, layers, image)
        _show(document, measurements, layers, arguments.json)
        if arguments.output is not None:
            arguments.output.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        if arguments.update_baseline:
            write_baseline(document)
    except (WrongResult, WrongOutput) as error:
        _say(f"wrong result: {error}")
        return 1
    except (BuildError, BaselineError, MachineError, SmidgenError, OSError) as error:
        _say(str(error))
        return 5
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        print(json.dumps(document, indent=2))
    _say(f"measured in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
