"""What changed from one session to another: `smidgen compare`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.bench.figures import energy_text, milliseconds
from smidgen.bench.saved import SavedSession, read_session
from smidgen.bench.significance import TimeDifference, Verdict, exact_difference, noisy_difference

HEAP_BYTES = 1024  # differences of heap figures up to this come from what the collector happens to keep
ENERGY_FLOOR = 0.01  # differences of energy up to this share are not told from the meter
_ENERGY_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Change:
    """before, after: with their unit. note: what the verdict rests on."""

    what: str
    before: str
    after: str
    share: float | None
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True)
class SessionComparison:
    """All that was compared, changed or not."""

    before: SavedSession
    after: SavedSession
    changes: tuple[Change, ...]

    @property
    def differences(self) -> list[Change]:
        return [change for change in self.changes if change.verdict is Verdict.DIFFERENT]

    @property
    def differs(self) -> bool:
        return bool(self.differences)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "before": str(self.before.path),
            "after": str(self.after.path),
            "partial": [self.before.is_partial, self.after.is_partial],
            "differs": self.differs,
            "changes": [{**asdict(change), "verdict": change.verdict.value} for change in self.changes],
        }


def compare(before: SavedSession, after: SavedSession) -> SessionComparison:
    """Blob, versions, board, latency, operators, memory, energy. Times of different counters are compared as times."""
    changes = [
        _equal(
            what, before.identity[what], after.identity[what], length=16 if len(before.identity[what]) == 64 else None
        )
        for what in before.identity
    ]
    changes.append(_times("latency", before, after, before.ticks, after.ticks))
    changes += _operators(before, after)
    changes += [_bytes(what, before.memory[what], after.memory[what], 0) for what in before.memory]
    if before.heap and after.heap:
        changes += [_bytes(what, before.heap[what], after.heap[what], HEAP_BYTES) for what in before.heap]
    energy = _energy(before, after)
    return SessionComparison(before, after, (*changes, *([energy] if energy else [])))


def _equal(what: str, before: str, after: str, length: int | None = None) -> Change:
    verdict = Verdict.SAME if before == after else Verdict.DIFFERENT
    return Change(what, before[:length], after[:length], None, verdict)


def _bytes(what: str, before: int, after: int, allowed: int) -> Change:
    verdict = Verdict.DIFFERENT if abs(after - before) > allowed else Verdict.SAME
    note = f"up to {allowed:,} B do not count" if allowed else ""
    share = (after - before) / before if before else None
    return Change(what, f"{before:,} B", f"{after:,} B", share, verdict, note)


def _operators(before: SavedSession, after: SavedSession) -> list[Change]:
    if not before.operator_ticks or not after.operator_ticks:
        return []
    if before.names != after.names:
        counts = f"{len(before.names)} operators", f"{len(after.names)} operators"
        return [Change("operators", *counts, None, Verdict.DIFFERENT, "not the same, so their times are not compared")]
    return [
        _times(
            f"operator {index} {name}",
            before,
            after,
            [row[index] for row in before.operator_ticks],
            [row[index] for row in after.operator_ticks],
        )
        for index, name in enumerate(before.names)
    ]


def _times(what: str, before: SavedSession, after: SavedSession, first: list[int], second: list[int]) -> Change:
    if not first or not second:
        shown = f"{len(first)} samples", f"{len(second)} samples"
        return Change(what, *shown, None, Verdict.UNKNOWN, "not measured in both sessions")
    same_clock = before.counter == after.counter and before.hertz == after.hertz
    unit = before.hertz / 1e6  # ticks a microsecond
    if before.is_exact and after.is_exact and same_clock:
        difference = exact_difference(first, second)
        note = "exact counter: more than one tick counts"
    else:
        scaled = [ticks * before.hertz / after.hertz for ticks in second]
        difference = noisy_difference(first, scaled, before.is_shared or after.is_shared)
        note = _note(difference)
    shown = milliseconds(difference.before / unit), milliseconds(difference.after / unit)
    return Change(what, *shown, difference.share, difference.verdict, note)


def _note(difference: TimeDifference) -> str:
    if difference.verdict is Verdict.UNKNOWN:
        return "too few samples to know their noise: take more (-n)"
    if not difference.before:
        return ""
    percent = 100 * difference.least_visible / difference.before
    return f"counts from {percent:.2g} % on" if percent < 10 else f"counts from {percent:.0f} % on"


def _energy(before: SavedSession, after: SavedSession) -> Change | None:
    if before.joules is None or after.joules is None:
        return None
    shown = energy_text(before.joules), energy_text(after.joules)
    if before.energy_is_estimate != after.energy_is_estimate:
        note = "one is an estimate, the other was measured: not compared"
        return Change("energy", *shown, None, Verdict.UNKNOWN, note)
    noise = _ENERGY_DEVIATIONS * math.hypot(before.energy_spread, after.energy_spread)
    visible = max(noise, ENERGY_FLOOR)
    share = (after.joules - before.joules) / before.joules if before.joules else 0.0
    verdict = Verdict.DIFFERENT if abs(share) > visible else Verdict.SAME
    return Change("energy", *shown, share, verdict, f"counts from {100 * visible:.2g} % on")


__all__ = ["Change", "SessionComparison", "compare", "read_session"]
