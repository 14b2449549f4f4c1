"""Compression as a step of packing: which samples, which target, and how large the blob would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.blob.contents import GoldenVector
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.compress import Compression, Samples, Size, Target, compress
from smidgen.network import Network
from smidgen.plan import make_plan
from smidgen.plan.channels import remove_constant_channels
from smidgen.plan.weights import Coding
from smidgen.reference import run_network
from smidgen.report import report_blob

Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class CompressionRequest:
    """What `pack` is to compress for.

    labels: .npy or .npz with the index of the right class of each calibration sample; with them the loss is one of
    accuracy. seed: of everything random. jobs: processes, as for `compress.compress`.
    """

    target: Target
    labels: str | Path | None = None
    seed: int = 0
    jobs: int | None = None


@dataclass(frozen=True)
class BlobSize:
    """Measures the blob that a network becomes when it is packed for size. coding: of all weights, as for make_plan."""

    golden: Sequence[GoldenVector]
    metadata: dict[str, Any]
    keep_channels: bool
    coding: Coding = "smallest"

    def __call__(self, network: Network) -> Size:
        if not self.keep_channels:
            network = remove_constant_channels(network)
        data = write_blob(make_plan(network, coding=self.coding), self.golden, self.metadata)
        return Size(len(data), report_blob(read_blob(data)).bits_per_weight)


def compress_for(
    request: CompressionRequest, network: Network, samples: Samples, size: BlobSize, progress: Progress | None
) -> tuple[Compression, Network, list[GoldenVector]]:
    """The compression, the network to pack, and the golden vectors with its outputs."""
    compression = compress(
        network, samples, request.target, size, seed=request.seed, jobs=request.jobs, progress=progress
    )
    result = compression.network if size.keep_channels else remove_constant_channels(compression.network)
    golden = [GoldenVector(vector.inputs, run_network(result, vector.inputs)) for vector in size.golden]
    return compression, result, golden
