"""Train the exercise network and export it as the float model of `smidgen demo`.

    python examples/imu_exercises/train.py                    the committed model: a minute or two on an idle laptop
    python examples/imu_exercises/train.py --cross-validate   the same on five splits by subject, exports nothing

Needs PyTorch, and seglearn for its recordings: pip install torch && pip install --no-deps seglearn
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from smidgen import demo
from smidgen import graph as g
from smidgen.demo.recordings import (
    LABELS,
    SUBJECTS,
    TEST_SUBJECTS,
    WINDOW,
    Recording,
    Split,
    cut_windows,
    load_recordings,
    mean_and_deviation,
    split_by_subject,
)
from smidgen.formats.tflite_writer import write_tflite

MODEL_FILE = Path(demo.__file__).with_name("imu_exercises.tflite")
CHANNELS = (24, 32, 48, 64)
FIRST_KERNEL, FIRST_STRIDE = 9, 2
KERNEL, STRIDES = 5, (2, 1, 1)

STEPS = 1500
BATCH = 128
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1
DROPOUT = 0.3

# The two wrists mirror each other in the plane through the body: the acceleration along the arm changes its sign, and
# so do the rotations about the two axes in that plane.
MIRROR = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)

Item = TypeVar("Item")


def progress(items: Sequence[Item], description: str) -> Iterable[Item]:
    """The items, with a progress bar where rich is installed."""
    try:
        from rich.progress import track
    except ImportError:
        return items
    return track(items, description=description)


# Network


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Without padding: so the normalisation of the input folds into the first one exactly."""
    convolved = nn.Conv1d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [convolved, nn.BatchNorm1d(outputs), nn.ReLU()]


class Network(nn.Module):
    """Depthwise-separable 1-D network: normalised windows [batch, 6, WINDOW] -> logits [batch, 7]."""

    def __init__(self) -> None:
        super().__init__()
        layers = convolution(6, CHANNELS[0], FIRST_KERNEL, FIRST_STRIDE)
        for inputs, outputs, stride in zip(CHANNELS[:-1], CHANNELS[1:], STRIDES, strict=True):
            layers += convolution(inputs, inputs, KERNEL, stride, groups=inputs)
            layers += convolution(inputs, outputs, 1)
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(CHANNELS[-1], len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(x).mean(dim=2)))


# Training batches


class Sampler:
    """Random augmented windows from anywhere in the recordings, normalised."""

    def __init__(self, recordings: Sequence[Recording], seed: int) -> None:
        lengths = np.array([len(recording.signal) for recording in recordings])
        self.lengths = lengths
        self.starts = np.cumsum(lengths) - lengths
        self.samples = np.concatenate([recording.signal for recording in recordings])
        self.labels = np.array([recording.label for recording in recordings])
        self.mean, self.deviation = mean_and_deviation(recordings)
        self.random = np.random.default_rng(seed)

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Windows [size, 6, WINDOW] and labels [size]."""
        chosen = self.random.choice(len(self.lengths), size, p=self.lengths / self.lengths.sum())
        x = self._rotate(self._warp(chosen))
        x = np.where(self.random.random((size, 1, 1)) < 0.5, x * np.array(MIRROR), x)
        x = (x - self.mean) / self.deviation
        gain = np.exp(self.random.normal(0, 0.1, (size, 1, 2)))  # strong and weak people; of both sensors
        x = x * np.repeat(gain, 3, axis=2) + self.random.normal(0, 0.05, x.shape)
        return torch.tensor(x.transpose(0, 2, 1), dtype=torch.float32), torch.tensor(self.labels[chosen])

    def _warp(self, chosen: np.ndarray) -> np.ndarray:
        """Windows [size, WINDOW, 6] of the chosen recordings at another speed, from anywhere inside."""
        size = len(chosen)
        speed = np.exp(self.random.uniform(-0.25, 0.25, size))
        span = speed * (WINDOW - 1)
        first = self.starts[chosen] + self.random.random(size) * (self.lengths[chosen] - 1 - span)
        time = first[:, np.newaxis] + speed[:, np.newaxis] * np.arange(WINDOW)
        before = np.minimum(time.astype(int), len(self.samples) - 2)
        fraction = (time - before)[..., np.newaxis]
        x = self.samples[before] * (1 - fraction) + self.samples[before + 1] * fraction
        x[..., 3:] *= speed[:, np.newaxis, np.newaxis]  # a faster movement is a faster rotation
        return x

    def _rotate(self, x: np.ndarray) -> np.ndarray:
        """Both sensors turned about a random axis: a watch sits a little differently on every wrist."""
        axis = self.random.normal(size=(len(x), 3))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        angle = np.radians(self.random.normal(0, 10, len(x)))[:, np.newaxis, np.newaxis]
        cross = np.zeros((len(x), 3, 3))
        cross[:, [2, 0, 1], [1, 2, 0]] = axis
        cross[:, [1, 2, 0], [2, 0, 1]] = -axis
        rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues' formula
        return np.concatenate([x[..., :3] @ rotation, x[..., 3:] @ rotation], axis=2)


def train(split: Split, seed: int) -> tuple[Network, Sampler]:
    """A network trained on the split's training recordings; the sampler knows their mean and deviation."""
    torch.manual_seed(seed)
    sampler = Sampler(split.train, seed)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.2)
    loss_function = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    for _ in progress(range(STEPS), "training"):
        x, labels = sampler.batch(BATCH)
        optimizer.zero_grad()
        loss_function(network(x), labels).backward()
        optimizer.step()
        schedule.step()
    return network.eval(), sampler


