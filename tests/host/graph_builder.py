"""Small graphs for tests, written out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen import graph as g


class GraphBuilder:
    """Adds tensors and operators by name; int8 unless `dtype` says float32."""

    def __init__(self, dtype: Any = np.int8) -> None:
        self.dtype = np.dtype(dtype)
        self.graph = g.Graph(name="test")

    def tensor(
        self, name: str, shape: Sequence[int], scale: float = 0.1, zero_point: int = 0, dtype: Any = None
    ) -> str:
        kind = self.dtype if dtype is None else np.dtype(dtype)
        quantization = None if kind == np.float32 else g.Quantization.per_tensor(scale, zero_point)
        return self.graph.add(g.Tensor(name, tuple(shape), kind, quantization)).name

    def constant(self, name: str, data: Any, scale: Any = None, axis: int | None = None) -> str:
        array = np.asarray(data)
        quantization = None
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantization = g.Quantization(scales, np.zeros(len(scales), np.int32), axis)
        return self.graph.add(g.Tensor(name, array.shape, array.dtype, quantization, array)).name

    def weights(self, name: str, shape: Sequence[int], axis: int) -> str:
        """Deterministic weights, with scales of their own for each channel when they are int8."""
        random = np.random.default_rng(sum(shape))
        if self.dtype == np.float32:
            return self.constant(name, random.normal(size=shape).astype(np.float32))
        data = random.integers(-127, 128, shape).astype(np.int8)
        return self.constant(name, data, np.linspace(0.001, 0.01, shape[axis]), axis)

    def append(self, operator: g.Operator) -> None:
        operator.source = f"operator {len(self.graph.operators)}"
        self.graph.operators.append(operator)

    def finish(self, inputs: Sequence[str], outputs: Sequence[str]) -> g.Graph:
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        return self.graph
