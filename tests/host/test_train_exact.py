"""Quantisation-aware training computes what is packed: module, reference and blob give the same integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

from smidgen.blob.reader import read_blob  # noqa: E402
from smidgen.errors import InputError  # noqa: E402
from smidgen.formats.torch_reader import from_torch  # noqa: E402
from smidgen.formats.unsupported import UnsupportedModelError  # noqa: E402
from smidgen.lower import lower  # noqa: E402
from smidgen.network import Network  # noqa: E402
from smidgen.packer import pack_graph  # noqa: E402
from smidgen.reference import run_network, run_steps  # noqa: E402
from smidgen.requantization import quantize_multiplier  # noqa: E402
from smidgen.requantization import requantize as requantize_numpy  # noqa: E402
from smidgen.samples import prepare  # noqa: E402
from smidgen.train import calibrate, freeze_ranges, prepare_qat, quantized_layers  # noqa: E402
from smidgen.train.arithmetic import multipliers, requantize  # noqa: E402
from smidgen.train.layers import QuantizedAdd, QuantizedLayer, QuantizedMean  # noqa: E402


class Residual(nn.Module):
    """Plain, depthwise and pointwise convolutions, a sum, pools, a dense layer, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Conv2d(8, 16, (3, 5), padding="same", groups=8)
        self.pointwise = nn.Conv2d(16, 8, 1)
        self.normal = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2, stride=1)
        self.average = nn.AvgPool2d((2, 2))
        self.dense = nn.Linear(8, 5)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = torch.relu(x + self.normal(self.pointwise(F.relu(self.depthwise(x)))))
        x = self.average(self.pool(x)).mean((2, 3))
        return self.softmax(self.dense(x.view(x.size(0), -1)))


class Signal(nn.Module):
    """A row of samples, as from a motion sensor; batch normalisation after a dense layer, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(3, 6, 5, stride=2), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 6, 3, groups=6, padding=1),
            nn.Conv1d(6, 12, 1), nn.BatchNorm1d(12), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 9, bias=False), nn.BatchNorm1d(9), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


class Flat(nn.Module):
    """Dense layers over a flattened picture, whose weights have to be in the order of the elements."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d((6, 7))
        self.conv = nn.Conv2d(2, 4, 3, dilation=2)
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(4 * 2 * 3, 10), nn.ReLU(), nn.Linear(10, 4))
        self.mean = nn.Linear(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.conv(x)) + self.mean(self.pool(x).flatten(1))


CASES = [(Residual, (2, 12, 14)), (Signal, (3, 40)), (Flat, (2, 6, 7))]
WAYS = [(8, True), (8, False), (4, True), (3, False)]


def prepared(kind: type[nn.Module], shape: tuple[int, ...], bits: int, per_channel: bool) -> tuple[Any, torch.Tensor]:
    """A prepared module after a few steps of training, and inputs."""
    torch.manual_seed(bits)
    module, x = kind(), 1.5 * torch.randn(24, *shape) + 0.2
    for _ in range(3):
        module(x)
    quantized = prepare_qat(module, x[:1], weight_bits=bits, per_channel=per_channel)
    calibrate(quantized, [x])
    optimizer = torch.optim.Adam(quantized.parameters(), 0.01)
    for _ in range(3):
        optimizer.zero_grad()
        (quantized(x)[:, 0] - 1).square().mean().backward()
        optimizer.step()
    return quantized.eval(), x


def integers(values: torch.Tensor, scale: float, zero_point: int) -> np.ndarray:
    whole = values.detach().double().numpy() / scale
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
    return np.rint(whole).astype(int) + zero_point


