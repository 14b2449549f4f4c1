"""How close a compressed network stays to the one it was made from, on samples that it was not calibrated with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.compress.batch import Int8Array, Values, run_batch
from smidgen.compress.gradients import logit_scale
from smidgen.compress.sensitivity import TEMPERATURE
from smidgen.network import Network, SoftmaxOperator

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """agreement: part of the samples with the same largest output, None for a network without classes. accuracy: part
    with the right one, None without labels. divergence: of a network with SOFTMAX the mean Kullback-Leibler divergence
    of the class probabilities at temperature 2, in nats; else the mean squared difference of the outputs, relative to
    their variance. output_distance: mean absolute difference of the outputs, in int8 steps."""

    agreement: float | None
    accuracy: float | None
    divergence: float
    output_distance: float

    def loss(self, reference: Quality) -> float:
        """What is lost against `reference`: accuracy where there are labels, else agreement, else sqrt(divergence)."""
        if self.accuracy is not None and reference.accuracy is not None:
            return reference.accuracy - self.accuracy
        if self.agreement is not None:
            return 1 - self.agreement
        return float(np.sqrt(self.divergence))


@dataclass(frozen=True, eq=False)
class Judge:
    """Compares networks with `network` on `inputs`, one array [samples, *shape] for each network input.

    labels: the right class of each sample, or None.
    """

    network: Network
    inputs: Sequence[Int8Array]
    labels: NDArray[np.int64] | None = None
    _expected: tuple[Int8Array, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_expected", self._outputs(self.network))

    def reference(self) -> Quality:
        """The quality of the network itself."""
        return self._compare(*self._expected)

    def quality(self, network: Network) -> Quality:
        """network: with the same tensors."""
        return self._compare(*self._outputs(network))

    def loss_name(self) -> str:
        """What `Quality.loss` is called in messages."""
        if self.labels is not None:
            return "accuracy"
        return "agreement with the uncompressed network" if self._classifier() else "relative error of the outputs"

    def _classifier(self) -> SoftmaxOperator | None:
        """The SOFTMAX at the end of a network with one output."""
        last = [operator for operator in self.network.operators if operator.output in self.network.outputs]
        return last[0] if len(last) == 1 and isinstance(last[0], SoftmaxOperator) else None

    def _outputs(self, network: Network) -> tuple[Int8Array, Floats]:
        """All outputs side by side, and what the divergence compares: logits or outputs."""
        values = run_batch(network, self.inputs)
        softmax = self._classifier()
        outputs = _flat(values, network.outputs)
        if softmax is None:
            return outputs, outputs.astype(np.float64)
        return outputs, _flat(values, [softmax.input]).astype(np.float64) * logit_scale(softmax)

    def _compare(self, outputs: Int8Array, decisive: Floats) -> Quality:
        expected, expected_decisive = self._expected
        same = None
        softmax = self._classifier()
        if softmax is None:
            divergence = _relative_error(expected_decisive, decisive)
        else:
            divergence = _divergence(expected_decisive, decisive)
        if softmax is not None or self.labels is not None:
            same = float(np.mean(expected.argmax(axis=1) == outputs.argmax(axis=1)))
        accuracy = None if self.labels is None else float(np.mean(outputs.argmax(axis=1) == self.labels))
        distance = float(np.mean(np.abs(outputs.astype(np.int64) - expected)))
        return Quality(same, accuracy, divergence, distance)


def _flat(values: Values, tensors: Sequence[int]) -> Int8Array:
    return np.concatenate([values[index].reshape(len(values[index]), -1) for index in tensors], axis=1)


def _relative_error(expected: Floats, outputs: Floats) -> float:
    return float(np.mean((outputs - expected) ** 2) / max(float(expected.var(axis=0).mean()), 1.0))


def _divergence(expected: Floats, logits: Floats) -> float:
    first, second = _log_chances(expected / TEMPERATURE), _log_chances(logits / TEMPERATURE)
    return float(np.mean(np.sum(np.exp(first) * (first - second), axis=1)))


def _log_chances(logits: Floats) -> Floats:
    above = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(above - np.log(np.exp(above).sum(axis=1, keepdims=True)))
