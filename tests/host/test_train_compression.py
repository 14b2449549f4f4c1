"""Distillation, pruning, clustering and the entropy penalty, each in a loop of a user's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

from smidgen.blob.reader import read_blob  # noqa: E402
from smidgen.errors import InputError, ModelError  # noqa: E402
from smidgen.formats.torch_reader import from_torch  # noqa: E402
from smidgen.huffman import entropy_bits, symbol_counts  # noqa: E402
from smidgen.network import WeightedOperator  # noqa: E402
from smidgen.packer import pack_graph  # noqa: E402
from smidgen.train import (  # noqa: E402
    Distillation,
    Pruning,
    WeightClustering,
    blocks,
    calibrate,
    distillation_loss,
    prepare_qat,
    prunable_layers,
    quantized_layers,
    soft_entropy_bits,
    weight_bits,
    whole_channels,
)
from smidgen.train.channel_flow import ChannelFlow, Follower  # noqa: E402
from smidgen.train.clustering import shared_values  # noqa: E402
from smidgen.train.pruning import cubic_sparsity  # noqa: E402


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16), nn.ReLU(),
        nn.Conv2d(16, 32, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip


X = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def prepared() -> nn.Module:
    module = prepare_qat(network(), X[:1])
    calibrate(module, [X])
    return module.train()


def test_distillation_loss_by_hand() -> None:
    logits, teacher, labels = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0]]), torch.tensor([1])
    p, q = torch.softmax(teacher[0] / 2, 0), torch.softmax(logits[0] / 2, 0)
    soft = sum(float(p[i]) * math.log(float(p[i] / q[i])) for i in range(2))
    hard = -math.log(float(torch.softmax(logits[0], 0)[1]))
    assert float(distillation_loss(logits, teacher, labels, 2.0, 0.25)) == pytest.approx(0.25 * 4 * soft + 0.75 * hard)
    assert float(distillation_loss(teacher, teacher, labels, 2.0, 1.0)) == pytest.approx(0, abs=1e-6)


def test_a_student_learns_what_its_teacher_says() -> None:
    teacher, student = network(), network()
    nn.init.normal_(teacher[-1].weight)
    loss = Distillation(teacher, temperature=2.0, weight=1.0)
    optimizer = torch.optim.Adam(student.parameters(), 0.01)
    wrong = torch.zeros(len(X), dtype=torch.int64)
    before = loss(student(X), wrong, X).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss(student(X), wrong, X).backward()
        optimizer.step()
    assert loss(student(X), wrong, X).item() < 0.1 * before
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_schedule_is_cubic_and_ends_where_it_should() -> None:
    assert cubic_sparsity(0, 100, 0.8) == 0
    assert cubic_sparsity(50, 100, 0.8) == pytest.approx(0.8 * 0.875)
    assert cubic_sparsity(100, 100, 0.8) == cubic_sparsity(500, 100, 0.8) == 0.8


def train(module: nn.Module, pruning: Pruning, steps: int) -> None:
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(module(X), torch.arange(len(X)) % 5).backward()
        optimizer.step()
        pruning.step()


def test_pruned_weights_are_zero_and_stay_so() -> None:
    module = network()
    pruning = Pruning(module, 0.8, 10)
    assert "2" not in pruning.layers  # depthwise
    train(module, pruning, 10)
    zero = {name: layer.weight == 0 for name, layer in pruning.layers.items()}
    for mask in zero.values():
        assert mask.float().mean() == pytest.approx(0.8, abs=0.5 / mask.numel())
    assert (module[2].weight != 0).all()
    train(module, pruning, 5)
    for name, layer in pruning.layers.items():
        assert torch.equal(layer.weight == 0, zero[name])


def test_the_smallest_weights_go_first() -> None:
    layer = nn.Linear(10, 1)
    layer.weight.data = torch.arange(-4.0, 6.0).reshape(1, 10)
    Pruning(layer, 0.5, 1).step()
    assert layer.weight[0].tolist() == [-4, -3, 0, 0, 0, 0, 0, 3, 4, 5]


def test_blocks_are_runs_of_input_channels() -> None:
    module = network()
    pruning = Pruning(module, 0.5, 1, blocks(1, 4), layers=["4"])
    pruning.step()
    runs = (module[4].weight.detach().reshape(32, 4, 4) == 0).sum(dim=2)
    assert set(runs.flatten().tolist()) == {0, 4} and (runs == 4).sum() == 64
    assert (module[0].weight != 0).all()
    groups = blocks(2, 3)(torch.zeros(4, 7, 2, 2))
    assert groups[0, 0, 1, 0] == groups[1, 2, 1, 0] != groups[1, 3, 1, 0]
    assert len(groups.unique()) == 2 * 3 * 4 and groups.max() == 23


def test_pruned_channels_leave_the_blob() -> None:
    module = network()
    Pruning(module, 0.5, 1, whole_channels).step()
    assert (module[-1].weight != 0).all()
    quantized = prepare_qat(module, X[:1])
    calibrate(quantized, [X])
    packed = read_blob(pack_graph(from_torch(quantized, X[:1]))).network
    channels = [operator.channels for operator in packed.operators if isinstance(operator, WeightedOperator)]
    assert 8 < channels[2] <= 16 and channels[3] == 5  # one of those left may be constant for another reason


def normalised_network() -> nn.Sequential:
    """With batch normalisation whose statistics and parameters are of any values."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip
    for part in module:
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0.2, 0.2)
    return module


