"""How well int8 networks agree with the float models they come from: our quantisation, and MLPerf Tiny's own files.

    python -m benchmarks.quantization [--json] [--model kws] [--samples 100]

Every model is quantised twice, with the roles of the two halves of the data exchanged, so that no network ever sees
an evaluation input while it is calibrated; the figures are over both halves together. The int8 networks are run by the
NumPy reference, bit for bit as on a board, on the same real inputs, each in its own scale and zero point.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmarks.quantization_inputs import LOADERS, Floats, Inputs, models_folder
from rich.console import Console
from rich.table import Table

from smidgen.formats.tflite_reader import read_tflite
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.passes import simplify
from smidgen.quantize import DEFAULT_METHOD, RANGE_METHODS, quantize
from smidgen.reference import run_network
from smidgen.reference.float_executor import run_float

Network = Callable[[Floats], Floats]  # real inputs [samples, ...] to real outputs [samples, outputs]
Quantizer = Callable[[Graph, Floats], Graph]

FILES = {  # the float model, MLPerf Tiny's own int8 file
    "kws": ("kws_ref_model_float32", "kws_ref_model"),
    "vww": ("vww_96_float", "vww_96_int8"),
    "ic": ("pretrainedResnet", "pretrainedResnet_quant"),
    "ad": ("ad01_fp32", "ad01_int8"),
}
RECONSTRUCTING = {"ad"}  # the score is the mean squared difference of output and input; there is no class
MLPERF = "MLPerf's int8 file"


@dataclass(frozen=True)
class Agreement:
    """One int8 network against the float model."""

    model: str
    quantization: str
    samples: int
    rms_error: float  # of the outputs, in their real units
    same_class: float | None  # part of the inputs with the same top-1 class
    relative_error: float | None  # RMS error / RMS of the float model's outputs
    score_error: float | None  # mean difference of the anomaly score / mean score of the float model


def float_network(graph: Graph) -> Network:
    name = graph.inputs[0]

    def run(inputs: Floats) -> Floats:
        values = run_float(graph, {name: inputs.reshape(-1, *graph.tensors[name].shape)})
        return values[graph.outputs[0]].reshape(len(inputs), -1)

    return run


def int8_network(graph: Graph) -> Network:
    """The integer network of an int8 graph, from real inputs to real outputs."""
    network = lower(graph)
    source, result = network.tensors[0], network.tensors[network.outputs[0]]

    def run(inputs: Floats) -> Floats:
        levels = np.clip(np.rint(inputs / np.float32(source.scale)) + source.zero_point, -128, 127).astype(np.int8)
        outputs = np.array([run_network(network, [sample])[0].reshape(-1) for sample in levels], np.float32)
        return np.asarray((outputs - result.zero_point) * np.float32(result.scale))

    return run


def _ours(method: str, bias_correction: bool = True, per_channel: bool = True) -> Quantizer:
    return lambda graph, calibration: quantize(
        graph, calibration, method, bias_correction=bias_correction, per_channel_fully_connected=per_channel
    )


QUANTIZERS: dict[str, Quantizer] = {
    **{method: _ours(method) for method in RANGE_METHODS},
    f"{DEFAULT_METHOD}, no bias correction": _ours(DEFAULT_METHOD, bias_correction=False),
    f"{DEFAULT_METHOD}, FC per tensor": _ours(DEFAULT_METHOD, per_channel=False),
}


def load(folder: Path, model: str) -> tuple[Graph, Graph, Inputs]:
    """The float graph, MLPerf's int8 graph, and the inputs of a model."""
    paths = [folder / "mlperf-tiny" / f"{stem}.tflite" for stem in FILES[model]]
    return read_tflite(paths[0]), simplify(read_tflite(paths[1])), LOADERS[model](folder)


def halves(inputs: Inputs, samples: int) -> Iterator[tuple[Floats, Floats]]:
    """(calibration, evaluation) in both directions; at most `samples` of each for evaluation, evenly spread."""
    for calibration, evaluation in ((inputs.calibration, inputs.evaluation), (inputs.evaluation, inputs.calibration)):
        chosen = np.unique(np.linspace(0, len(evaluation) - 1, min(samples, len(evaluation))).round().astype(int))
        yield calibration, evaluation[chosen]


def compare(folder: Path, model: str, label: str, samples: int) -> Agreement:
    """Figures of MLPerf's file (label MLPERF) or of one of QUANTIZERS."""
    graph, theirs, inputs = load(folder, model)
    expected, actual, real = [], [], []
    for calibration, evaluation in halves(inputs, samples):
        int8 = theirs if label == MLPERF else QUANTIZERS[label](graph, calibration)
        expected.append(float_network(graph)(evaluation))
        actual.append(int8_network(int8)(evaluation))
        real.append(evaluation.reshape(len(evaluation), -1))
    return _agreement(model, label, np.concatenate(expected), np.concatenate(actual), np.concatenate(real))


def _agreement(model: str, label: str, expected: Floats, actual: Floats, inputs: Floats) -> Agreement:
    rms = float(np.sqrt(np.mean((actual - expected) ** 2)))
    same, relative, score_error = None, None, None
    if model in RECONSTRUCTING:
        scores = np.mean((expected - inputs) ** 2, axis=1)
        score_error = float(np.mean(np.abs(np.mean((actual - inputs) ** 2, axis=1) - scores)) / scores.mean())
        relative = rms / float(np.sqrt(np.mean(expected**2)))
    else:
        same = float(np.mean(expected.argmax(axis=1) == actual.argmax(axis=1)))
    return Agreement(model, label, len(expected), rms, same, relative, score_error)


def _table(results: list[Agreement]) -> Table:
    title = "int8 against float: error of outputs, same top-1 class, relative error of outputs and of anomaly score"
    table = Table(title=title)
    for column in ("model", "quantisation", "inputs", "RMS error", "same class", "relative", "score"):
        is_text = column in ("model", "quantisation")
        table.add_column(column, justify="left" if is_text else "right", no_wrap=is_text)
    for result in results:
        parts = (result.same_class, result.relative_error, result.score_error)
        texts = [f"{part:.1%}" if part is not None else "" for part in parts]
        table.add_row(result.model, result.quantization, str(result.samples), f"{result.rms_error:.4f}", *texts)
        if result.quantization == list(QUANTIZERS)[-1]:
            table.add_section()
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description="Agreement of int8 networks with their float models.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on stdout")
    parser.add_argument("--model", choices=list(FILES), action="append", help="only this model; may be given twice")
    parser.add_argument("--samples", type=int, default=100, help="evaluation inputs from each half (default: 100)")
    arguments = parser.parse_args()
    folder = models_folder()
    if folder is None:
        print("skipped: the folder of reference models is not here; set SMIDGEN_MODELS to it", file=sys.stderr)
        return 0
    console = Console(stderr=True)
    results = []
    with console.status("") as status:
        for model in arguments.model or FILES:
            for label in (MLPERF, *QUANTIZERS):
                status.update(f"{model}: {label}")
                results.append(compare(folder, model, label, arguments.samples))
    console.print(_table(results))
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
