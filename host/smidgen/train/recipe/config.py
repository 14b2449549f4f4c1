"""The configuration of a recipe: a TOML file, read strictly."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smidgen.boards.strict_table import StrictTable
from smidgen.errors import InputError
from smidgen.plan.optimize import Goal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STRUCTURES = ("weights", "blocks", "channels")
_LARGEST_LAYER = 1_000_000


@dataclass(frozen=True)
class Reference:
    """A function in a Python file beside the configuration: "digits.py:load"."""

    file: Path
    name: str


@dataclass(frozen=True)
class Stage:
    """How long a stage trains, and its largest learning rate."""

    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Network(Stage):
    """A stage that trains a network from the beginning. network: a function that returns the module."""

    network: Reference


@dataclass(frozen=True)
class Distil(Stage):
    """See `Distillation`."""

    temperature: float
    weight: float


@dataclass(frozen=True)
class Prune(Stage):
    """See `Pruning`. block: outputs and inputs of a block, where the structure is "blocks"."""

    sparsity: float
    structure: str
    block: tuple[int, int]
    smallest: int


@dataclass(frozen=True)
class Quantize(Stage):
    """See `prepare_qat`."""

    weight_bits: int
    per_channel: bool


@dataclass(frozen=True)
class Compress(Stage):
    """See `WeightClustering` (levels 0: none) and `weight_bits` (times `penalty`)."""

    levels: int
    penalty: float


@dataclass(frozen=True)
class Config:
    """A recipe. Stages that are None are left out; they run in the order of the fields."""

    name: str
    folder: Path  # of the file
    seed: int
    load: Reference
    augment: Reference | None
    batch: int
    weight_decay: float
    label_smoothing: float
    optimize: Goal
    teacher: Network | None
    student: Network
    distil: Distil | None
    prune: Prune | None
    quantize: Quantize | None
    compress: Compress | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what was asked for, and the hashes of the Python files, but not where they are."""
        fields = asdict(self)
        del fields["folder"]
        return dict(_plain(fields))

    @property
    def digest(self) -> str:
        """Changes when anything changes that results depend on, but for the seed."""
        fields = {key: value for key, value in self.as_dict().items() if key != "seed"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read_config(path: str | Path) -> Config:
    """The recipe in a TOML file. Raises InputError with the key, what was found, and what is allowed."""
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML: {error}") from error
    return _Reader(file).config(StrictTable(file, values))


class _Reader:
    def __init__(self, file: Path) -> None:
        self.folder = file.resolve().parent

    def config(self, table: StrictTable) -> Config:
        data = table.table("data")
        training = table.table("training") if table.has("training") else StrictTable(self.folder, {})
        config = Config(
            name=table.text("name"),
            folder=self.folder,
            seed=table.integer("seed", 0, 2**31 - 1) if table.has("seed") else 0,
            load=self.reference(data, "load"),
            augment=self.reference(data, "augment") if data.has("augment") else None,
            batch=_integer(training, "batch", 1, 65536, 64),
            weight_decay=_number(training, "weight_decay", 0, 10, 0.01),
            label_smoothing=_number(training, "label_smoothing", 0, 0.9, 0.0),
            optimize=Goal(table.one_of("optimize", tuple(goal.value for goal in Goal)))
            if table.has("optimize")
            else Goal.SIZE,
            teacher=self.network(table.table("teacher")) if table.has("teacher") else None,
            student=self.network(table.table("student")),
            distil=_distil(table.table("distil")) if table.has("distil") else None,
            prune=_prune(table.table("prune")) if table.has("prune") else None,
            quantize=_quantize(table.table("quantize")) if table.has("quantize") else None,
            compress=_compress(table.table("compress")) if table.has("compress") else None,
        )
        for part in (data, training, table):
            part.finish()
        if config.distil and not config.teacher:
            raise table.error("distil", "needs a table [teacher], the network to learn from")
        if config.compress and not config.quantize:
            raise table.error("compress", "needs a table [quantize]: weights are clustered as integers")
        return config

    def reference(self, table: StrictTable, key: str) -> Reference:
        text = table.text(key)
        file, _, name = text.rpartition(":")
        if not file.endswith(".py") or not name.isidentifier():
            raise table.error(key, f"is {text!r}, must be a file and a function in it, as in 'digits.py:load'")
        path = self.folder / file
        if not path.is_file():
            raise table.error(key, f"names {file}, but there is no file {path}")
        return Reference(path, name)

    def network(self, table: StrictTable) -> Network:
        network = Network(*_stage(table), self.reference(table, "network"))
        table.finish()
        return network


def _stage(table: StrictTable) -> tuple[int, float]:
    return table.integer("epochs", 1, 100_000), table.number("learning_rate", 1e-8, 10)


def _distil(table: StrictTable) -> Distil:
    weight = _number(table, "weight", 0, 1, 0.7)
    distil = Distil(*_stage(table), _number(table, "temperature", 0.1, 100, 4.0), weight)
    table.finish()
    return distil


def _prune(table: StrictTable) -> Prune:
    structure = table.one_of("structure", STRUCTURES) if table.has("structure") else STRUCTURES[0]
    block = (1, 1)
    if structure == "blocks":
        sizes = table.table("block")
        block = sizes.integer("outputs", 1, 4096), sizes.integer("inputs", 1, 4096)
        sizes.finish()
    sparsity = table.number("sparsity", 0.01, 0.99)
    prune = Prune(*_stage(table), sparsity, structure, block, _integer(table, "smallest", 0, _LARGEST_LAYER, 0))
    table.finish()
    return prune


def _quantize(table: StrictTable) -> Quantize:
    per_channel = table.flag("per_channel") if table.has("per_channel") else True
    quantize = Quantize(*_stage(table), _integer(table, "weight_bits", 2, 8, 8), per_channel)
    table.finish()
    return quantize


def _compress(table: StrictTable) -> Compress:
    levels = table.integer("levels", 2, 255) if table.has("levels") else 0
    compress = Compress(*_stage(table), levels, _number(table, "penalty", 0, 1000, 0.0))
    table.finish()
    return compress


def _integer(table: StrictTable, key: str, low: int, high: int, default: int) -> int:
    return table.integer(key, low, high) if table.has(key) else default


def _number(table: StrictTable, key: str, low: float, high: float, default: float) -> float:
    return table.number(key, low, high) if table.has(key) else default


def _plain(value: Any) -> Any:
    """What JSON can hold; a file as the hash of its content."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return {"name": value.name, "sha256": hashlib.sha256(value.read_bytes()).hexdigest()}
    return value.value if isinstance(value, Goal) else value
