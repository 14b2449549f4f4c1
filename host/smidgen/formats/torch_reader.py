"""A typed graph straight from a PyTorch module: `from_torch(module, example)`.

The module is traced with torch.fx and walked once, with values of the graph in place of tensors. It has to be
traceable: no control flow that depends on data. A float module gives a float graph; one whose tensors are quantised
(a registered module calls `Builder.quantize`) gives an int8 graph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.formats.annotated import is_annotated, quantize_annotated
from smidgen.formats.channels_first import Builder, Constant, Value
from smidgen.formats.refused import Refused
from smidgen.formats.torch_operators import FUNCTIONS, METHODS, MODULES, Handler, constant
from smidgen.formats.unsupported import OperatorProblem, UnsupportedModelError

_registered: dict[type[nn.Module], Handler] = {}


def register_module(kind: type[nn.Module], handler: Handler) -> None:
    """Let modules of a class of your own be read: handler(builder, name, module, *values) returns the output value."""
    _registered[kind] = handler


def from_torch(module: nn.Module, example: torch.Tensor | tuple[torch.Tensor, ...], name: str = "model") -> g.Graph:
    """The typed graph of `module` for one input of the shape of `example` ([1, C, H, W], [1, C, L] or [1, F]).

    Inputs and outputs that are pictures or signals are channels last in the graph; `metadata["channels_first"]` names
    such inputs with the module's shape. The module is put into evaluation mode while it is read.
    Raises UnsupportedModelError, which lists every layer that cannot be run, ModelError where tracing fails, InputError
    for an example with a batch that is not 1.
    """
    examples = example if isinstance(example, tuple) else (example,)
    for number, tensor in enumerate(examples):
        if tensor.ndim < 2 or tensor.shape[0] != 1 or tensor.ndim > 4:
            raise InputError(
                f"example {number} has shape {list(tensor.shape)}; "
                "one input is needed: [1, C, H, W], [1, C, L] or [1, F]"
            )
    training = module.training
    module.eval()
    try:
        traced = fx.GraphModule(module, _Tracer().trace(module))
    except Exception as error:  # whatever the module's own code raises
        raise ModelError(f"{name} cannot be traced by torch.fx: {error}") from error
    finally:
        module.train(training)
    return _Reader(traced, name).read(examples)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _registered or super().is_leaf_module(m, module_qualified_name)


class _Skipped:
    """What follows from an operator that was refused."""


class _Reader:
    def __init__(self, traced: fx.GraphModule, name: str) -> None:
        self.traced, self.name = traced, name
        self.builder = Builder()
        self.values: dict[fx.Node, Any] = {}
        self.problems: list[OperatorProblem] = []
        self.layouts: dict[str, list[int]] = {}

    def read(self, examples: tuple[torch.Tensor, ...]) -> g.Graph:
        remaining = iter(examples)
        for index, node in enumerate(self.traced.graph.nodes):
            self.builder.source = f"operator {index} {node.name}"
            if node.op == "placeholder":
                self.values[node] = self._input(node.name, tuple(next(remaining).shape))
            elif node.op == "get_attr":
                self.values[node] = self._constant(node)
            elif node.op != "output":
                self.values[node] = self._call(node, index)
            elif not self.problems:
                self._outputs(node.args[0])
        if self.problems:
            raise UnsupportedModelError(self.name, self.problems, sorted(kind.__name__ for kind in MODULES))
        return self._finish()

    def _finish(self) -> g.Graph:
        graph = self.builder.graph
        graph.prune()
        graph.name = self.name
        if is_annotated(graph):
            try:
                quantize_annotated(graph)
            except Refused as refusal:
                raise ModelError(f"{self.name}: {refusal}") from refusal
        if self.layouts:
            graph.metadata["channels_first"] = self.layouts
        return graph

    def _input(self, name: str, shape: tuple[int, ...]) -> Value:
        value = self.builder.input(name, shape, channels_last=len(shape) in (3, 4))
        if not value.is_plain:
            self.layouts[value.tensor] = list(shape)
        return value

    def _constant(self, node: fx.Node) -> Constant:
        found: Any = self.traced
        for part in str(node.target).split("."):
            found = getattr(found, part)
        return constant(node.name, found)

    def _outputs(self, results: Any) -> None:
        for result in results if isinstance(results, tuple | list) else [results]:
            value = self.values.get(result)
            if not isinstance(value, Value):
                raise ModelError(f"{self.name}: an output is {type(result).__name__}; tensors and tuples are supported")
            self.builder.output(value)

    def _call(self, node: fx.Node, index: int) -> Any:
        arguments = fx.map_arg(node.args, lambda item: self.values[item])
        options = fx.map_arg(node.kwargs, lambda item: self.values[item])
        if any(isinstance(item, _Skipped) for item in _flat((arguments, options))):
            return _Skipped()
        try:
            return self._build(node, arguments, options)
        except (Refused, TypeError, ValueError) as error:
            shapes = [item.shape for item in _flat((arguments, options)) if isinstance(item, Value)]
            self.problems.append(OperatorProblem(index, self._title(node), shapes, [], str(error)))
            return _Skipped()

    def _build(self, node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if node.op == "call_module":
            module = self.traced.get_submodule(str(node.target))
            handler = _registered.get(type(module)) or MODULES.get(type(module))
            arguments = (module, *arguments)
        elif node.op == "call_method":
            handler = METHODS.get(str(node.target))
        else:
            if not any(isinstance(item, Value) for item in _flat((arguments, options))):
                function: Any = node.target
                return function(*arguments, **options)  # arithmetic on sizes
            handler = FUNCTIONS.get(node.target)
        if handler is None:
            raise Refused("this layer is not supported")
        return handler(self.builder, node.name, *arguments, **options)

    def _title(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.traced.get_submodule(str(node.target))).__name__
        return str(node.target) if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _flat(items: Any) -> list[Any]:
    if isinstance(items, dict):
        return _flat(list(items.values()))
    if isinstance(items, tuple | list):
        return [part for item in items for part in _flat(item)]
    return [items]
