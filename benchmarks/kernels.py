"""Cycles of the bare kernels on a Cortex-M0+, without firmware: single layers, and whole models operator by operator.

    python -m benchmarks.kernels                               all layers, all models
    python -m benchmarks.kernels --layer 'conv 1x1'            layers whose name contains this
    python -m benchmarks.kernels --model kws --operator 2      one operator of a model
    python -m benchmarks.kernels --model kws --functions       and which functions spend the cycles
    python -m benchmarks.kernels --layer 'conv 1x1, 25' --listing smg_conv_2d    and which of its instructions
    python -m benchmarks.kernels --core DIR --flags=-O3        other sources or compiler flags than the project's

Every operator's output is compared with the host reference; a difference ends the measurement with exit code 1.
Code, weights, activations and stack are in SRAM. docs/performance.md says how cycles are counted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bare import BareEngine, WrongResult
from benchmarks.bare_image import CORE, BuildError, Image, build_image
from benchmarks.baseline import BaselineError, read_baseline
from benchmarks.cortex_m0plus import MachineError
from benchmarks.listing import listing
from benchmarks.measure import ModelCycles, measure
from benchmarks.models import NAMES, load_model
from benchmarks.synthetic import LAYERS, synthetic_model
from benchmarks.tables import console, functions_table, layers_table, operators_table
from rich.console import Console


def _layers(arguments: argparse.Namespace) -> list[str]:
    if arguments.model and arguments.layer is None:
        return []
    return [name for name in LAYERS if arguments.layer is None or arguments.layer in name]


def _models(arguments: argparse.Namespace) -> list[str]:
    return arguments.model or ([] if arguments.layer is not None else list(NAMES))


def _measured_models(arguments: argparse.Namespace, engine: BareEngine) -> Iterator[ModelCycles]:
    for name in _models(arguments):
        model = load_model(name)
        if model is None:
            print(
                f"{name}: skipped, the folder of reference models is not here; set SMIDGEN_MODELS to it",
                file=sys.stderr,
            )
        else:
            yield measure(engine, model, arguments.operator)


def _show_details(result: ModelCycles, image: Image, arguments: argparse.Namespace, tables: Console) -> None:
    if arguments.functions:
        tables.print(functions_table(result))
    if arguments.listing is not None:
        tables.print(f"{result.name}, {arguments.listing}")
        for line in listing(result, image, arguments.listing):
            tables.print(line, markup=False, highlight=False)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description="Cycles of the bare kernels.")
    parser.add_argument("--layer", metavar="TEXT", help="only the single layers whose name contains TEXT")
    parser.add_argument("--model", choices=NAMES, action="append", help="only this model; may be given twice")
    parser.add_argument("--operator", type=int, metavar="N", help="with --model: only operator N")
    parser.add_argument("--functions", action="store_true", help="show which functions spend the cycles")
    parser.add_argument("--listing", metavar="FUNCTION", help="show the instructions of a function with their cycles")
    parser.add_argument("--core", type=Path, default=CORE, metavar="DIR", help="C sources (default: native/core)")
    parser.add_argument("--flags", default="", help="compiler flags, after those of the native module")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, the tables on stderr")
    arguments = parser.parse_args(argv)
    if arguments.operator is not None and not arguments.model:
        parser.error("--operator needs --model")
    if not _layers(arguments) and not _models(arguments):
        parser.error(f"no layer has {arguments.layer!r} in its name; there are: {'; '.join(LAYERS)}")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0, 1 for a wrong result, 2 for wrong usage, 5 when it could not be built or run."""
    arguments = _parse(argv)
    tables = console(stderr=arguments.json)
    layers: list[ModelCycles] = []
    models: list[ModelCycles] = []
    try:
        baseline = read_baseline()
        image = build_image(shlex.split(arguments.flags), arguments.core)
        engine = BareEngine(image)
        for name in _layers(arguments):
            layers.append(measure(engine, synthetic_model(name)))
            _show_details(layers[-1], image, arguments, tables)
        if layers:
            tables.print(layers_table(layers, baseline["layers"]))
        for result in _measured_models(arguments, engine):
            models.append(result)
            tables.print(operators_table(result))
            _show_details(result, image, arguments, tables)
    except WrongResult as error:
        print(f"wrong result: {error}", file=sys.stderr)
        return 1
    except (BuildError, BaselineError, MachineError, IndexError) as error:
        print(error, file=sys.stderr)
        return 5
    tables.print(f"code of the engine for ARMv6-M, without the module: {image.text_bytes:,} B of text and constants")
    if arguments.json:
        document = {
            "text_bytes": image.text_bytes,
            "layers": {result.name: result.as_dict() for result in layers},
            "models": {result.name: result.as_dict() for result in models},
        }
        print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
