"""Runs a recipe: teacher, student, distillation, pruning, quantisation-aware training, compression, export."""

from __future__ import annotations

import copy
import json
import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

import smidgen
from smidgen.errors import InputError
from smidgen.packer import save
from smidgen.train.clustering import WeightClustering
from smidgen.train.distillation import Distillation
from smidgen.train.entropy import weight_bits
from smidgen.train.prepare import calibrate, prepare_qat, quantized_layers
from smidgen.train.pruning import Pruning, Structure, blocks, single_weights, whole_channels
from smidgen.train.recipe.checkpoint import CURRENT, Checkpoints
from smidgen.train.recipe.config import Config, Network, Prune, Stage
from smidgen.train.recipe.data import Data, load_data, load_function
from smidgen.train.recipe.measure import Row, count_weights, measure_blob, measure_float, pack_module
from smidgen.train.recipe.training import Loss, Options, Training

Progress = Callable[[str, int, int], None]  # (what, done, total)
RECORD, MODEL = "run.json", "model.smg"
_CALIBRATION_SAMPLES = 512


@dataclass(frozen=True)
class RunRecord:
    """A finished run. rows: float, int8, then one for each stage. epochs: stage, number from 1, mean loss."""

    name: str
    seed: int
    config: dict[str, Any]
    versions: dict[str, str]
    epochs: list[dict[str, Any]]
    rows: list[Row]
    model: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_recipe(
    config: Config,
    output: str | Path,
    *,
    seed: int | None = None,
    restart: bool = False,
    progress: Progress | None = None,
) -> RunRecord:
    """Run `config`, or go on with it where checkpoints in folder `output` are.

    seed: instead of the configuration's. restart: throw checkpoints away first. The folder gets the blob of the last
    stage (model.smg) and the record (run.json). One thread computes, so that sums come in one order: the same seed
    gives the same weights on the same computer. Raises InputError, ModelError, or MismatchError if a blob did not give
    the integers of the module that it was made from.
    """
    folder = Path(output)
    config = config if seed is None else replace(config, seed=seed)
    if restart:
        Checkpoints.clear(folder)
    with _one_thread():
        return _Run(config, folder, progress).run()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Run:
    def __init__(self, config: Config, folder: Path, progress: Progress | None) -> None:
        self.config, self.folder, self.progress = config, folder, progress
        self.checkpoints = Checkpoints(folder, f"{config.digest} seed {config.seed}")
        self.data: Data = load_data(config.load)
        augment = load_function(config.augment) if config.augment else None
        self.options = Options(config.seed, config.batch, config.weight_decay, augment)
        self.loss: Loss = lambda logits, y, _: F.cross_entropy(logits, y, label_smoothing=config.label_smoothing)
        self.epochs: list[dict[str, Any]] = []
        self.rows: list[Row] = []
        self.model = b""
        self.weights = 0  # of the float network

    def run(self) -> RunRecord:
        config = self.config
        if config.teacher is not None:
            teacher = self._train("teacher", config.teacher, self._network(config.teacher))
        module = self._train("student", config.student, self._network(config.student))
        self._measure_float("float", module)
        self._measure_float_as_int8("int8", module)
        if config.distil is not None:
            self.loss = Distillation(teacher, config.distil.temperature, config.distil.weight)
            module = self._train("distil", config.distil, self._network(config.student))
            self._measure_float_as_int8("distilled", module)
        if config.prune is not None:
            module = copy.deepcopy(module)
            steps = self._steps(config.prune)
            module = self._train("prune", config.prune, module, pruning=_pruning(module, config.prune, steps))
            self._measure_float_as_int8("pruned", module)
        if config.quantize is not None:
            module = self._train_in_integers(module)
        return self._finish()

    def _train_in_integers(self, module: nn.Module) -> nn.Module:
        config = self.config
        assert config.quantize is not None
        bits, per_channel = config.quantize.weight_bits, config.quantize.per_channel
        module = self._prepare(module, bits, per_channel)
        pruning = self._kept_zeros(module)
        module = self._train("quantize", config.quantize, module, pruning=pruning)
        self._measure("quantized", module)
        if config.compress is None:
            return module
        levels, penalty = config.compress.levels, config.compress.penalty
        clustering = WeightClustering(module, levels) if levels else None
        layers = list(quantized_layers(module).values())
        module = self._train(
            "compress", config.compress, module, pruning=pruning, clustering=clustering,
            penalty=(lambda: penalty * weight_bits(layers)) if penalty else None,
        )  # fmt: skip
        self._measure("compressed", module)
        return module

    def _train(self, name: str, stage: Stage, module: nn.Module, **parts: Any) -> nn.Module:
        """The module after a stage: trained, or as a checkpoint has it."""
        done = self.checkpoints.read(name)
        training = Training(name, module, stage.epochs, stage.learning_rate, self.loss, self.options, **parts)
        started = self.checkpoints.read(CURRENT) if done is None else done
        losses: list[float] = []
        if started is not None and started["stage"] == name:
            self._load(training, started)
            losses = list(started["losses"])
        while training.finished < stage.epochs:
            losses.append(training.run_epoch(self.data))
            if not math.isfinite(losses[-1]):
                raise InputError(
                    f"stage {name}, epoch {training.finished}: the loss is {losses[-1]}; a smaller learning_rate than "
                    f"{stage.learning_rate:g} may help, if the data and augmentation are right"
                )
            self.checkpoints.write(CURRENT, {**training.state_dict(), "losses": losses})
            self._tell(name, training.finished, stage.epochs)
        if done is None:
            self.checkpoints.write(name, {**training.state_dict(), "losses": losses})
            self.checkpoints.remove(CURRENT)
        self._tell(name, stage.epochs, stage.epochs)
        self.epochs += [{"stage": name, "epoch": i + 1, "loss": loss} for i, loss in enumerate(losses)]
        return module

    def _load(self, training: Training, state: dict[str, Any]) -> None:
        try:
            training.load_state_dict(state)
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(
                f"the checkpoint of stage {training.name} in {self.folder} does not fit its network ({error}); "
                "--restart throws it away and starts again"
            ) from error

    def _network(self, network: Network) -> nn.Module:
        torch.manual_seed(self.config.seed)
        module = load_function(network.network)()
        if not isinstance(module, nn.Module):
            where = f"{network.network.file.name}:{network.network.name}"
            raise InputError(f"{where} must return a torch.nn.Module, it returned {type(module).__name__}")
        return module

    def _prepare(self, module: nn.Module, weight_bits: int = 8, per_channel: bool = True) -> nn.Module:
        """A calibrated module that computes in integers."""
        prepared = prepare_qat(
            module, self.data.example, weight_bits=weight_bits, per_channel=per_channel, name=self.config.name
        )
        every = -(-len(self.data.train_x) // _CALIBRATION_SAMPLES)
        calibrate(prepared, [self.data.train_x[::every]])
        return prepared

    def _kept_zeros(self, module: nn.Module) -> Pruning | None:
        """Keeps the weights at zero that the stage "prune" put there."""
        if self.config.prune is None:
            return None
        pruning = _pruning(module, self.config.prune, 1)
        pruning.step()
        return pruning

    def _steps(self, stage: Stage) -> int:
        """Steps of the optimiser until a stage has reached two thirds of its epochs."""
        return max(1, stage.epochs * -(-len(self.data.train_x) // self.config.batch) * 2 // 3)

    def _measure_float(self, name: str, module: nn.Module) -> None:
        self.weights = count_weights(module)
        self.rows.append(measure_float(name, module, self.data))

    def _measure_float_as_int8(self, name: str, module: nn.Module) -> None:
        self._measure(name, self._prepare(module))

    def _measure(self, name: str, module: nn.Module) -> None:
        self._tell(f"measuring {name}", 0, 1)
        metadata = {"name": self.config.name, "labels": list(self.data.labels)}
        self.model, blob = pack_module(module, self.data, self.config.optimize, metadata)
        self.rows.append(measure_blob(name, module, blob, self.data, self.weights))
        self._tell(f"measuring {name}", 1, 1)

    def _finish(self) -> RunRecord:
        versions = {
            "smidgen": smidgen.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        }
        config = self.config
        record = RunRecord(config.name, config.seed, config.as_dict(), versions, self.epochs, self.rows, MODEL)
        save(self.model, self.folder / MODEL)
        save((json.dumps(record.as_dict(), indent=2) + "\n").encode(), self.folder / RECORD)
        return record

    def _tell(self, what: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(f"seed {self.config.seed}: {what}", done, total)


def _pruning(module: nn.Module, prune: Prune, steps: int) -> Pruning:
    structures: dict[str, Structure] = {
        "weights": single_weights,
        "channels": whole_channels,
        "blocks": blocks(*prune.block),
    }
    return Pruning(module, prune.sparsity, steps, structures[prune.structure], smallest=prune.smallest)
