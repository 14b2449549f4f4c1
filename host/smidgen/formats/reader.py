"""Reads a model file of any format that smidgen knows."""

from __future__ import annotations

from pathlib import Path

from smidgen.errors import ModelError
from smidgen.formats.onnx_reader import read_onnx
from smidgen.formats.tflite_reader import read_tflite
from smidgen.graph import Graph

READERS = {".tflite": read_tflite, ".onnx": read_onnx}


def read_model(path: str | Path) -> Graph:
    """The typed graph of a .tflite or .onnx file; the name's ending says which.

    Raises InputError if there is no such file, and ModelError if it is no such model.
    """
    reader = READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise ModelError(f"{path} is not a model that can be read: files end in {' or '.join(READERS)}")
    return reader(path)
