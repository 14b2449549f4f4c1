"""Plans a network for a goal and a board, and explains what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.blob.contents import GoldenVector
from smidgen.blob.writer import write_blob
from smidgen.board_memory import memory_for_model
from smidgen.boards import BoardDescription
from smidgen.network import Kind, Network, WeightedOperator
from smidgen.plan.band import Band
from smidgen.plan.kernels import GROUP_CHANNELS, PAIRS, STREAMED, KernelPlan
from smidgen.plan.optimize import Budget, Candidate, Chooser, Goal
from smidgen.plan.planner import Plan
from smidgen.plan.weights import Coding

DEFAULT_MEMORY_BYTES = 200_000  # without a board: a Pico's heap less smidgen and a small program
_NOTABLE = 1.5  # times the cycles of the balanced plan


@dataclass(frozen=True)
class OperatorChoice:
    """One operator of a plan. blocks: rounds over tiles of channels or of output rows, 0 without weights. Bytes."""

    index: int
    name: str
    kernel: int
    tile: int
    blocks: int
    coding: str  # "raw", "huffman", "zero runs" or "" without weights
    weight_bytes: int
    scratch_bytes: int
    predicted_cycles: int
    reason: str


@dataclass(frozen=True)
class GoalCost:
    """What a network costs when it is planned for a goal. Bytes; scratch is a part of the arena."""

    goal: str
    predicted_cycles: int
    arena_bytes: int
    scratch_bytes: int
    blob_bytes: int
    fits: bool


@dataclass(frozen=True)
class Explanation:
    """Why a plan is as it is. memory_bytes: what it was made for; blob_in_ram: whether the blob is there too."""

    goal: str
    board: str
    memory_bytes: int
    blob_in_ram: bool
    operators: list[OperatorChoice]
    goals: list[GoalCost]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Optimization:
    """The plans of one network for a board, or for 200,000 bytes without one. coding: of all weights, if not None.

    The blob is kept in the same memory if any plan allows that, else in memory-mapped flash where there is some.
    """

    def __init__(
        self,
        network: Network,
        board: BoardDescription | None,
        golden: Sequence[GoldenVector] = (),
        metadata: dict[str, Any] | None = None,
        coding: Coding | None = None,
    ) -> None:
        self.board = board
        self._golden, self._metadata = golden, metadata
        memory = DEFAULT_MEMORY_BYTES if board is None else memory_for_model(board)
        self._chooser = Chooser(network, Budget(memory), coding)
        smallest = self._chooser.choose(Goal.SIZE)
        with_blob = Budget(memory, self._blob_bytes(smallest) - smallest.weight_bytes)
        has_flash = board is None or (board.flash is not None and board.flash.memory_mapped)
        if with_blob.allows(smallest) or not has_flash:
            self._chooser.budget = with_blob

    def shortage(self, goal: Goal) -> tuple[int, int] | None:
        """Bytes that the plan for a goal takes, and those that there are, where no plan fits; else None."""
        budget = self._chooser.budget
        chosen = self._chooser.choose(goal)
        return None if budget.allows(chosen) else (budget.taken(chosen), budget.ram_bytes)

    def price_of_least_ram(self) -> str | None:
        """What the plan with the least arena costs against the balanced one; None where that is less than half more."""
        least, balanced = self._chooser.choose(Goal.RAM), self._chooser.choose(Goal.BALANCED)
        if least.total_cycles <= _NOTABLE * balanced.total_cycles or not self._chooser.budget.allows(balanced):
            return None
        small, usual = (f"{plan.total_cycles / 1e6:.1f} M cycles" for plan in (least, balanced))
        return (
            f"the least arena, {least.plan.arena_bytes:,} bytes, makes a run take {small}; "
            f"--optimize balanced takes {usual} in {balanced.plan.arena_bytes:,} bytes"
        )

    def plan(self, goal: Goal) -> Plan:
        """The best plan for a goal."""
        return self._chooser.choose(goal).plan

    def explain(self, goal: Goal) -> Explanation:
        """The plan for a goal in detail, and what each goal costs."""
        budget = self._chooser.budget
        chosen = self._chooser.choose(goal)
        return Explanation(
            goal=goal.value,
            board=self.board.name if self.board else "",
            memory_bytes=budget.ram_bytes,
            blob_in_ram=budget.blob_bytes is not None,
            operators=[self._operator(chosen, index) for index in range(len(chosen.plan.network.operators))],
            goals=[self._goal(goal) for goal in Goal],
        )

    def _blob_bytes(self, candidate: Candidate) -> int:
        return len(write_blob(candidate.plan, self._golden, self._metadata))

    def _goal(self, goal: Goal) -> GoalCost:
        candidate = self._chooser.choose(goal)
        return GoalCost(
            goal=goal.value,
            predicted_cycles=round(candidate.total_cycles),
            arena_bytes=candidate.plan.arena_bytes,
            scratch_bytes=candidate.plan.scratch_bytes,
            blob_bytes=self._blob_bytes(candidate),
            fits=self._chooser.budget.allows(candidate),
        )

    def _operator(self, candidate: Candidate, index: int) -> OperatorChoice:
        plan = candidate.plan
        operator, kernel = plan.network.operators[index], plan.kernels.get(index)
        weights = plan.weights.get(index)
        return OperatorChoice(
            index=index,
            name=operator.kind.name,
            kernel=kernel.kernel if kernel else 0,
            tile=kernel.tile if kernel else 0,
            blocks=_blocks(plan, index, kernel) if kernel else 0,
            coding="" if weights is None else weights.coding,
            weight_bytes=self._chooser.weight_bytes(plan, index) if kernel else 0,
            scratch_bytes=kernel.scratch_bytes if kernel else 0,
            predicted_cycles=round(candidate.cycles[index]),
            reason=kernel.reason if kernel else "",
        )


def _blocks(plan: Plan, index: int, kernel: KernelPlan) -> int:
    operator = plan.network.operators[index]
    assert isinstance(operator, WeightedOperator)
    if operator.kind == Kind.FULLY_CONNECTED and kernel.kernel == STREAMED:
        return -(-operator.channels // GROUP_CHANNELS)
    whole = Band.of(plan.network, operator).pairs if kernel.kernel == PAIRS else operator.channels
    return -(-whole // kernel.tile)
