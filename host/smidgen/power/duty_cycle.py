"""Average power of a board that infers once in a while."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.errors import InputError
from smidgen.power.energy import EnergyResult


@dataclass(frozen=True)
class DutyCycle:
    """One inference every `every_seconds`; in between the board takes `rest_watts`."""

    every_seconds: float
    active_seconds: float
    active_joules: float
    rest_watts: float

    @property
    def average_watts(self) -> float:
        return (self.active_joules + self.rest_watts * (self.every_seconds - self.active_seconds)) / self.every_seconds

    @property
    def active_share(self) -> float:
        """Of the time."""
        return self.active_seconds / self.every_seconds


def duty_cycle(result: EnergyResult, every_seconds: float, rest_watts: float | None = None) -> DutyCycle:
    """rest_watts: power between inferences, asleep for instance; None: what was measured while the board waited.

    InputError when an inference takes longer than `every_seconds`.
    """
    if not every_seconds >= result.seconds_per_inference:
        raise InputError(
            f"an inference takes {result.seconds_per_inference:.3g} s, so there cannot be one every {every_seconds:g} s"
        )
    rest = result.idle_watts if rest_watts is None else rest_watts
    if not rest >= 0:
        raise InputError(f"the power between inferences is {rest:g} W; it must not be negative")
    return DutyCycle(every_seconds, result.seconds_per_inference, result.joules_per_inference, rest)