@pytest.mark.parametrize(("bits", "per_channel"), WAYS)
@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_blob_gives_the_integers_of_the_module(
    kind: type[nn.Module], shape: tuple[int, ...], bits: int, per_channel: bool
) -> None:
    module, x = prepared(kind, shape, bits, per_channel)
    network = read_blob(pack_graph(from_torch(module, x[:1]))).network
    output = network.tensors[network.outputs[0]]
    blob = np.stack([run_network(network, [sample])[0].reshape(-1) for sample in prepare(x.numpy(), network, 0)])
    assert len(np.unique(blob)) > 8  # the outputs say something
    np.testing.assert_array_equal(integers(module(x), output.scale, output.zero_point), blob)


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_every_tensor_is_that_of_the_reference(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    module, x = prepared(kind, shape, 8, True)
    graph = from_torch(module, x[:1])
    network = lower(graph)
    seen: dict[str, torch.Tensor] = {}
    for node in module.graph.nodes:
        if node.op == "call_module":
            part = module.get_submodule(node.target)
            if isinstance(part, QuantizedLayer | QuantizedAdd | QuantizedMean):
                part.register_forward_hook(lambda _, __, result, name=node.name: seen.__setitem__(name, result))
    module(x[:1])
    assert len(seen) >= 4
    values = last_values(network, x[:1])
    for name, result in seen.items():
        (tensor,) = [
            i for i, t in enumerate(network.tensors) if t.name in (name, f"{name}_relu", f"{name}_relu6")
            and graph.tensors[t.name].quantization is not None and i in values
        ]  # fmt: skip
        mine = integers(result, network.tensors[tensor].scale, network.tensors[tensor].zero_point)
        if mine.ndim > 2:
            mine = np.moveaxis(mine, 1, -1)
        np.testing.assert_array_equal(mine.reshape(-1), values[tensor].reshape(-1), err_msg=name)


def last_values(network: Network, x: torch.Tensor) -> Any:
    *_, (_, _, values) = run_steps(network, [prepare(x.numpy(), network, 0)[0]])
    return values


def test_training_mode_gives_the_same_integers() -> None:
    module, x = prepared(Residual, (2, 12, 14), 8, True)
    expected = module(x)
    module.train()
    freeze_ranges(module)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=0)


def test_gradients_are_those_of_the_real_function_nearly() -> None:
    torch.manual_seed(0)
    module, x = Flat(), torch.randn(64, 2, 6, 7)
    quantized = prepare_qat(module, x[:1])
    calibrate(quantized, [x])
    module(x).square().mean().backward()
    quantized(x).square().mean().backward()
    for name, layer in quantized_layers(quantized).items():
        real = module.get_submodule(name).weight.grad
        similarity = F.cosine_similarity(real.flatten(), layer.layer.weight.grad.flatten(), dim=0)
        assert similarity > 0.98, name


def test_weight_bits_bound_the_integers() -> None:
    module, _ = prepared(Signal, (3, 40), 3, True)
    for layer in quantized_layers(module).values():
        weights = layer.weight_integers()
        assert weights.abs().max() == 3 and torch.equal(weights, weights.round())


def test_requantization_is_that_of_the_reference() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.integers(-(2**31), 2**31, 4000), random.integers(-300, 300, 4000), [0, 1, -1]])
    factors = np.exp(random.uniform(np.log(1e-7), np.log(4.0), len(values)))
    factors[:9] = [0.5, 0.25, 0.125, 1.0, 2.0, 0.75, 1e-12, 0.0, 3.0]
    multiplier, shift = multipliers(factors.tolist())
    pairs = np.array([quantize_multiplier(factor) for factor in factors])
    np.testing.assert_array_equal(pairs, np.stack([multiplier.numpy(), shift.numpy()], axis=1))
    expected = requantize_numpy(values, pairs[:, 0], pairs[:, 1])
    np.testing.assert_array_equal(requantize(torch.from_numpy(values), multiplier, shift).numpy(), expected)
    ties = np.arange(-999, 1000)
    half = requantize(torch.from_numpy(ties), *multipliers([0.125]))
    np.testing.assert_array_equal(half.numpy(), requantize_numpy(ties, 2**30, -2))


def test_what_cannot_be_prepared_is_listed() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gelu, self.tanh = nn.GELU(), nn.Tanh()
            self.dense = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dense(self.gelu(x)) + self.tanh(self.dense(x))

    with pytest.raises(UnsupportedModelError) as caught:
        prepare_qat(Odd(), torch.zeros(1, 4))
    assert [problem.name for problem in caught.value.problems] == ["GELU", "Tanh"]
    with pytest.raises(InputError, match="weight_bits is 9; 2 to 8"):
        prepare_qat(nn.Linear(2, 2), torch.zeros(1, 2), weight_bits=9)
