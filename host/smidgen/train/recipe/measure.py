"""What a network costs and how good it is, once it is packed: one row of a recipe's table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from smidgen.blob.contents import Blob
from smidgen.blob.execution import blob_executions
from smidgen.blob.reader import read_blob
from smidgen.errors import MismatchError
from smidgen.formats.torch_reader import from_torch
from smidgen.network import WeightedOperator
from smidgen.packer import pack_graph
from smidgen.plan.cost import cost_model
from smidgen.plan.optimize import Goal
from smidgen.reference import run_network
from smidgen.report import report_blob
from smidgen.samples import dequantize, prepare
from smidgen.train.pruning import Layer
from smidgen.train.recipe.data import Data
from smidgen.train.recipe.training import accuracy, predict

_COMPARED_SAMPLES = 16  # test inputs with which the blob is compared with the module


@dataclass(frozen=True)
class Row:
    """One step of a recipe. accuracy: of the test samples, 0 .. 1. Bytes; cycles of an RP2040 by the cost model.

    zeros: fraction of the float network's weights that are 0 or were removed with a channel. Where a figure has no
    meaning for a float network it is None.
    """

    name: str
    accuracy: float
    bytes: int
    bits_per_weight: float
    zeros: float | None
    cycles: int | None
    arena_bytes: int | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def count_weights(module: nn.Module) -> int:
    """Of convolutions and dense layers, without biases."""
    return sum(part.weight.numel() for part in module.modules() if isinstance(part, Layer))


def measure_float(name: str, module: nn.Module, data: Data) -> Row:
    """The float network: its bytes are four for every weight and bias; those of batch normalisation do not count."""
    layers = [part for part in module.modules() if isinstance(part, Layer)]
    normal = [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    weights = count_weights(module)
    biases = sum(layer.bias.numel() for layer in layers if layer.bias is not None)
    biases += sum(part.num_features for part in normal)  # folded into layers that had none
    return Row(name, accuracy(module, data.test_x, data.test_y), 4 * (weights + biases), 32.0, None, None, None)


def pack_module(module: nn.Module, data: Data, optimize: Goal, metadata: dict[str, Any]) -> tuple[bytes, Blob]:
    """The blob of a prepared module. Raises MismatchError if it does not give the module's integers."""
    packed = pack_graph(from_torch(module, data.example), metadata, optimize=optimize)
    blob = read_blob(packed)
    _check(module, blob, data.test_x[:_COMPARED_SAMPLES])
    return packed, blob


def measure_blob(name: str, module: nn.Module, blob: Blob, data: Data, weights: int) -> Row:
    """The network as it is on a board. The module says how good it is, because it gives the same integers, faster.

    weights: how many the float network has.
    """
    report = report_blob(blob)
    packed = [operator.weights for operator in blob.network.operators if isinstance(operator, WeightedOperator)]
    return Row(
        name=name,
        accuracy=accuracy(module, data.test_x, data.test_y),
        bytes=blob.blob_bytes,
        bits_per_weight=report.bits_per_weight,
        zeros=1 - sum(int(np.count_nonzero(part)) for part in packed) / weights,
        cycles=round(cost_model().inference(blob.network, blob_executions(blob))),
        arena_bytes=blob.arena_bytes,
    )


def _check(module: nn.Module, blob: Blob, x: torch.Tensor) -> None:
    network = blob.network
    output = network.tensors[network.outputs[0]]
    expected = predict(module, x).reshape(len(x), -1).numpy()
    for number, sample in enumerate(prepare(x.numpy(), network, 0)):
        (result,) = run_network(network, [sample])
        real = dequantize(result.reshape(-1), output.scale, output.zero_point)
        if not np.array_equal(np.rint(expected[number] / output.scale), np.rint(real / output.scale)):
            raise MismatchError(f"test sample {number}: the blob does not give the integers of the trained module")
