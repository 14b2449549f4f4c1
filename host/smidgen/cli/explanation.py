"""Why a plan is as it is, as tables."""

from __future__ import annotations

from rich.table import Table

from smidgen.cli.output import bytes_text, results
from smidgen.cli.tables import make_table
from smidgen.optimization import Explanation, GoalCost, OperatorChoice


def print_explanation(explanation: Explanation) -> None:
    """One row for each operator, one sentence for why each kernel, and one row for each goal."""
    results.print(_operators(explanation.operators))
    for row in explanation.operators:
        if row.reason:
            results.print(f"{row.index:>3} {row.name}: {row.reason}", soft_wrap=True)
    place = "with the blob" if explanation.blob_in_ram else "the blob in flash"
    board = f" of {explanation.board}" if explanation.board else ""
    results.print(f"\nplanned for {bytes_text(explanation.memory_bytes)} of RAM{board}, {place}", soft_wrap=True)
    results.print(_goals(explanation.goals, explanation.goal))


def _operators(rows: list[OperatorChoice]) -> Table:
    table = make_table(
        "Plan",
        [("#", True), ("operator", False), ("kernel", True), ("tile", True), ("blocks", True), ("coding", False),
         ("cycles", True), ("scratch", True), ("weights", True)],
    )  # fmt: skip
    for row in rows:
        weighted = [str(row.tile), str(row.blocks), row.coding] if row.blocks else ["", "", ""]
        table.add_row(
            str(row.index), row.name, str(row.kernel) if row.blocks else "", *weighted, f"{row.predicted_cycles:,}",
            f"{row.scratch_bytes:,}" if row.blocks else "", f"{row.weight_bytes:,}" if row.blocks else "",
        )  # fmt: skip
    table.add_section()
    table.add_row("", "all", "", "", "", "", f"{sum(row.predicted_cycles for row in rows):,}", "", "")
    return table


def _goals(goals: list[GoalCost], chosen: str) -> Table:
    table = make_table(
        "What each goal costs",
        [("--optimize", False), ("cycles", True), ("arena", True), ("of it scratch", True), ("blob", True),
         ("fits", False), ("", False)],
    )  # fmt: skip
    for row in goals:
        table.add_row(
            row.goal, f"{row.predicted_cycles:,}", bytes_text(row.arena_bytes), bytes_text(row.scratch_bytes),
            bytes_text(row.blob_bytes), "yes" if row.fits else "no", "chosen" if row.goal == chosen else "",
        )  # fmt: skip
    return table
