"""What each step of compression does: the keyword network at one size, with one step left out at a time.

    python -m benchmarks.compression_steps [--bytes 15000] [--samples 240]

Calibrated with words spoken by espeak-ng, judged with flite, as benchmarks.compression; fewer samples, because every
line is a search of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
from benchmarks.compression import keyword_case
from benchmarks.quantization_inputs import models_folder
from rich.console import Console
from rich.table import Table

from smidgen.compress import layers, rounding, sensitivity, steps
from smidgen.compress.layers import compress_layers
from smidgen.compress.quality import Judge
from smidgen.compress.rounding import Compensation
from smidgen.compress.samples import Samples
from smidgen.compress.sensitivity import measure_sensitivity
from smidgen.network import Network

_BISECTIONS = 7
_PRICES = (1e-9, 1e-5)
Step = Callable[[], AbstractContextManager[Any]]


def _without_compensation() -> AbstractContextManager[Any]:
    """Rounding that knows of each weight only what its own error costs."""
    original = Compensation.of

    def of_diagonals(moments: rounding.Floats) -> Compensation:
        diagonal = np.diagonal(moments, axis1=1, axis2=2)
        return original(diagonal[:, :, None] * np.eye(diagonal.shape[1]))

    return patch.object(Compensation, "of", of_diagonals)


def _without_code_lengths() -> AbstractContextManager[Any]:
    """Rounding for the least error, whatever the codes."""
    return patch.object(layers, "round_rows", _round_rows_freely)


def _round_rows_freely(weights: Any, compensation: Compensation, prices: Any) -> Any:
    return rounding.round_rows(weights, compensation, prices * 0)


def _without_channel_steps() -> AbstractContextManager[Any]:
    return patch.object(steps, "_OCTAVES", 0)


def _without_bias_correction() -> AbstractContextManager[Any]:
    return patch.object(layers, "_correct_bias", lambda operator, rows, layer: operator)


def _without_position_moments() -> AbstractContextManager[Any]:
    return patch.object(sensitivity, "_POSITION_WEIGHT", 0.0)


STEPS: dict[str, Step] = {
    "all steps": nullcontext,
    "no compensation of errors": _without_compensation,
    "rounding does not know the code": _without_code_lengths,
    "one step for all channels of a layer": _without_channel_steps,
    "no correction of biases": _without_bias_correction,
    "only moments of the weights' derivatives": _without_position_moments,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=15_000, help="of the blob, at most")
    parser.add_argument("--samples", type=int, default=240, help="of the calibration data that are used")
    options = parser.parse_args()
    folder = models_folder()
    if folder is None:
        parser.error("the folder of reference models is not here (SMIDGEN_MODELS)")
    case = keyword_case(folder)
    calibration = case.calibration.taken(np.arange(min(options.samples, len(case.calibration))))
    table = Table("left out", "blob", "divergence", "distance", "same class", title="Keywords, judged with flite")
    for name, step in STEPS.items():
        with step():
            network = _of_size(case.network, calibration, options.bytes, case.size())
        judged = case.judged["flite"]
        quality = Judge(case.network, judged.inputs).quality(network)
        same = f"{100 * (quality.agreement or 0):.1f} %"
        size = case.size()(network).blob_bytes
        table.add_row(name, f"{size:,}", f"{1000 * quality.divergence:.2f}e-3", f"{quality.output_distance:.2f}", same)
    Console(width=120).print(table)


def _of_size(network: Network, calibration: Samples, limit: int, size: Callable[[Network], Any]) -> Network:
    """The largest compressed network of at most `limit` bytes, by bisection of the price."""
    measured = measure_sensitivity(network, calibration.inputs, seed=0)
    low, high = np.log(_PRICES)
    best = network
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        candidate = compress_layers(network, calibration.inputs, measured, float(np.exp(middle)))
        if size(candidate).blob_bytes > limit:
            low = middle
        else:
            high, best = middle, candidate
    return best


if __name__ == "__main__":
    main()
