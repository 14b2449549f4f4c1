"""The stored figures that a measurement is compared with: benchmarks/baseline.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("baseline.json")

# Of each network in the document of benchmarks.cycles.
MODEL_FIGURES = ("board_cycles", "bare_cycles", "instructions", "arena_bytes", "scratch_bytes", "blob_bytes")


class BaselineError(Exception):
    """The file is not a baseline."""


def read_baseline(path: Path = PATH) -> dict[str, Any]:
    """{"models": {name: figures}, "layers": {name: cycles}, "module": {...}}; all empty where there is no file yet."""
    if not path.exists():
        return {"models": {}, "layers": {}, "module": {}}
    try:
        content = json.loads(path.read_text("utf-8"))
        return {section: dict(content[section]) for section in ("models", "layers", "module")}
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"{path} is not a baseline of benchmarks.cycles ({error}); make a new one") from error


def write_baseline(document: dict[str, Any], path: Path = PATH) -> None:
    """Store the figures of a measurement; what it did not measure stays as it was."""
    stored = read_baseline(path)
    for name, model in document["models"].items():
        figures = {figure: model[figure] for figure in MODEL_FIGURES if model[figure] not in (None, {})}
        stored["models"][name] = {**stored["models"].get(name, {}), **figures}
    stored["layers"].update({name: layer["cycles"] for name, layer in document["layers"].items()})
    stored["module"].update({name: value for name, value in document["module"].items() if value is not None})
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n", "utf-8")


def change(now: int | None, before: int | None) -> float | None:
    """(now - before) / before; None where one of them is not known."""
    return now / before - 1 if now is not None and before else None
