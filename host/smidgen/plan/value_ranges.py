"""Which values the elements of a tensor can have at all."""

from __future__ import annotations

from smidgen.network import CopyOperator, LookupOperator, MeanOperator, Network, PadOperator, SoftmaxOperator

_ALL = -128, 127
_WITHOUT_CLAMP = (CopyOperator, MeanOperator, PadOperator, SoftmaxOperator)


def value_range(network: Network, tensor: int) -> tuple[int, int]:
    """The least and the greatest int8 value that an element of the tensor can have, whatever the inputs are.

    The values of a constant, the clamp of the operator that writes the tensor, or all of int8.
    """
    data = network.tensors[tensor].data
    if data is not None:
        return int(data.min()), int(data.max())
    writers = [operator for operator in network.operators if operator.output == tensor]
    if len(writers) != 1 or isinstance(writers[0], _WITHOUT_CLAMP):
        return _ALL
    (writer,) = writers
    if isinstance(writer, LookupOperator):
        low, high = value_range(network, writer.input)
        values = writer.table[low + 128 : high + 129]
        return int(values.min()), int(values.max())
    return writer.activation_min, writer.activation_max
