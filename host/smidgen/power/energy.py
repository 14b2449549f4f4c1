"""Energy of an inference from windows of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.errors import InputError
from smidgen.power.source import SourceInfo
from smidgen.power.windows import RoundEnergy, Window

ENOUGH_SECONDS = 10.0
ENOUGH_INFERENCES = 10
_COARSE = 0.01  # a window's energy should be at least a hundred of the meter's steps


@dataclass(frozen=True)
class EnergyResult:
    """joules_per_inference: all that the board took meanwhile. joules_above_idle: without what it takes when it waits.

    spread: standard deviation of joules_per_inference between windows, as a share of it; None for a single window, or
    without energy.
    volts: mean while inferring. is_partial: it was interrupted, and these are the windows that were complete.
    """

    source: SourceInfo
    rounds: tuple[RoundEnergy, ...]
    inferences: int
    seconds_per_inference: float
    joules_per_inference: float
    joules_above_idle: float
    active_watts: float
    idle_watts: float
    volts: float
    spread: float | None
    is_partial: bool = False
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarize(
    source: SourceInfo, rounds: Sequence[RoundEnergy], warnings: Sequence[str] = (), is_partial: bool = False
) -> EnergyResult:
    """warnings: of the source. InputError without a single round."""
    if not rounds:
        raise InputError("no round was measured, so there is no energy of an inference")
    active = [turn.active for turn in rounds]
    idle = [turn.idle for turn in rounds]
    inferences = sum(window.inferences for window in active)
    seconds = sum(window.seconds for window in active)
    joules = sum(window.joules for window in active)
    idle_watts = sum(window.joules for window in idle) / sum(window.seconds for window in idle)
    return EnergyResult(
        source=source,
        rounds=tuple(rounds),
        inferences=inferences,
        seconds_per_inference=seconds / inferences,
        joules_per_inference=joules / inferences,
        joules_above_idle=(joules - idle_watts * seconds) / inferences,
        active_watts=joules / seconds,
        idle_watts=idle_watts,
        volts=sum(window.volts * window.seconds for window in active) / seconds,
        spread=_spread(active),
        is_partial=is_partial,
        warnings=tuple(dict.fromkeys([*warnings, *_warnings(source, active, idle)])),
    )


def _spread(active: Sequence[Window]) -> float | None:
    if len(active) < 2:
        return None
    energies = [window.joules / window.inferences for window in active]
    mean = sum(energies) / len(energies)
    variance = sum((energy - mean) ** 2 for energy in energies) / (len(energies) - 1)
    return math.sqrt(variance) / abs(mean) if mean else None


def _warnings(source: SourceInfo, active: Sequence[Window], idle: Sequence[Window]) -> list[str]:
    found = [warning for window in (*active, *idle) for warning in window.warnings]
    if source.is_estimate:
        found.append("this is an estimate from data sheets, not a measurement")
    shortest = min(active, key=lambda window: window.seconds)
    if shortest.seconds < ENOUGH_SECONDS and shortest.inferences < ENOUGH_INFERENCES:
        found.append(
            f"a window lasted only {shortest.seconds:.3g} s with {shortest.inferences} inferences; it should last "
            f"{ENOUGH_SECONDS:g} s or have {ENOUGH_INFERENCES}"
        )
    coarse = max(active, key=lambda window: window.resolution_joules / max(window.joules, 1e-30))
    if coarse.resolution_joules > _COARSE * coarse.joules:
        found.append(
            f"the meter counts in steps of {coarse.resolution_joules:.2g} J, and a window took {coarse.joules:.2g} J: "
            "take more inferences in a window, or a smaller maximum (max=)"
        )
    return found
