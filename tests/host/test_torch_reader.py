"""Graphs from PyTorch modules; the judge is the module itself."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

import smidgen  # noqa: E402
from smidgen import graph as g  # noqa: E402
from smidgen.arrays import as_channels_last  # noqa: E402
from smidgen.errors import InputError, ModelError  # noqa: E402
from smidgen.formats.torch_reader import from_torch, register_module  # noqa: E402
from smidgen.formats.unsupported import UnsupportedModelError  # noqa: E402
from smidgen.packer import pack_graph  # noqa: E402
from smidgen.passes import simplify  # noqa: E402
from smidgen.quantize import quantize  # noqa: E402
from smidgen.reference.float_executor import run_float  # noqa: E402


class Separable(nn.Module):
    """Depthwise-separable blocks with a residual, as small classifiers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Conv2d(8, 8, (3, 5), padding="same", groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.normal = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.dense = nn.Linear(8 * 3 * 2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = x + F.relu(self.normal(self.pointwise(F.relu(self.depthwise(x)))))
        x = F.max_pool2d(x, 2)
        x = self.drop(x.view(x.size(0), -1))
        return F.softmax(self.dense(x), dim=1)


class Signal(nn.Module):
    """1-D convolutions over time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(6, 8, 5, stride=2, padding=2), nn.BatchNorm1d(8), nn.ReLU(),
            nn.Conv1d(8, 16, 3, groups=8, dilation=2), nn.AvgPool1d(2, padding=1), nn.Sigmoid(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 5),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Branches(nn.Module):
    """Concatenation, padding, channels scaled by their means, permutation before a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 4, 3)
        self.excite = nn.Linear(7, 7)
        self.out = nn.Linear(7 * 5 * 4, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - 0.5) / 0.25
        joined = torch.cat([self.a(x), self.b(F.pad(x, (1, 1, 1, 1)))], dim=1)
        gate = torch.sigmoid(self.excite(joined.mean(dim=(2, 3))))
        joined = joined * gate.unsqueeze(-1).unsqueeze(-1)
        return self.out(joined.permute(0, 2, 3, 1).flatten(1))


CASES = [(Separable, (1, 3, 12, 8)), (Signal, (1, 6, 40)), (Branches, (1, 2, 5, 4))]


def _trained(kind: type[nn.Module]) -> nn.Module:
    """With running statistics that are not 0 and 1."""
    torch.manual_seed(1)
    module = kind()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    return module.eval()


@pytest.mark.parametrize(("kind", "shape"), CASES)
@pytest.mark.parametrize("simplified", [False, True])
def test_the_graph_computes_what_the_module_does(
    kind: type[nn.Module], shape: tuple[int, ...], simplified: bool
) -> None:
    module = _trained(kind)
    graph = from_torch(module, torch.zeros(shape))
    own = graph.metadata["channels_first"][graph.inputs[0]]
    if simplified:
        simplify(graph)
    samples = torch.randn(5, *shape[1:])
    with torch.no_grad():
        wanted = module(samples).numpy()
    inputs = as_channels_last(samples.numpy(), own).reshape(5, *graph.tensors[graph.inputs[0]].shape)
    got = run_float(graph, {graph.inputs[0]: inputs})[graph.outputs[0]]
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)


def test_a_module_becomes_a_blob() -> None:
    module = _trained(Separable)
    graph = from_torch(module, torch.zeros(1, 3, 12, 8), name="separable")
    samples = np.random.default_rng(0).standard_normal((16, 3, 12, 8)).astype(np.float32)
    assert len(pack_graph(quantize(graph, samples))) > 500


def test_training_mode_comes_back() -> None:
    module = Separable().train()
    from_torch(module, torch.zeros(1, 3, 12, 8))
    assert module.training and module.drop.training


def test_every_layer_that_cannot_run_is_listed() -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 1, groups=2), nn.Hardswish())
    with pytest.raises(UnsupportedModelError) as caught:
        from_torch(module, torch.zeros(1, 2, 6, 6))
    assert [problem.name for problem in caught.value.problems] == ["GELU"]
    module = nn.Sequential(nn.Conv2d(4, 4, 1, groups=2))
    with pytest.raises(UnsupportedModelError, match="in 2 groups of 2"):
        from_torch(module, torch.zeros(1, 4, 6, 6))


class _Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced() -> None:
    with pytest.raises(ModelError, match=r"cannot be traced by torch\.fx"):
        from_torch(_Branching(), torch.zeros(1, 3))
    with pytest.raises(InputError, match=r"shape \[8, 3\]"):
        from_torch(nn.Linear(3, 3), torch.zeros(8, 3))


class _Rounded(nn.Module):
    """A tensor with a scale, as quantisation-aware training leaves it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_modules_of_ones_own() -> None:
    scale = g.Quantization.per_tensor(0.1, 3)
    register_module(_Rounded, lambda builder, name, module, x: builder.quantize(x, scale))
    graph = from_torch(nn.Sequential(_Rounded(), nn.ReLU(), _Rounded()), torch.zeros(1, 4))
    assert graph.is_quantized and graph.tensors[graph.inputs[0]].quantization == scale


def test_the_package_has_it_under_its_own_name() -> None:
    assert smidgen.from_torch is from_torch
    with pytest.raises(AttributeError, match="no attribute 'from_nothing'"):
        smidgen.from_nothing  # noqa: B018 - asking is the test
