"""The networks that are measured, each as a blob with one real input and the output it must give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.quantization_inputs import models_folder
from numpy.typing import NDArray

from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob
from smidgen.demo import recordings
from smidgen.demo.run import float_model
from smidgen.formats.tflite_reader import read_tflite
from smidgen.graph import Graph
from smidgen.huffman import entropy_bits, symbol_counts
from smidgen.network import WeightedOperator
from smidgen.packer import pack, pack_graph
from smidgen.passes import simplify
from smidgen.plan.optimize import Goal
from smidgen.quantize import quantize
from smidgen.reference import run_network
from smidgen.samples import prepare

Int8Array = NDArray[np.int8]

FILES = {  # of the folder of reference models; each has golden vectors made with TFLite Micro
    "kws": "mlperf-tiny/kws_ref_model",
    "vww": "mlperf-tiny/vww_96_int8",
    "ic": "mlperf-tiny/pretrainedResnet_quant",
    "ad": "mlperf-tiny/ad01_int8",
    "str_ww": "mlperf-tiny/str_ww_ref_model",
    "person_detect": "tflite-micro/person_detect",
    "micro_speech": "tflite-micro/micro_speech_quantized",
}
RAW = {"ad raw": "ad"}  # the same networks with raw weights
OWN = "imu"  # the project's own network, always there
NAMES = (OWN, *FILES, *RAW)


@dataclass(frozen=True, eq=False)
class BenchmarkModel:
    """A packed network, inputs in the shapes of its input tensors, and the outputs they must give.

    removed_macs: of the model, but not in the blob, because no output depends on them.
    """

    name: str
    data: bytes
    blob: Blob
    inputs: list[Int8Array]
    expected: list[Int8Array]
    origin: str  # of the expected outputs
    removed_macs: int = 0

    @property
    def macs(self) -> int:
        """Those of the model, as others count them; the blob may need fewer."""
        return self.removed_macs + sum(self.blob.network.macs(operator) for operator in self.blob.network.operators)

    @property
    def weights(self) -> int:
        operators = self.blob.network.operators
        return sum(int(operator.weights.size) for operator in operators if isinstance(operator, WeightedOperator))


def coding_note(model: BenchmarkModel) -> str | None:
    """What Huffman coding reaches beside the entropy of weights that share a code table; None if all are raw."""
    counts: dict[int, NDArray[np.int64]] = {}
    bits = 0
    for index, storage in model.blob.storage.items():
        operator = model.blob.network.operators[index]
        if storage.coding == "huffman" and isinstance(operator, WeightedOperator):
            table = storage.code_table_offset
            counts[table] = counts.get(table, np.zeros(256, np.int64)) + symbol_counts(operator.weights)
            bits += storage.bits
    if not counts:
        return None
    entropy = sum(map(entropy_bits, counts.values()))
    weights = sum(int(count.sum()) for count in counts.values())
    excess = 100 * (bits / entropy - 1)
    return f"{model.name}: {bits / weights:.3f} bits a coded weight, {excess:.2f} % above the entropy"


def load_model(name: str, keep_channels: bool = False) -> BenchmarkModel | None:
    """One of NAMES, or None where the folder of reference models (SMIDGEN_MODELS) is not there.

    keep_channels: of reference models, as for pack.
    """
    if name == OWN:
        return _own_model()
    folder = models_folder()
    return _reference_model(name, folder, keep_channels) if folder is not None else None


def _reference_model(name: str, folder: Path, keep_channels: bool) -> BenchmarkModel:
    path = folder / f"{FILES[RAW.get(name, name)]}.tflite"
    removed = 0
    if name in RAW:
        data = pack_graph(read_tflite(path), keep_channels=keep_channels, coding="raw")
    else:
        packed = pack(path, keep_channels=keep_channels)
        data, removed = packed.data, packed.removal.macs
    with np.load(folder / "golden" / f"{path.stem}.npz") as golden:
        inputs, expected = [golden["input"][0]], [golden["output"][0]]
    return BenchmarkModel(name, data, read_blob(data), inputs, expected, "TFLite Micro", removed)


def model_graph(name: str) -> Graph | None:
    """The int8 graph of one of NAMES, or None where the folder of reference models is not there."""
    if name == OWN:
        return _own_graph()
    folder = models_folder()
    return None if folder is None else read_tflite(folder / f"{FILES[RAW.get(name, name)]}.tflite")


def _own_graph() -> Graph:
    """Quantised as the demo does it."""
    split = recordings.split_by_subject(recordings.load_recordings())
    return quantize(simplify(float_model()), recordings.cut_windows(split.calibration)[0][:, np.newaxis])


def _own_model() -> BenchmarkModel:
    """The input is the first window of the test subjects."""
    data = pack_graph(_own_graph(), {"labels": list(recordings.LABELS)}, optimize=Goal.BALANCED)
    blob = read_blob(data)
    windows, _ = recordings.cut_windows(recordings.split_by_subject(recordings.load_recordings()).test)
    inputs = [prepare(windows[:1], blob.network, 0)[0]]
    return BenchmarkModel(OWN, data, blob, inputs, run_network(blob.network, inputs), "host reference")