def confusion(network: Network, sampler: Sampler, recordings: Sequence[Recording]) -> np.ndarray:
    """Counts of windows [true label, predicted label]."""
    windows, labels = cut_windows(recordings)
    x = torch.tensor(((windows[:, :, 0] - sampler.mean) / sampler.deviation).transpose(0, 2, 1))
    with torch.no_grad():
        predicted = network(x).argmax(dim=1).numpy()
    counts = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def accuracy(counts: np.ndarray) -> float:
    return float(np.trace(counts) / counts.sum())


# Export


def folded(convolution: nn.Conv1d, normalization: nn.BatchNorm1d) -> tuple[np.ndarray, np.ndarray]:
    """Weights [out, in, kernel] and bias [out] with the batch normalisation inside, in float64."""
    statistics = (normalization.running_var, normalization.running_mean, normalization.weight, normalization.bias)
    variance, mean, scale, shift = (value.detach().double().numpy() for value in statistics)
    gain = scale / np.sqrt(variance + normalization.eps)
    return convolution.weight.detach().double().numpy() * gain[:, np.newaxis, np.newaxis], shift - mean * gain


def export_graph(network: Network, mean: np.ndarray, deviation: np.ndarray) -> g.Graph:
    """The float graph: windows [1, WINDOW, 1, 6] in g and rad/s -> class scores [1, 7]; it normalises by itself."""
    graph = g.Graph(inputs=["window"], outputs=["scores"], name="imu_exercises")
    graph.add(g.Tensor("window", (1, WINDOW, 1, 6), np.dtype(np.float32)))
    name = "window"
    layers = list(network.features)
    for index in range(0, len(layers), 3):
        weights, bias = folded(layers[index], layers[index + 1])
        if index == 0:
            weights = weights / deviation[:, np.newaxis]
            bias = bias - (weights * mean[:, np.newaxis]).sum(axis=(1, 2))
        name = add_convolution(graph, name, layers[index], weights, bias)
    return add_classifier(graph, name, network.classifier)


def add_constant(graph: g.Graph, name: str, data: np.ndarray) -> str:
    values = np.ascontiguousarray(data, np.float32)
    return graph.add(g.Tensor(name, values.shape, values.dtype, data=values)).name


def add_activation(graph: g.Graph, name: str, shape: tuple[int, ...]) -> str:
    return graph.add(g.Tensor(name, shape, np.dtype(np.float32))).name


def add_convolution(graph: g.Graph, name: str, layer: nn.Conv1d, weights: np.ndarray, bias: np.ndarray) -> str:
    """Append a convolution with ReLU; returns its output's name."""
    is_depthwise = layer.groups > 1
    kernel, stride, channels = layer.kernel_size[0], layer.stride[0], layer.out_channels
    base = f"{'depthwise' if is_depthwise else 'convolution'}_{len(graph.operators)}"
    height = (graph.tensors[name].shape[1] - kernel) // stride + 1
    output = add_activation(graph, base, (1, height, 1, channels))
    # [out, in, kernel] -> depthwise [1, kernel, 1, out], else [out, kernel, 1, in]
    ordered = weights.transpose((1, 2, 0) if is_depthwise else (0, 2, 1))[:, :, np.newaxis]
    operator = g.DepthwiseConv2D if is_depthwise else g.Conv2D
    graph.operators.append(
        operator(
            [name],
            output,
            weights=add_constant(graph, f"{base}_weights", ordered),
            bias=add_constant(graph, f"{base}_bias", bias),
            stride=(stride, 1),
            activation=g.Activation.RELU,
        )
    )
    return output


