"""Benchmark sessions on boards, and what changed from one to another. docs/benchmarking.md says what figures mean.

session = bench("kws.smg", "/dev/ttyACM0", BenchPlan(inferences=100, profile_rounds=10))
print(session.folder / "report.html", compare(read_session("sessions/before"), read_session(session.folder)).differs)
"""

from __future__ import annotations

from smidgen.bench.bench import BenchSession, bench
from smidgen.bench.compare import Change, SessionComparison, compare, read_session
from smidgen.bench.plan import DEFAULT_INFERENCES, BenchPlan, PowerPlan
from smidgen.bench.results import BenchResult

__all__ = [
    "DEFAULT_INFERENCES",
    "BenchPlan",
    "BenchResult",
    "BenchSession",
    "Change",
    "PowerPlan",
    "SessionComparison",
    "bench",
    "compare",
    "read_session",
]
