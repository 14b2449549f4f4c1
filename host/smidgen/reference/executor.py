"""Runs an integer `Network` operator by operator, keeping every tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.network import Network, NetworkOperator
from smidgen.reference.kernels import run_operator

Int8Array = NDArray[np.int8]


def run_network(network: Network, inputs: Sequence[Int8Array]) -> list[Int8Array]:
    """Outputs of the network for one set of inputs, in the shapes of the output tensors.

    inputs: one int8 array for each input tensor, with as many elements as it has. Raises InputError otherwise.
    """
    *_, (_, _, values) = run_steps(network, inputs)
    return [values[index] for index in network.outputs]


def run_steps(
    network: Network, inputs: Sequence[Int8Array]
) -> Iterator[tuple[int, NetworkOperator, dict[int, Int8Array]]]:
    """Run and yield after every operator: its index, the operator, and all tensors computed so far."""
    values = _starting_values(network, inputs)
    for index, operator in enumerate(network.operators):
        output = network.tensors[operator.output]
        before = values.get(operator.output, np.zeros(output.shape, np.int8))
        values[operator.output] = run_operator(network, operator, values, before).reshape(output.shape)
        yield index, operator, values


def _starting_values(network: Network, inputs: Sequence[Int8Array]) -> dict[int, Int8Array]:
    if len(inputs) != network.input_count:
        raise InputError(f"the network has {network.input_count} inputs, got {len(inputs)}")
    values: dict[int, Int8Array] = {}
    for index, array in zip(network.inputs, inputs, strict=True):
        tensor = network.tensors[index]
        if array.dtype != np.int8:
            raise InputError(f"input {index} must be int8, it is {array.dtype}")
        if array.size != tensor.elements:
            raise InputError(
                f"input {index} has {tensor.elements} elements (shape {list(tensor.shape)}), got {array.size}"
            )
        values[index] = array.reshape(tensor.shape)
    for index, tensor in enumerate(network.tensors):
        if tensor.data is not None:
            values[index] = tensor.data.reshape(tensor.shape)
    return values
