"""What a session measures, and in which portions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from smidgen.errors import InputError
from smidgen.power import Battery

DEFAULT_INFERENCES = 100
DEFAULT_IDLE_SECONDS = 2.0
_PORTIONS = 20  # so that noise that comes and goes is seen, and Ctrl-C loses little
_PORTION_SECONDS = 1.0


@dataclass(frozen=True)
class PowerPlan:
    """source: as after --power. inferences: in each of the `windows`; None: as many as take ten seconds."""

    source: str
    marker_pin: int | None = None
    inferences: int | None = None
    windows: int = 3
    idle_seconds: float = DEFAULT_IDLE_SECONDS
    every_seconds: float | None = None
    battery: Battery | None = None


@dataclass(frozen=True)
class BenchPlan:
    """profile_rounds: inferences that are timed operator by operator; 0: none. folder: None for sessions/DATE_NAME."""

    inferences: int = DEFAULT_INFERENCES
    profile_rounds: int = 0
    power: PowerPlan | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.inferences < 1:
            raise InputError(f"a session needs an inference at least, not {self.inferences}")


def portions(count: int, seconds: float) -> list[int]:
    """Inferences that the board makes in one go. seconds: what one takes, as seen from here."""
    most = max(1, min(math.ceil(count / _PORTIONS), int(_PORTION_SECONDS / max(seconds, 1e-6))))
    whole, rest = divmod(count, most)
    return [most] * whole + ([rest] if rest else [])
