"""What a blob costs, in numbers: the same report for `smidgen pack` and `smidgen inspect`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.blob.contents import Blob
from smidgen.network import Kind, LinearAddOperator, Network, NetworkOperator, WeightedOperator

_WEIGHT_PURPOSES = ("weights", "code table")


@dataclass(frozen=True)
class OperatorReport:
    """One row of the table. Sizes in bytes; packed weights without the code table, which may be shared."""

    index: int
    name: str
    input_tensors: list[int]
    output_tensor: int
    input_shapes: list[list[int]]
    output_shape: list[int]
    macs: int
    weights: int
    weight_bytes_packed: int
    coding: str  # "raw", "huffman", "zero runs" or "" without weights
    bits_per_weight: float | None
    kernel: int  # docs/format.md, section 2.3
    tile: int  # kernel 0: output channels decoded at a time (0: all); kernel 1: pairs of output rows in a block, or 1
    workspace_bytes: int
    scratch_bytes: int  # decoding and workspace, or decoding and tile


@dataclass(frozen=True)
class BlobReport:
    """Sizes in bytes. weight_bytes_packed includes the code tables. spans: purpose -> bytes, sums to blob_bytes."""

    name: str
    blob_bytes: int
    weight_bytes_raw: int
    weight_bytes_packed: int
    bits_per_weight: float
    arena_bytes: int
    scratch_bytes: int  # of the arena, the most that an operator uses besides tensors
    macs: int
    golden_vectors: int
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    operators: list[OperatorReport]
    spans: dict[str, int]
    metadata: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RemovalReport:
    """What was left out of a model because no output depends on it, and what the model had of it.

    channels: outputs of operators with weights. macs: of one inference. blob_bytes: by how much the blob is smaller.
    """

    channels: int
    model_channels: int
    weights: int
    model_weights: int
    macs: int
    model_macs: int
    blob_bytes: int


def report_removal(model: Network, packed: Network, blob_bytes: int) -> RemovalReport:
    """Compare the network of a model with the one that is packed."""
    (channels, weights, macs), (packed_channels, packed_weights, packed_macs) = _work(model), _work(packed)
    return RemovalReport(
        channels - packed_channels, channels, weights - packed_weights, weights, macs - packed_macs, macs, blob_bytes
    )


def _work(network: Network) -> tuple[int, int, int]:
    """Channels, weights and MACs."""
    weighted = [operator for operator in network.operators if isinstance(operator, WeightedOperator)]
    return (
        sum(operator.channels for operator in weighted),
        sum(int(operator.weights.size) for operator in weighted),
        sum(network.macs(operator) for operator in weighted),
    )


def report_blob(blob: Blob) -> BlobReport:
    """The report on a blob that was read."""
    network = blob.network
    spans: dict[str, int] = defaultdict(int)
    for span in blob.spans:
        spans[span.purpose] += span.size
    operators = [_operator(blob, index, operator) for index, operator in enumerate(network.operators)]
    raw = sum(row.weights for row in operators)
    packed = sum(spans.get(purpose, 0) for purpose in _WEIGHT_PURPOSES)
    return BlobReport(
        name=str(blob.metadata.get("name", "")),
        blob_bytes=blob.blob_bytes,
        weight_bytes_raw=raw,
        weight_bytes_packed=packed,
        bits_per_weight=round(8 * packed / raw, 3) if raw else 0.0,
        arena_bytes=blob.arena_bytes,
        scratch_bytes=blob.scratch_bytes,
        macs=sum(row.macs for row in operators),
        golden_vectors=len(blob.golden),
        inputs=[_tensor(blob, index) for index in network.inputs],
        outputs=[_tensor(blob, index) for index in network.outputs],
        operators=operators,
        spans=dict(sorted(spans.items(), key=lambda item: -item[1])),
        metadata=blob.metadata,
    )


def _tensor(blob: Blob, index: int) -> dict[str, Any]:
    tensor = blob.network.tensors[index]
    return {"shape": list(tensor.shape), "dtype": "int8", "scale": tensor.scale, "zero_point": tensor.zero_point}


def _operator(blob: Blob, index: int, operator: NetworkOperator) -> OperatorReport:
    network, storage = blob.network, blob.storage.get(index)
    weights = int(operator.weights.size) if isinstance(operator, WeightedOperator) else 0
    return OperatorReport(
        index=index,
        name=Kind(operator.kind).name,
        input_tensors=list(operator.inputs),
        output_tensor=operator.output,
        input_shapes=[list(network.tensors[tensor].shape) for tensor in operator.inputs],
        output_shape=list(network.tensors[operator.output].shape),
        macs=network.macs(operator),
        weights=weights,
        weight_bytes_packed=-(-storage.bits // 8) if storage and weights else 0,
        coding=storage.coding if storage and weights else "",
        bits_per_weight=round(storage.bits / weights, 3) if storage and weights else None,
        kernel=storage.kernel if storage else int(isinstance(operator, LinearAddOperator)),
        tile=storage.tile if storage and (storage.kernel or storage.coding != "raw") else 0,
        workspace_bytes=storage.workspace_bytes if storage else 0,
        scratch_bytes=storage.scratch_bytes if storage else 0,
    )