def test_a_pruned_channel_is_zero_until_channels_are_mixed() -> None:
    """Also through batch normalisation, which makes anything of a channel that is nearly constant."""
    module = normalised_network()
    pruning = Pruning(module, 0.5, 1, whole_channels)
    optimizer = torch.optim.AdamW(module.parameters(), 0.01)
    for _ in range(5):
        optimizer.zero_grad()
        module(X).square().mean().backward()
        optimizer.step()
        pruning.step()
    module.eval()
    gone = ~pruning.kept["0"]
    assert gone.sum() == 8
    for layers in (3, 6):
        values = module[:layers](X)
        assert (values[:, gone] == 0).all() and (values[:, ~gone] != 0).any(dim=(0, 2, 3)).all()
    quantized = prepare_qat(module, X[:1])
    calibrate(quantized, [X])
    packed = read_blob(pack_graph(from_torch(quantized, X[:1]))).network
    channels = [operator.channels for operator in packed.operators if isinstance(operator, WeightedOperator)]
    assert channels == [8, 8, 16, 5]
    classes = module(X).argmax(1) == quantized(X).argmax(1)
    assert classes.float().mean() > 0.8


class Branches(nn.Module):
    """The head is defined first; one output goes to two places, and its depthwise layer has two channels for each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(12, 5)
        self.first, self.norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, affine=False)
        self.depthwise, self.second = nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.Conv2d(16, 8, 1)
        self.third, self.shared = nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.hardtanh(F.relu(self.norm(self.first(x))), 0, 6)
        x = x + self.second(self.depthwise(x))
        x = self.shared(self.third(F.max_pool2d(x, 2)))
        return self.head(torch.relu(self.shared(x)).mean((2, 3)))


def test_where_channels_go() -> None:
    module = Branches()
    flow = ChannelFlow(module)
    assert flow.final_layers(list(prunable_layers(module))) == {"head"}
    assert flow.followers("first") == [Follower(module.norm, 1)]  # F.hardtanh may be of any limits
    assert flow.followers("second") == flow.followers("third") == []  # a sum; a normalisation that is called twice


def test_a_depthwise_layer_with_several_outputs_for_an_input() -> None:
    class Ending(Branches):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.depthwise(self.norm(self.first(x)))

    module = Ending()
    flow = ChannelFlow(module)
    assert flow.followers("first") == [Follower(module.norm, 1), Follower(module.depthwise, 2)]
    assert flow.final_layers(["first", "second"]) == {"first"}
    pruning = Pruning(module, 0.5, 1, whole_channels, layers=["first"])
    pruning.step()
    gone = ~pruning.kept["first"].repeat_interleave(2)
    assert (module(X)[:, gone] == 0).all() and (module(X)[:, ~gone] != 0).all()


def test_the_layer_of_the_classes_is_left_out_wherever_it_is_defined() -> None:
    module = Branches()
    pruning = Pruning(module, 0.97, 1, whole_channels)
    pruning.step()
    assert (module.head.weight != 0).all()
    assert [int(kept.sum()) for kept in pruning.kept.values()] == [1, 1, 1]  # of each layer one channel stays
    module(X)
    pruning.apply()
    module.eval()
    assert (module.norm(module.first(X))[:, ~pruning.kept["first"]] == 0).all()


def test_depthwise_biases_go_without_batch_normalisation() -> None:
    for module in (network(), prepared()):
        pruning = Pruning(module, 0.5, 1, whole_channels)
        pruning.step()
        (first, *_), parts = pruning.kept, dict(module.named_modules())
        depthwise = parts[first.replace("0", "2")]
        assert isinstance(depthwise, nn.Conv2d) and depthwise.groups == 16
        assert (depthwise.bias != 0).tolist() == pruning.kept[first].tolist()


def test_channels_of_a_module_that_cannot_be_traced() -> None:
    class Any(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.layer(x)) if x.sum() > 0 else x

    with pytest.raises(ModelError, match=r"cannot trace the module .* prune single weights or blocks"):
        Pruning(Any(), 0.5, 1, whole_channels, layers=["layer"])
    Pruning(Any(), 0.5, 1)


def test_pruning_goes_on_from_its_state() -> None:
    one, two = network(), network()
    first = Pruning(one, 0.6, 4)
    train(one, first, 2)
    second = Pruning(two, 0.6, 4)
    second.load_state_dict(first.state_dict())
    two.load_state_dict(one.state_dict())
    for pruning in (first, second):
        pruning.step()
    for name in first.kept:
        assert torch.equal(first.kept[name], second.kept[name])


def test_pruning_says_what_is_wrong() -> None:
    with pytest.raises(InputError, match="sparsity of 1 is not possible"):
        Pruning(network(), 1.0, 4)
    with pytest.raises(InputError, match="no layer 'x' to prune; there are: 0, 4, 8"):
        Pruning(network(), 0.5, 4, layers=["x"])
    with pytest.raises(InputError, match="blocks of 0 x 4"):
        blocks(0, 4)
    with pytest.raises(InputError, match="other layers"):
        Pruning(network(), 0.5, 4).load_state_dict({"done": 1, "kept": {}})
    assert list(prunable_layers(network())) == ["0", "4", "8"]


def test_clustered_layers_have_few_values_in_the_blob() -> None:
    module = prepared()
    clustering = WeightClustering(module, levels=8, smallest=300)
    assert list(clustering.layers) == ["0", "4"]
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    before = module(X).detach()
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(module(X), torch.arange(len(X)) % 5).backward()
        optimizer.step()
        clustering.update()
    assert not torch.equal(module(X), before)
    packed = read_blob(pack_graph(from_torch(module, X[:1]))).network
    weighted = [operator for operator in packed.operators if isinstance(operator, WeightedOperator)]
    for operator, (name, layer) in zip(weighted, quantized_layers(module).items(), strict=True):
        values = np.unique(operator.weights)
        if name in clustering.layers:
            assert len(values) <= 8 and 0 in layer.levels and set(values) <= set(layer.levels.int().tolist())
        else:
            assert len(values) > 8


def test_shared_values_are_the_clusters() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([-90.0, -30.0, 0.0, 45.0, 120.0])
    units = (centres.repeat_interleave(200) + torch.randn(1000, generator=generator)).clamp(-127, 127)
    assert (shared_values(units, 5) - centres).abs().max() <= 1
    assert shared_values(torch.zeros(50), 4).unique().tolist() == [0]
    with pytest.raises(InputError, match="1 levels"):
        WeightClustering(prepared(), 1)


def test_soft_entropy_is_the_entropy_of_whole_weights() -> None:
    whole = torch.from_numpy(np.random.default_rng(0).geometric(0.3, 4000).clip(max=20)).float()
    exact = entropy_bits(symbol_counts(whole.numpy().astype(np.int8))) / whole.numel()
    assert float(soft_entropy_bits(whole, torch.arange(-127.0, 128.0))) == pytest.approx(exact, rel=1e-4)


def test_the_entropy_penalty_saves_bits_of_the_blob() -> None:
    sizes = []
    for penalty in (0.0, 3.0):
        module = prepared()
        WeightClustering(module, levels=16, smallest=0)
        optimizer = torch.optim.Adam(module.parameters(), 0.003)
        first = weight_bits(quantized_layers(module).values()).item()
        for _ in range(60):
            optimizer.zero_grad()
            bits = weight_bits(quantized_layers(module).values())
            (F.cross_entropy(module(X), torch.arange(len(X)) % 5) + penalty * bits).backward()
            optimizer.step()
        integers = [layer.weight_integers().detach().numpy() for layer in quantized_layers(module).values()]
        sizes.append(sum(entropy_bits(symbol_counts(weights.astype(np.int8))) for weights in integers))
    assert first > 3 and sizes[1] < 0.75 * sizes[0]
