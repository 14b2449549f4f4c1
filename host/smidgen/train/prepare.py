"""Turns a trained float module into one that trains in the engine's integers: `prepare_qat`."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from smidgen.errors import InputError, ModelError
from smidgen.formats.unsupported import OperatorProblem, UnsupportedModelError
from smidgen.graph import Activation
from smidgen.train.layers import (
    QuantizedAdd,
    QuantizedAveragePool,
    QuantizedInput,
    QuantizedLayer,
    QuantizedMean,
    QuantizedSigmoid,
    QuantizedSoftmax,
    as_sizes,
)
from smidgen.train.ranges import ActivationRange

_WEIGHTED = nn.Conv1d | nn.Conv2d | nn.Linear
_BATCH_NORM = nn.BatchNorm1d | nn.BatchNorm2d
_AVERAGE_POOL = nn.AvgPool1d | nn.AvgPool2d
_ADD = {operator.add, operator.iadd, torch.add, "add"}
_MEAN = {torch.mean, "mean"}
_KEEPING_MODULES = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Flatten, nn.Identity, nn.MaxPool1d, nn.MaxPool2d, nn.ReLU, nn.ZeroPad2d,
)  # fmt: skip
_KEEPING_CALLS = {
    F.dropout, F.max_pool1d, F.max_pool2d, F.relu, torch.flatten, torch.permute, torch.relu, torch.reshape,
    torch.squeeze, torch.transpose, torch.unsqueeze, "contiguous", "flatten", "permute", "relu", "reshape", "squeeze",
    "transpose", "unsqueeze", "view",
}  # fmt: skip
SUPPORTED = [
    "Conv1d", "Conv2d", "Linear", "BatchNorm after one of them", "ReLU6 after a layer or a sum", "Sigmoid", "Softmax",
    "+", "AvgPool1d", "AvgPool2d", "AdaptiveAvgPool to 1", "mean", "reshapes",
    *(kind.__name__ for kind in _KEEPING_MODULES),
]  # fmt: skip


def prepare_qat(
    module: nn.Module, example: torch.Tensor, *, weight_bits: int = 8, per_channel: bool = True, name: str = "model"
) -> fx.GraphModule:
    """A copy of `module` whose forward pass computes the engine's integers, to be calibrated, trained and exported.

    Batch normalisation is folded into the layer before it. In evaluation mode the result computes, bit for bit, what
    `from_torch` and the packager make of it; in training mode the same, with straight-through gradients.
    example: one input [1, C, H, W], [1, C, L] or [1, F]. weight_bits, per_channel: see `QuantizedLayer`.
    Activation ranges are empty at first: `calibrate` fills them. Raises UnsupportedModelError with every layer that
    cannot be trained this way, ModelError where torch.fx cannot trace the module, InputError for weight_bits.
    """
    if not 2 <= weight_bits <= 8:
        raise InputError(f"weight_bits is {weight_bits}; 2 to 8 are possible")
    original = copy.deepcopy(module).eval()
    try:
        traced = fx.symbolic_trace(original)
    except Exception as error:  # whatever the module's own code raises
        raise ModelError(f"{name} cannot be traced by torch.fx: {error}") from error
    _fold_batch_norm(traced)
    ShapeProp(traced).propagate(example)
    _Preparation(traced, name, weight_bits, per_channel).run()
    traced.recompile()
    return traced.train(module.training)


@torch.no_grad()
def calibrate(module: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Let the activation ranges of a prepared module observe inputs. Nothing else changes."""
    training = module.training
    module.eval()
    for part in module.modules():
        if isinstance(part, ActivationRange):
            part.train()
    for batch in batches:
        module(batch)
    module.train(training)


def quantized_layers(module: nn.Module) -> dict[str, QuantizedLayer]:
    """The layers with weights of a prepared module, by name, in the order of the module."""
    return {name: part for name, part in module.named_modules() if isinstance(part, QuantizedLayer)}


def _fold_batch_norm(traced: fx.GraphModule) -> None:
    for node in list(traced.graph.nodes):
        before = node.args[0] if node.op == "call_module" else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        normal, layer = (traced.get_submodule(str(item.target)) for item in (node, before))
        if not isinstance(normal, _BATCH_NORM) or not isinstance(layer, _WEIGHTED):
            continue
        fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        traced.set_submodule(str(before.target), fuse(layer, normal))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()


