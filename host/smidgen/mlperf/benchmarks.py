"""The benchmarks of MLPerf Tiny that a blob can be: what their samples are on the wire, and what their results mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.link.layout import BlobLayout, TensorLayout

Int8Array = NDArray[np.int8]
_UINT8_OFFSET = 128


class Encoding(Enum):
    """What the bytes of a sample are. The values are the names that device/mlperf/dut.py knows."""

    INT8 = "int8"  # as the network takes it
    UINT8 = "uint8"  # 128 more than the network takes
    FLOAT32 = "float32"  # real values, little-endian


@dataclass(frozen=True)
class Benchmark:
    """elements, outputs: of the network. floor: least accuracy (0 to 1) in the closed division, AUC for ad01.

    scale: of the input in the reference model, None where the bytes do not depend on it.
    """

    name: str
    title: str
    elements: int
    outputs: int
    encoding: Encoding
    floor: float
    scale: float | None = None
    zero_point: int | None = None

    @property
    def sample_bytes(self) -> int:
        return self.elements * (4 if self.encoding is Encoding.FLOAT32 else 1)

    @property
    def is_anomaly_detection(self) -> bool:
        """The result is one number, the mean squared difference between the input and the output."""
        return self.encoding is Encoding.FLOAT32

    def encode(self, samples: NDArray[Any], tensor: TensorLayout) -> list[bytes]:
        """Samples as the runner sends them. samples: [samples, ...], int8 as the network takes them, or real values;
        uint8 where the benchmark's data is. Raises InputError."""
        if samples.size == 0 or samples.size % self.elements:
            raise InputError(
                f"{self.name} takes {self.elements} elements a sample; got {samples.size} (shape {list(samples.shape)})"
            )
        rows = samples.reshape(-1, self.elements)
        if rows.dtype.kind == "f":
            encoded = rows if self.is_anomaly_detection else tensor.quantize(rows)
        elif rows.dtype == np.int8:
            encoded = tensor.dequantize(rows) if self.is_anomaly_detection else rows
        elif rows.dtype == np.uint8 and self.encoding is Encoding.UINT8:
            return [row.tobytes() for row in rows]
        else:
            raise InputError(f"samples of {self.name} are int8 or real values, not {rows.dtype}")
        return [self._bytes(row) for row in encoded]

    def _bytes(self, row: NDArray[Any]) -> bytes:
        if self.encoding is Encoding.FLOAT32:
            return row.astype("<f4").tobytes()
        if self.encoding is Encoding.UINT8:
            return (row.astype(np.int16) + _UINT8_OFFSET).astype(np.uint8).tobytes()
        return row.tobytes()

    def decode(self, sample: bytes, tensor: TensorLayout) -> Int8Array:
        """What the network gets of a sample on the wire, in the shape of its input."""
        if self.encoding is Encoding.FLOAT32:
            values = tensor.quantize(np.frombuffer(sample, "<f4"))
        elif self.encoding is Encoding.UINT8:
            values = (np.frombuffer(sample, np.uint8).astype(np.int16) - _UINT8_OFFSET).astype(np.int8)
        else:
            values = np.frombuffer(sample, np.int8)
        return values.reshape(tensor.shape)

    def results(self, sample: bytes, output: Int8Array, tensor: TensorLayout) -> NDArray[np.float64]:
        """What the board has to answer when this is the network's output (`tensor`) for the sample."""
        real = tensor.dequantize(output).astype(np.float64).reshape(-1)
        if not self.is_anomaly_detection:
            return real
        return np.array([np.mean((real - np.frombuffer(sample, "<f4")) ** 2)])

    def warning(self, tensor: TensorLayout) -> str | None:
        """Why the official data may mean something else to a network with this input; None if it does not."""
        if self.zero_point is None or self.scale is None:
            return None
        if tensor.zero_point == self.zero_point and abs(tensor.scale / self.scale - 1) < 0.01:
            return None
        return (
            f"the input has scale {tensor.scale:g} and zero point {tensor.zero_point}, that of the reference model "
            f"{self.scale:g} and {self.zero_point}: the official data of {self.name} may mean something else to it"
        )


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("kws01", "keyword spotting", 49 * 10, 12, Encoding.INT8, 0.90, 0.58470291, 83),
        Benchmark("vww01", "visual wake words", 96 * 96 * 3, 2, Encoding.UINT8, 0.80, 1 / 255, -128),
        Benchmark("ic01", "image classification", 32 * 32 * 3, 10, Encoding.UINT8, 0.85, 1.0, -128),
        Benchmark("ad01", "anomaly detection", 640, 640, Encoding.FLOAT32, 0.85),
    )
}


def find_benchmark(layout: BlobLayout, name: str | None = None) -> Benchmark:
    """The benchmark that a blob is, by the sizes of its input and output. name: the one that it has to be.

    Raises InputError if it is none, or another.
    """
    if layout.input_count != 1 or layout.output_count != 1:
        raise InputError(
            f"the benchmarks have one input and one output; this blob has {layout.input_count} and "
            f"{layout.output_count}: take another model"
        )
    sizes = layout.inputs[0].elements, layout.outputs[0].elements
    wanted = [BENCHMARKS[name]] if name else list(BENCHMARKS.values())
    for benchmark in wanted:
        if sizes == (benchmark.elements, benchmark.outputs):
            return benchmark
    known = ", ".join(f"{one.name} {one.elements} and {one.outputs}" for one in wanted)
    raise InputError(
        f"this blob has {sizes[0]} input and {sizes[1]} output elements; {known}: take a model "
        f"for one of the benchmarks"
    )
