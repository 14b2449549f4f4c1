"""Measure the energy of inferences on a board: the one function behind `--power`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from smidgen.errors import InputError
from smidgen.power.energy import ENOUGH_SECONDS, EnergyResult, summarize
from smidgen.power.rounds import LONGEST_WINDOW_SECONDS, BoardRounds, Pace
from smidgen.power.source import Execute, PowerSource
from smidgen.power.windows import TimedRound

Progress = Callable[[int, int], None]  # rounds done, rounds in all


@dataclass(frozen=True)
class Plan:
    """windows: how many rounds. inferences: in each; None: as many as take ten seconds. idle_seconds: before each.

    marker_pin: a pin of the board that infers, high while it does. Recording meters need it.
    """

    windows: int = 3
    inferences: int | None = None
    idle_seconds: float = 2.0
    marker_pin: int | None = None

    def __post_init__(self) -> None:
        if self.windows < 1 or (self.inferences is not None and self.inferences < 1):
            raise InputError(
                f"a measurement needs a window and an inference at least, not {self.windows} windows of "
                f"{self.inferences} inferences"
            )
        if not 0.001 <= self.idle_seconds <= LONGEST_WINDOW_SECONDS:
            raise InputError(
                f"the board waits {self.idle_seconds:g} s before a window; it must be from 0.001 to "
                f"{LONGEST_WINDOW_SECONDS} s"
            )


def measure(
    execute: Execute,
    model: str,
    source: PowerSource,
    plan: Plan | None = None,
    progress: Progress | None = None,
    warm_up_timeout: float | None = None,
) -> EnergyResult:
    """Energy of an inference. `source` is open; the session with the board stays usable.

    execute: `Board.exec` of the board that infers. model: MicroPython expression of its model. warm_up_timeout: seconds
    that the first inference may take. After Ctrl-C the result is of the windows that were complete, and says so
    (`is_partial`); without one, KeyboardInterrupt goes on.
    """
    plan = plan or Plan()
    rounds = BoardRounds(execute, model)
    try:
        rounds.install()
        rounds.use(source.attach(execute, plan.marker_pin))
        pace = rounds.pace(timeout=warm_up_timeout)
        source.start()
        try:
            timed, interrupted = _run(rounds, plan, pace, progress)
        finally:
            source.stop()
    finally:
        rounds.remove()
    return summarize(source.info, source.rounds(timed, interrupted), source.warnings, interrupted)


def _run(rounds: BoardRounds, plan: Plan, pace: Pace, progress: Progress | None) -> tuple[list[TimedRound], bool]:
    """The rounds, and whether Ctrl-C kept it from making all."""
    inferences = plan.inferences or max(1, math.ceil(ENOUGH_SECONDS / pace.board_seconds))
    timed: list[TimedRound] = []
    try:
        for number in range(plan.windows):
            timed.append(rounds.run(plan.idle_seconds, inferences, pace))
            if progress:
                progress(number + 1, plan.windows)
    except KeyboardInterrupt:
        if not timed:
            raise
        return timed, True
    return timed, False
