"""A blob that takes part in a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.contents import GoldenVector
from smidgen.blob.reader import read_blob_file
from smidgen.link.layout import TensorLayout, read_layout
from smidgen.mlperf.benchmarks import Benchmark, find_benchmark
from smidgen.network import Network
from smidgen.reference import run_network


@dataclass(frozen=True)
class Candidate:
    """input, output: the network's only ones. golden: of the blob."""

    path: Path
    benchmark: Benchmark
    network: Network
    input: TensorLayout
    output: TensorLayout
    golden: list[GoldenVector]

    @property
    def warning(self) -> str | None:
        """Why the official data may mean something else to it; None if it does not."""
        return self.benchmark.warning(self.input)

    def expected(self, sample: bytes) -> NDArray[np.float64]:
        """What the reference says to a sample as the runner sends it."""
        outputs = run_network(self.network, [self.benchmark.decode(sample, self.input)])
        return self.benchmark.results(sample, outputs[0], self.output)


def open_candidate(path: str | Path, benchmark: str | None = None) -> Candidate:
    """benchmark: which one the blob has to be; None: which one it is, its sizes tell.

    Raises BlobError, and InputError if it is no benchmark's.
    """
    path = Path(path)
    blob = read_blob_file(path)
    layout = read_layout(path.read_bytes())
    found = find_benchmark(layout, benchmark)
    return Candidate(path, found, blob.network, layout.inputs[0], layout.outputs[0], blob.golden)