class _Preparation:
    def __init__(self, traced: fx.GraphModule, name: str, weight_bits: int, per_channel: bool) -> None:
        self.traced, self.name = traced, name
        self.weight_bits, self.per_channel = weight_bits, per_channel
        self.ranges: dict[fx.Node, ActivationRange] = {}
        self.problems: list[OperatorProblem] = []
        self.used: set[str] = set()

    def run(self) -> None:
        for index, node in enumerate(list(self.traced.graph.nodes)):
            if node.op == "output" or not node.users or not _is_tensor(node):
                continue
            if not all(item in self.ranges for item in _operands(node)):
                continue  # what follows from a node that was refused
            if not self._prepare(node):
                shapes = [_shape(item) for item in _operands(node)]
                reason = "it cannot be trained in integers; put it before or after the module that is prepared"
                self.problems.append(OperatorProblem(index, self._title(node), shapes, [_shape(node)], reason))
        if self.problems:
            raise UnsupportedModelError(self.name, self.problems, SUPPORTED)

    def _prepare(self, node: fx.Node) -> bool:
        """Give a node its range, and the layer that computes it in integers where it computes; False if refused."""
        if node.op == "placeholder":
            self._insert_after(node, QuantizedInput())
            return True
        if node.op == "get_attr":
            return False
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        call = node.target if module is None else None
        source = self.ranges[_operands(node)[0]]
        if isinstance(module, _WEIGHTED):
            return self._prepare_layer(node, module, source)
        if call in _ADD and len(_operands(node)) == 2 and not node.kwargs:
            return self._prepare_add(node)
        if isinstance(module, nn.Softmax) and module.dim in (-1, len(_shape(node)) - 1):
            return self._replace(node, QuantizedSoftmax(source))
        if isinstance(module, nn.Sigmoid) or call in (torch.sigmoid, "sigmoid"):
            return self._replace(node, QuantizedSigmoid(source))
        mean = self._mean(node, module, call, source)
        if mean is not None:
            return self._replace(node, mean)
        if isinstance(module, _AVERAGE_POOL) and _is_plain(module):
            return self._replace(node, QuantizedAveragePool(module, source), source)
        if isinstance(module, _KEEPING_MODULES) or call in _KEEPING_CALLS:
            self.ranges[node] = source
            return True
        return False

    def _prepare_layer(self, node: fx.Node, layer: Any, source: ActivationRange) -> bool:
        if str(node.target) in self.used or getattr(layer, "padding_mode", "zeros") != "zeros":
            return False
        self.used.add(str(node.target))
        activation = self._take_activation(node)
        quantized = QuantizedLayer(layer, activation, source, self.weight_bits, self.per_channel)
        self.traced.set_submodule(str(node.target), quantized)
        self.ranges[node] = quantized.result
        return True

    def _prepare_add(self, node: fx.Node) -> bool:
        first, second = _operands(node)
        if _shape(first) != _shape(second):
            return False
        return self._replace(node, QuantizedAdd(self.ranges[first], self.ranges[second], self._take_activation(node)))

    def _mean(self, node: fx.Node, module: Any, call: Any, source: ActivationRange) -> QuantizedMean | None:
        shape = _shape(_operands(node)[0])
        rank = len(shape)
        spatial = range(2, rank)
        if isinstance(module, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d):
            return QuantizedMean(source, spatial, True) if set(_shape(node)[2:]) == {1} else None
        if isinstance(module, _AVERAGE_POOL) and _is_plain(module):
            is_global = as_sizes(module.kernel_size, rank - 2) == shape[2:]
            return QuantizedMean(source, spatial, True) if is_global else None
        if call in _MEAN:
            axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            axes = (axes,) if isinstance(axes, int) else axes
            keep_dims = bool(node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False))
            return QuantizedMean(source, [axis % rank for axis in axes], keep_dims) if axes else None  # type: ignore
        return None

    def _take_activation(self, node: fx.Node) -> Activation:
        """The activation after `node`, which is removed if it is the only reader."""
        if len(node.users) != 1:
            return Activation.NONE
        (reader,) = node.users
        activation = self._activation(reader)
        if activation is not Activation.NONE:
            reader.replace_all_uses_with(node)
            self.traced.graph.erase_node(reader)
        return activation

    def _activation(self, node: fx.Node) -> Activation:
        if node.op == "call_module":
            module = self.traced.get_submodule(str(node.target))
            if isinstance(module, nn.Hardtanh):  # ReLU6 is one
                return Activation.RELU6 if (module.min_val, module.max_val) == (0, 6) else Activation.NONE
            return Activation.RELU if isinstance(module, nn.ReLU) else Activation.NONE
        if node.target in (F.relu6,):
            return Activation.RELU6
        return Activation.RELU if node.target in (F.relu, torch.relu, "relu") else Activation.NONE

    def _replace(self, node: fx.Node, layer: Any, result: ActivationRange | None = None) -> bool:
        """Let `layer` compute `node`."""
        with self.traced.graph.inserting_after(node):
            new = self._call(node, layer, tuple(_operands(node)))
        node.replace_all_uses_with(new)
        self.traced.graph.erase_node(node)
        self.ranges[new] = layer.result if result is None else result
        return True

    def _insert_after(self, node: fx.Node, layer: QuantizedInput) -> None:
        with self.traced.graph.inserting_after(node):
            new = self._call(node, layer, ())
        node.replace_all_uses_with(new)
        new.args = (node,)
        self.ranges[node] = self.ranges[new] = layer.result

    def _call(self, node: fx.Node, layer: nn.Module, arguments: tuple[fx.Node, ...]) -> fx.Node:
        target = f"quantized_{node.name}"
        self.traced.add_submodule(target, layer)
        new = self.traced.graph.call_module(target, arguments)
        new.meta = dict(node.meta)
        return new

    def _title(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.traced.get_submodule(str(node.target))).__name__
        return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _is_tensor(node: fx.Node) -> bool:
    return "tensor_meta" in node.meta


def _operands(node: fx.Node) -> list[fx.Node]:
    """The tensors that a node takes; sizes are not among them."""
    return [item for item in node.all_input_nodes if _is_tensor(item)]


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Of a tensor."""
    return tuple(node.meta["tensor_meta"].shape)


def _is_plain(pool: Any) -> bool:
    padding = pool.padding if isinstance(pool.padding, tuple) else (pool.padding,)
    return not (any(padding) or pool.ceil_mode or getattr(pool, "divisor_override", None))
