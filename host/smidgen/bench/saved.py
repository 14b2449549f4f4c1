"""A results.json, read back for comparing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.bench.counter import MICROSECONDS
from smidgen.bench.folder import RESULTS
from smidgen.bench.results import FORMAT
from smidgen.errors import InputError

_MISSING = object()
_LARGEST = 2**63  # of whole numbers: larger ones are no figures of a session


@dataclass(frozen=True)
class SavedSession:
    """ticks: of every inference. operator_ticks: by round. names: of the operators. Bytes where sizes are.

    identity: what has to be the same for a comparison of times to be one of the software alone.
    """

    path: Path
    is_partial: bool
    identity: dict[str, str]
    counter: str
    hertz: float
    is_exact: bool
    is_shared: bool
    ticks: list[int]
    operator_ticks: list[list[int]]
    names: list[str]
    memory: dict[str, int]
    heap: dict[str, int]
    joules: float | None
    energy_spread: float
    energy_is_estimate: bool


def read_session(path: str | Path) -> SavedSession:
    """path: a session's folder, or its results.json. InputError if that is none."""
    path = Path(path)
    file = path / RESULTS if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}; give a session's folder or its {RESULTS}") from error
    except (ValueError, RecursionError):
        raise InputError(f"{file} is no JSON document: give a session's folder or its {RESULTS}") from None
    return _session(_Reader(file, document), path)


class _Reader:
    """Values of a document by their path, such as `blob.sha256`, of a type that is checked."""

    def __init__(self, file: Path, document: object) -> None:
        self._file = file
        self._document = document

    def get(self, name: str, kinds: type | tuple[type, ...], default: Any = _MISSING) -> Any:
        value: Any = self._document
        for key in name.split("."):
            value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
        if (value is _MISSING or value is None) and default is not _MISSING:
            return default
        if not isinstance(value, kinds) or (isinstance(value, int) and abs(value) > _LARGEST):
            raise InputError(f"{self._file} is no session's {RESULTS}: its {name} is missing or unsuitable")
        return value

    def rate(self, name: str) -> float:
        value = float(self.get(name, (int, float), MICROSECONDS))
        if not 1 <= value <= 1e12:
            raise InputError(f"{self._file}: {name} is {value:g}; it must be from 1 to 1e12 ticks a second")
        return value

    def numbers(self, name: str) -> list[int]:
        values = self.get(name, list)
        if not all(isinstance(value, int) and 0 <= value < 2**31 for value in values):
            raise InputError(f"{self._file}: {name} must be a list of whole numbers from 0 to {2**31 - 1}")
        return list(values)

    def rounds(self, name: str, width: int) -> list[list[int]]:
        """Lists of `width` numbers each."""
        rows = self.get(name, list)
        good = all(
            isinstance(row, list) and len(row) == width and all(isinstance(value, int) for value in row) for row in rows
        )
        if not good:
            raise InputError(f"{self._file}: {name} must be lists of {width} whole numbers, one for each operator")
        return [list(row) for row in rows]


def _session(reader: _Reader, path: Path) -> SavedSession:
    version = reader.get("format", int)
    if version != FORMAT:
        raise InputError(f"{path} has format {version}; this smidgen reads {FORMAT}")
    operators = reader.get("blob.operators", list)
    frequency = reader.get("counter.frequency_hz", (int, float), None)
    return SavedSession(
        path=path,
        is_partial=reader.get("partial", bool),
        identity={
            "blob": reader.get("blob.sha256", str),
            "smidgen.mpy": reader.get("board.module_sha256", str),
            "smidgen": str(reader.get("board.smidgen", str, "unknown")),
            "MicroPython": reader.get("board.micropython", str),
            "board": reader.get("board.machine", str),
            "frequency": "not told" if frequency is None else f"{frequency / 1e6:g} MHz",
        },
        counter=reader.get("counter.name", str, "none"),
        hertz=reader.rate("counter.hertz"),
        is_exact=reader.get("counter.is_exact", bool, False),
        is_shared=reader.get("counter.is_shared", bool, False),
        ticks=reader.numbers("latency.ticks"),
        operator_ticks=reader.rounds("operators.ticks", len(operators)),
        names=[str(row.get("name", "?")) if isinstance(row, dict) else "?" for row in operators],
        memory={
            "size of the blob": reader.get("blob.blob_bytes", int),
            "arena": reader.get("blob.arena_bytes", int),
            "scratch": reader.get("blob.scratch_bytes", int),
        },
        heap=_heap(reader),
        joules=reader.get("power.joules_per_inference", (int, float), None),
        energy_spread=float(reader.get("power.spread", (int, float), 0.0)),
        energy_is_estimate=reader.get("power.source.is_estimate", bool, False),
    )


def _heap(reader: _Reader) -> dict[str, int]:
    if reader.get("memory", dict, None) is None:
        return {}
    before, loaded, peak = (reader.get(f"memory.{key}", int) for key in ("before", "loaded", "peak"))
    return {
        "heap before the model": before,
        "heap of the model": loaded - before,
        "heap while it infers": peak - loaded,
    }
