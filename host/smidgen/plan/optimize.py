"""Chooses a plan for a goal: how the weights of each operator are stored, and how much working memory operators get.

The cost model says what each plan costs before it is run. Plans are compared by three numbers: cycles of one inference,
bytes of RAM (the arena, which holds tensors and scratch), and bytes of weights in the blob.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from smidgen.huffman import CodeTable
from smidgen.network import Network, WeightedOperator
from smidgen.plan.cost import cost_model
from smidgen.plan.execution import Execution, executions
from smidgen.plan.planner import Plan, plan_prepared, prepare
from smidgen.plan.weights import Coding, WeightPlan, coded_symbol_counts, plan_weights


class Goal(str, Enum):
    """What a plan is chosen for."""

    SPEED = "speed"  # the fewest cycles that the RAM allows
    RAM = "ram"  # the smallest arena
    SIZE = "size"  # the smallest blob
    BALANCED = "balanced"  # the best of cycles, RAM and blob together


CYCLES_PER_BLOB_BYTE = 300  # what a byte of weights must save to be spent by BALANCED
# What one percent more RAM must save, in percent of cycles and blob together, to be spent by BALANCED.
RAM_WEIGHT = 0.85
SMALL_RAM_WEIGHT = 0.05  # of the first SMALL_RAM_BYTES, which every board has
SMALL_RAM_BYTES = 12_000

_COARSE, _FINE = 1.1, 1.02  # from one limit that is tried to the next
_UNLIMITED = 1 << 20

_Stored = tuple[frozenset[int], frozenset[int]]  # operators with raw weights, and those without zero runs


@dataclass(frozen=True)
class Budget:
    """RAM for the arena and what else is kept there, in bytes.

    blob_bytes: of the blob without its weights, if the blob is kept in RAM too; None if it stays in flash.
    """

    ram_bytes: int
    blob_bytes: int | None = None

    def taken(self, candidate: Candidate) -> int:
        """Bytes of this RAM that a plan takes."""
        blob = 0 if self.blob_bytes is None else self.blob_bytes + candidate.weight_bytes
        return candidate.ram_bytes + blob

    def allows(self, candidate: Candidate) -> bool:
        return self.taken(candidate) <= self.ram_bytes


@dataclass(frozen=True)
class Candidate:
    """A plan and what it costs. cycles: of every operator; weight_bytes: of weights with code tables."""

    plan: Plan
    cycles: list[float]
    weight_bytes: int

    @property
    def ram_bytes(self) -> int:
        return self.plan.arena_bytes

    @property
    def total_cycles(self) -> float:
        return sum(self.cycles)


def choose_plan(network: Network, goal: Goal, budget: Budget) -> Candidate:
    """The best plan for a goal; where no plan is within the budget, the one that takes the least RAM."""
    return Chooser(network, budget).choose(goal)


@dataclass
class Chooser:
    """Compares plans of one network, for several goals. `budget` may be changed.

    coding: of all weights; None: what is best for a goal.
    """

    network: Network
    budget: Budget
    coding: Coding | None = None
    _costs: dict[tuple[int, int, int, int, int, bytes], float] = field(default_factory=dict)
    _weights: dict[_Stored, tuple[dict[int, WeightPlan], list[CodeTable]]] = field(default_factory=dict)
    _candidates: dict[tuple[int, _Stored], Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network = prepare(self.network)
        self._weighted = frozenset(
            index for index, operator in enumerate(self.network.operators) if isinstance(operator, WeightedOperator)
        )

    def choose(self, goal: Goal) -> Candidate:
        """The best plan for a goal among those that were tried."""
        candidates = self._tried(goal)
        allowed = [candidate for candidate in candidates if self.budget.allows(candidate)]
        if not allowed:
            return min(candidates, key=lambda candidate: (self.budget.taken(candidate), candidate.total_cycles))
        return min(allowed, key=lambda candidate: _rank(goal, candidate))

    def _tried(self, goal: Goal) -> list[Candidate]:
        """Plans with many limits, as coded as possible and raw where it pays; finer round the best ones."""
        limits = self._limits()
        candidates = [candidate for limit in limits for candidate in self._with_limit(goal, limit)]
        best = min(candidates, key=lambda candidate: (not self.budget.allows(candidate), _rank(goal, candidate)))
        finer = [int(best.ram_bytes * _FINE**step) for step in range(-4, 5)]
        return candidates + [candidate for limit in finer for candidate in self._with_limit(goal, limit)]

    def _limits(self) -> list[int]:
        """Of arenas, from the least to what is enough for everything."""
        start = self._candidate(0).ram_bytes
        end = self._candidate(_UNLIMITED).ram_bytes
        count = math.ceil(math.log(end / start) / math.log(_COARSE)) if 0 < start < end else 0
        return [0, *(int(start * (end / start) ** (step / count)) for step in range(count)), end]

    def _with_limit(self, goal: Goal, limit: int) -> Iterable[Candidate]:
        coded = self._candidate(limit)
        yield coded
        if goal is Goal.SIZE or self.coding is not None:
            return
        price = 0 if goal in (Goal.SPEED, Goal.RAM) else CYCLES_PER_BLOB_BYTE
        plain: frozenset[int] = frozenset()  # without zero runs
        if any(weight.zero_runs for weight in coded.plan.weights.values()):
            plain = self._that_pay(coded, self._candidate(limit, plain=self._weighted), price)
            coded = self._candidate(limit, plain=plain)
            yield coded
        raw = self._candidate(limit, self._weighted)
        yield raw
        yield self._candidate(limit, self._that_pay(coded, raw, price), plain)

    def _that_pay(self, smaller: Candidate, faster: Candidate, price: float) -> frozenset[int]:
        """The operators whose weights, stored as in `faster`, save enough cycles for the bytes they take."""
        pay = set()
        for index in self._weighted:
            more = self.weight_bytes(faster.plan, index) - self.weight_bytes(smaller.plan, index)
            if smaller.cycles[index] - faster.cycles[index] > price * more:
                pay.add(index)
        return frozenset(pay)

    def _candidate(
        self, limit: int, raw: frozenset[int] = frozenset(), plain: frozenset[int] = frozenset()
    ) -> Candidate:
        """raw, plain: operators whose weights are stored raw, or coded without zero runs."""
        stored = raw, plain
        if (limit, stored) not in self._candidates:
            if stored not in self._weights:
                self._weights[stored] = plan_weights(
                    self.network, self.coding or "smallest", raw, without_zero_runs=plain
                )
            plan = plan_prepared(self.network, *self._weights[stored], limit)
            size = sum(self.weight_bytes(plan, index) for index in self._weighted)
            used = {weight.table for weight in plan.weights.values()} - {None}
            size += sum(plan.code_tables[table].table_bytes for table in used if table is not None)
            self._candidates[limit, stored] = Candidate(plan, self._cycles(plan), size)
        return self._candidates[limit, stored]

    def _cycles(self, plan: Plan) -> list[float]:
        ways = executions(plan.kernels, plan.weights, plan.code_tables)
        return [self._operator_cycles(index, ways.get(index)) for index in range(len(self.network.operators))]

    def _operator_cycles(self, index: int, execution: Execution | None) -> float:
        if execution is None:
            return cost_model().operator(self.network, index, None)
        table = b"" if execution.table is None else execution.table.lengths.tobytes()
        key = index, execution.kernel, execution.tile, execution.workspace_bytes, execution.zero_runs, table
        if key not in self._costs:
            self._costs[key] = cost_model().operator(self.network, index, execution)
        return self._costs[key]

    def weight_bytes(self, plan: Plan, index: int) -> int:
        """Bytes of the weights of an operator in a blob, without the code table."""
        operator, number = self.network.operators[index], plan.weights[index].table
        assert isinstance(operator, WeightedOperator)
        if number is None:
            return int(operator.weights.size)
        weights = plan.weights[index]
        bits = plan.code_tables[number].coded_bits(coded_symbol_counts(operator.weights, weights.zero_runs))
        assert bits is not None
        return -(-(bits + weights.run_bits) // 8)


def balanced_score(candidate: Candidate) -> float:
    """What BALANCED makes small: cycles and blob, in cycles, times powers of the RAM."""
    ram: float = max(candidate.ram_bytes, SMALL_RAM_BYTES) ** RAM_WEIGHT
    small_ram: float = max(min(candidate.ram_bytes, SMALL_RAM_BYTES), 1) ** SMALL_RAM_WEIGHT
    return (candidate.total_cycles + CYCLES_PER_BLOB_BYTE * candidate.weight_bytes) * ram * small_ram


def _rank(goal: Goal, candidate: Candidate) -> tuple[float, ...]:
    """Smaller is better."""
    match goal:
        case Goal.SPEED:
            return candidate.total_cycles, candidate.ram_bytes, candidate.weight_bytes
        case Goal.RAM:
            return candidate.ram_bytes, candidate.total_cycles, candidate.weight_bytes
        case Goal.SIZE:
            return candidate.weight_bytes, balanced_score(candidate)
        case Goal.BALANCED:
            return (balanced_score(candidate),)
