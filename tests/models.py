"""The real models that tests run where they are present: `models/` in a folder `shared` beside the checkout.

SMIDGEN_MODELS names another folder with the same layout. Nothing in the project needs them.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from smidgen.packer import Packed, pack
from smidgen.plan.optimize import Goal

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("SMIDGEN_MODELS", ROOT.parent / "shared" / "models"))

INT8_MODELS = {
    "ad01_int8": "mlperf-tiny",
    "kws_ref_model": "mlperf-tiny",
    "pretrainedResnet_quant": "mlperf-tiny",
    "str_ww_ref_model": "mlperf-tiny",
    "vww_96_int8": "mlperf-tiny",
    "hello_world_int8": "tflite-micro",
    "micro_speech_quantized": "tflite-micro",
    "person_detect": "tflite-micro",
}


def model_path(name: str) -> Path:
    """The .tflite file of a model; skips the test where it is absent."""
    return _present(FOLDER / INT8_MODELS.get(name, "mlperf-tiny") / f"{name}.tflite")


def packed_model(name: str, goal: Goal = Goal.BALANCED) -> Packed:
    """What `pack` makes of it, once for all tests of this process. BALANCED is what it makes when nobody asks."""
    return _packed_model(name, goal)


@functools.cache
def _packed_model(name: str, goal: Goal) -> Packed:
    return pack(model_path(name), optimize=None if goal is Goal.BALANCED else goal)


def golden_path(name: str) -> Path:
    """Its 32 golden vectors (arrays input, output); skips the test where they are absent."""
    return _present(FOLDER / "golden" / f"{name}.npz")


def _present(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"the model file {path.name} is not here (looked in {FOLDER}; set SMIDGEN_MODELS)")
    return path