def add_classifier(graph: g.Graph, name: str, classifier: nn.Linear) -> g.Graph:
    mean = add_activation(graph, "mean", (1, classifier.in_features))
    logits = add_activation(graph, "logits", (1, classifier.out_features))
    scores = add_activation(graph, "scores", (1, classifier.out_features))
    weights = add_constant(graph, "classifier_weights", classifier.weight.detach().numpy())
    bias = add_constant(graph, "classifier_bias", classifier.bias.detach().numpy())
    graph.operators += [
        g.Mean([name], mean),
        g.FullyConnected([mean], logits, weights=weights, bias=bias),
        g.Softmax([logits], scores),
    ]
    return graph


def macs(graph: g.Graph) -> int:
    """Multiply-accumulates of one inference: each output takes its channel's share of the weights."""
    total = 0
    for operator in graph.operators:
        if isinstance(operator, g.Weighted):
            output = graph.tensors[operator.output]
            total += output.elements * graph.tensors[operator.weights].elements // output.shape[-1]
    return total


def compare_with_tflite(network: Network, sampler: Sampler, model: bytes, recordings: Sequence[Recording]) -> None:
    """Print the largest difference between the scores of PyTorch and of the exported model."""
    try:
        from tflite_runtime.interpreter import Interpreter
    except ImportError:
        print("tflite-runtime is not installed: the exported model was not compared with PyTorch")
        return
    windows, _ = cut_windows(recordings)
    with torch.no_grad():
        x = torch.tensor(((windows[:, :, 0] - sampler.mean) / sampler.deviation).transpose(0, 2, 1))
        expected = network(x).softmax(dim=1).numpy()
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    difference = 0.0
    for window, scores in zip(windows, expected, strict=True):
        interpreter.set_tensor(source, window[np.newaxis])
        interpreter.invoke()
        difference = max(difference, float(np.abs(interpreter.get_tensor(sink)[0] - scores).max()))
    print(f"largest difference between the scores of PyTorch and TFLite: {difference:.1e}")


# Commands


def print_confusion(counts: np.ndarray) -> None:
    print("true \\ predicted".ljust(18) + "".join(label.rjust(6) for label in LABELS))
    for label, row in zip(LABELS, counts, strict=True):
        print(label.ljust(18) + "".join(str(count).rjust(6) for count in row))


def cross_validate(recordings: Sequence[Recording], seed: int) -> None:
    """Train five times, each time without two of the subjects, and print the accuracy on those two."""
    total = np.zeros((len(LABELS), len(LABELS)), int)
    accuracies = []
    for pair in zip(SUBJECTS[::2], SUBJECTS[1::2], strict=True):
        split = split_by_subject(recordings, pair)
        network, sampler = train(split, seed)
        counts = confusion(network, sampler, split.test)
        accuracies.append(accuracy(counts))
        total += counts
        print(f"subjects {pair[0]} and {pair[1]} not seen: {accuracies[-1]:.1%} of {counts.sum()} windows", flush=True)
    spread = f"{min(accuracies):.1%} to {max(accuracies):.1%}"
    print(f"mean {np.mean(accuracies):.1%}, {spread}; all windows {accuracy(total):.1%}")
    print_confusion(total)


def train_and_export(recordings: Sequence[Recording], seed: int, path: Path) -> None:
    split = split_by_subject(recordings)
    network, sampler = train(split, seed)
    counts = confusion(network, sampler, split.test)
    print(f"subjects {TEST_SUBJECTS} not seen: {accuracy(counts):.2%} of {counts.sum()} windows")
    print_confusion(counts)
    graph = export_graph(network, sampler.mean.astype(float), sampler.deviation.astype(float))
    model = write_tflite(graph)
    compare_with_tflite(network, sampler, model, split.test)
    path.write_bytes(model)
    weights = sum(tensor.elements for tensor in graph.tensors.values() if tensor.is_constant)
    print(f"{path}: {len(model)} bytes, {weights} weights and biases, {macs(graph)} MACs")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the exercise network and export it as .tflite.")
    parser.add_argument("--cross-validate", action="store_true", help="train on five splits by subject, export nothing")
    parser.add_argument("--output", type=Path, default=MODEL_FILE, help="where the model goes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    recordings = load_recordings()
    if arguments.cross_validate:
        cross_validate(recordings, arguments.seed)
    else:
        train_and_export(recordings, arguments.seed, arguments.output)


if __name__ == "__main__":
    main()
