"""How much an error in a weight matters, measured on calibration samples: second moments of the output's derivatives.

For a network that ends in SOFTMAX, an error costs the Kullback-Leibler divergence between the class probabilities with
and without it, to second order: the Fisher information of the logits, at a temperature, so that samples about which
the network is sure count too. For other networks it costs half the squared error of the outputs in int8 steps.

Two second moments are added for each output channel. One is that of the derivatives by the weights, which takes into
account that a weight's error is the same at every position; but it is known from as many numbers only as there are
samples. The other one takes the errors at different positions as independent; it is known better, and also counts
positions where the output is just outside its clamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.compress.batch import PORTION, Int8Array, Values, input_rows, products, run_batch
from smidgen.compress.gradients import backward, inside_clamp, logit_scale, real_factors
from smidgen.compress.rounding import Compensation
from smidgen.network import Kind, Network, SoftmaxOperator, WeightedOperator

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]  # (what, done, total)

TEMPERATURE = 2.0  # of the class probabilities
_DRAWS = 4  # random directions in the space of outputs
_ROWS = 6000  # positions of a layer that are looked at one by one
_POSITION_WEIGHT = 2.0  # of the second kind of moments
_CLAMP_DISTANCE = 8.0  # int8 steps outside the clamp at which an error counts 1/e
_FLOOR = 0.02  # of the mean over the layer's channels, added to each
_LARGEST_MOMENTS = 4_000_000  # numbers for a layer; where they would be more, channels share theirs


@dataclass
class LayerSensitivity:
    """What an error of a layer's weights costs. Weights are in int8 steps of output per step of input.

    compensation: of the moments of each output channel, or of all, the bias the last column. An error e of channel c's
    weights costs importance[c] * e @ moments[c] @ e / 2. rows: some rows of `input_rows` over all
    samples. weights, targets: for these rows and each channel, what a squared error costs, and the output before zero
    point, rounding and clamp, [rows, output channels].
    """

    compensation: Compensation
    importance: Floats
    rows: NDArray[np.int64]
    weights: Singles
    targets: Singles


def measure_sensitivity(
    network: Network, inputs: Sequence[Int8Array], seed: int, progress: Progress | None = None
) -> dict[int, LayerSensitivity]:
    """For each operator with weights, by index. inputs: [samples, *shape] for each network input."""
    random = np.random.default_rng(seed)
    samples = len(inputs[0])
    collected: dict[int, _Collected] = {}
    for start in range(0, samples, PORTION):
        values = run_batch(network, [array[start : start + PORTION] for array in inputs])
        for _ in range(_DRAWS):
            for index, operator, gradient in backward(network, values, dict(_cotangents(network, values, random))):
                if index not in collected:
                    collected[index] = _Collected(network, operator, samples, random)
                collected[index].add(values, gradient / np.sqrt(np.float32(_DRAWS * samples)), start)
        for layer in collected.values():
            layer.finish_portion()
        if progress is not None:
            progress("compressing: sensitivity", min(start + PORTION, samples), samples)
    return {index: layer.result() for index, layer in collected.items()}


def _cotangents(network: Network, values: Values, random: np.random.Generator) -> Iterator[tuple[int, Singles]]:
    """Random vectors whose mean outer product is the curvature of the cost by the outputs (or by the logits)."""
    last = {operator.output: operator for operator in network.operators}
    for output in network.outputs:
        operator = last[output]
        if isinstance(operator, SoftmaxOperator):
            yield operator.input, _class_draws(values[operator.input], logit_scale(operator) / TEMPERATURE, random)
        else:
            yield output, random.choice([-1.0, 1.0], size=values[output].shape).astype(np.float32)


def _class_draws(logits: Int8Array, scale: float, random: np.random.Generator) -> Singles:
    """The derivative of the log probability of a class drawn with its probability."""
    rows = logits.reshape(-1, logits.shape[-1]).astype(np.float64) * scale
    chances = np.exp(rows - rows.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    drawn = (chances.cumsum(axis=1) < random.random((len(rows), 1))).sum(axis=1).clip(max=rows.shape[1] - 1)
    derivative = -chances
    derivative[np.arange(len(rows)), drawn] += 1
    return np.asarray(derivative * scale, np.float32).reshape(logits.shape)


@dataclass
class _Portion:
    """What a layer sees for some samples. inputs: `with_ones` of its rows; taken: those that are in the selection."""

    inputs: Singles
    targets: Singles
    inside: NDArray[np.bool_]
    taken: NDArray[np.int64]
    squared: Singles


class _Collected:
    """The moments of one layer, added up over samples and draws."""

    def __init__(self, network: Network, operator: WeightedOperator, samples: int, random: np.random.Generator) -> None:
        self.network, self.operator = network, operator
        columns = operator.weights.shape[1] + 1
        depthwise = operator.kind == Kind.DEPTHWISE_CONV_2D  # small, and each channel sees other inputs
        self.shared = not depthwise and operator.channels * columns**2 > _LARGEST_MOMENTS
        self.moments = np.zeros((1 if self.shared else operator.channels, columns, columns))
        self.traces = np.zeros(operator.channels)
        self.positions = network.tensors[operator.output].elements // operator.channels
        total = samples * self.positions
        self.rows = np.sort(random.permutation(total)[:_ROWS])
        self.row_scale = np.float32(total / len(self.rows))
        self.weights: list[Singles] = []
        self.targets: list[Singles] = []
        self.portion: _Portion | None = None

    def add(self, values: Values, gradient: Singles, start: int) -> None:
        """gradient: of `backward`, for the samples from `start` on."""
        if self.portion is None:
            self.portion = self._look(values, start)
        part = self.portion
        flat = gradient.reshape(-1, self.operator.channels)
        part.squared += flat[part.taken] ** 2
        inside = (flat * part.inside).reshape(gradient.shape).transpose(0, 2, 1)
        inputs = part.inputs.reshape(len(gradient), self.positions, *part.inputs.shape[1:])
        derivatives = inside @ inputs if inputs.ndim == 3 else np.einsum("ncp,npck->nck", inside, inputs)
        self._add_moments(derivatives.transpose(1, 2, 0), derivatives.transpose(1, 0, 2))

    def finish_portion(self) -> None:
        """To be called after all draws for a portion of the samples."""
        part, self.portion = self.portion, None
        if part is None:
            return
        weights = part.squared * _softly_inside(self.network, self.operator, part.targets) * self.row_scale
        self.weights.append(weights)
        self.targets.append(part.targets)
        inputs = part.inputs[part.taken]
        scaled = np.sqrt(weights * np.float32(_POSITION_WEIGHT))
        if self.shared:
            root = np.sqrt(np.mean(scaled**2, axis=1, keepdims=True)) * inputs
            self.moments[0] += root.T @ root * self.operator.channels
            self.traces += np.sum(inputs**2, axis=1) @ scaled**2
            return
        for channel in range(self.operator.channels):
            root = scaled[:, channel : channel + 1] * (inputs if inputs.ndim == 2 else inputs[:, channel])
            self._add_moments(root.T[None], root[None], slice(channel, channel + 1))

    def result(self) -> LayerSensitivity:
        channels = self.operator.channels
        moments, importance = self.moments, np.ones(channels)
        if self.shared:
            moments = moments / channels
            importance = self.traces / max(float(self.traces.mean()), np.finfo(np.float64).tiny)
            importance = (importance + _FLOOR) / (1 + _FLOOR)
        else:
            moments = moments + _FLOOR * moments.mean(axis=0)
        weights = np.concatenate(self.weights)
        targets = np.concatenate(self.targets)
        return LayerSensitivity(Compensation.of(moments), importance, self.rows, weights, targets)

    def _look(self, values: Values, start: int) -> _Portion:
        operator = self.operator
        rows = input_rows(self.network, operator, values[operator.input])
        bias = 0 if operator.bias is None else operator.bias
        targets = (products(operator, rows) + bias) * real_factors(operator.multiplier, operator.shift)
        first = start * self.positions
        taken = self.rows[(self.rows >= first) & (self.rows < first + len(rows))] - first
        inside = inside_clamp(operator, values[operator.output]).reshape(targets.shape)
        squared = np.zeros((len(taken), operator.channels), np.float32)
        part = _Portion(with_ones(rows), np.asarray(targets, np.float32), inside, taken, squared)
        part.targets = part.targets[taken]
        return part

    def _add_moments(self, left: Singles, right: Singles, channels: slice = slice(None)) -> None:
        """Add left @ right, [channels, columns, n] @ [channels, n, columns]."""
        if self.shared:
            columns = left.shape[1]
            self.moments[0] += left.transpose(1, 0, 2).reshape(columns, -1) @ right.reshape(-1, columns)
            self.traces[channels] += np.sum(right**2, axis=(1, 2))
        else:
            self.moments[channels] += left @ right


def with_ones(rows: Singles) -> Singles:
    """Rows of `input_rows` with a column of ones, which the bias is multiplied with."""
    return np.concatenate((rows, np.ones((*rows.shape[:-1], 1), np.float32)), axis=-1)


def _softly_inside(network: Network, operator: WeightedOperator, targets: Singles) -> Singles:
    """1 where the output is inside its clamp, less the further it is outside."""
    zero_point = network.tensors[operator.output].zero_point
    above = targets - (operator.activation_max - zero_point)
    below = (operator.activation_min - zero_point) - targets
    outside = np.maximum(np.maximum(above, below), 0)
    return np.asarray(np.exp(-outside / _CLAMP_DISTANCE), np.float32)
