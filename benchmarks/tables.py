"""Tables of cycles."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from benchmarks.baseline import change
from benchmarks.measure import ModelCycles
from benchmarks.published import NOTHING, PUBLISHED
from rich.console import Console
from rich.table import Table

MILLION = 1_000_000
WIDTH = 132  # where the output is not a terminal


def console(stderr: bool) -> Console:
    """Wide enough for the tables where nobody's terminal says otherwise."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def layers_table(results: list[ModelCycles], baseline: dict[str, int]) -> Table:
    """One row for each single layer. baseline: cycles by layer."""
    table = _table("Single layers, bare, Cortex-M0+ cycles", "layer")
    _numbers(table, "MACs", "cycles", "per MAC", "per output", "decoding per weight", "change")
    for result in results:
        (operator,) = result.operators
        table.add_row(
            result.name,
            _count(operator.macs),
            f"{operator.cycles:,}",
            _decimal(operator.cycles_per_mac),
            _decimal(operator.cycles / int(np.prod(operator.output_shape))),
            _decimal(operator.decoding_per_weight),
            _percent(change(operator.cycles, baseline.get(result.name))),
        )
    return table


def operators_table(result: ModelCycles, board_microseconds: list[int] | None = None) -> Table:
    """One row for each operator of a network, and the sum. board_microseconds: what Model.profile() said, if it ran."""
    table = Table(title=f"{result.name}, bare, Cortex-M0+ cycles", show_footer=True)
    table.add_column("#", justify="right")
    table.add_column("operator", footer="sum", no_wrap=True)
    table.add_column("output", no_wrap=True)
    footers = {
        "MACs": _count(result.macs),
        "cycles": f"{result.cycles:,}",
        "per MAC": _decimal(result.cycles_per_mac),
        "of all": "",
        "decoding": _count(result.decoding_cycles),
        "per weight": "",
    }
    for column, footer in footers.items():
        table.add_column(column, justify="right", footer=footer, no_wrap=True)
    if board_microseconds:
        table.add_column("sim:pico, us", justify="right", footer=f"{sum(board_microseconds):,}", no_wrap=True)
    for number, operator in enumerate(result.operators):
        table.add_row(
            str(operator.index),
            operator.kind,
            "x".join(map(str, operator.output_shape)),
            _count(operator.macs),
            f"{operator.cycles:,}",
            _decimal(operator.cycles_per_mac),
            f"{operator.cycles / result.cycles:.1%}",
            _count(operator.decoding),
            _decimal(operator.decoding_per_weight),
            *([f"{board_microseconds[number]:,}"] if board_microseconds else []),
        )
    return table


def predicted_networks_table(document: dict[str, Any]) -> Table:
    """What the cost model says of whole networks, before they run, and what they take."""
    table = _table("Predicted and measured, Cortex-M0+, millions of cycles", "model")
    _numbers(table, "predicted, bare", "measured", "difference", "predicted, sim:pico", "measured", "difference")
    for name, model in document["models"].items():
        cells = []
        for place in ("bare", "board"):
            predicted, measured = model[f"predicted_{place}_cycles"], model[f"{place}_cycles"]
            difference = f"{predicted / measured - 1:+.1%}" if measured else ""
            cells += [_millions(predicted), _millions(measured), difference]
        table.add_row(name, *cells)
    return table


def predictions_table(sums: dict[str, tuple[float, float]]) -> Table:
    """What the cost model says, and what was measured, in cycles, by network or layer."""
    table = _table("Predicted and measured, bare, Cortex-M0+ cycles", "network or layer")
    _numbers(table, "predicted", "measured", "difference")
    for name, (predicted, measured) in sums.items():
        table.add_row(name, f"{predicted:,.0f}", f"{measured:,.0f}", f"{predicted / measured - 1:+.1%}")
    return table


def functions_table(result: ModelCycles) -> Table:
    """Cycles by function, over all operators that were run; functions with less than 0.1 % are left out."""
    spent: Counter[str] = Counter()
    for operator in result.operators:
        spent.update(operator.functions)
    table = _table(f"{result.name}, cycles by function", "function")
    _numbers(table, "cycles", "of all")
    for function, cycles in spent.most_common():
        if cycles >= result.cycles / 1000:
            table.add_row(function, f"{cycles:,}", f"{cycles / result.cycles:.1%}")
    return table


def models_table(document: dict[str, Any], baseline: dict[str, Any]) -> Table:
    """Whole networks: millions of cycles on sim:pico and bare, beside the best published figure, and bytes.

    document: that of benchmarks.cycles. baseline: its figures by model.
    """
    table = _table("Whole networks, Cortex-M0+, millions of cycles", "model")
    _numbers(table, "MACs", "sim:pico", "per MAC", "change", "bare", "change", "published", "ratio")
    for name, model in document["models"].items():
        before = baseline.get(name, {})
        published = PUBLISHED.get(name, NOTHING)
        best = model["board_cycles"] if model["board_cycles"] is not None else model["bare_cycles"]
        table.add_row(
            name,
            _millions(model["macs"]),
            _millions(model["board_cycles"]),
            _decimal(model["cycles_per_mac"]),
            _percent(change(model["board_cycles"], before.get("board_cycles"))),
            _millions(model["bare_cycles"]),
            _percent(change(model["bare_cycles"], before.get("bare_cycles"))),
            _millions(published.cycles),
            f"{best / published.cycles:.2f}" if published.cycles else "",
        )
    return table


def instructions_table(document: dict[str, Any], baseline: dict[str, Any]) -> Table:
    """Millions of instructions of one inference on other architectures, and the change."""
    archs = list(dict.fromkeys(arch for model in document["models"].values() for arch in model["instructions"]))
    table = _table("Whole networks on other architectures, millions of instructions (not cycles)", "model")
    for arch in archs:
        _numbers(table, arch, "per MAC", "change")
    for name, model in document["models"].items():
        cells = []
        for arch in archs:
            count, before = model["instructions"].get(arch), baseline.get(name, {}).get("instructions", {}).get(arch)
            per_mac = count / model["macs"] if count else None
            cells += [_millions(count), _decimal(per_mac), _percent(change(count, before))]
        table.add_row(name, *cells)
    return table


def memory_table(document: dict[str, Any]) -> Table:
    """What each network takes on the board, in bytes."""
    table = _table("Memory, bytes", "model")
    _numbers(table, "arena", "TFLM's arena", "of which scratch", "blob", "raw weights", "bits per weight", "stack")
    _numbers(table, "heap taken")
    table.add_column("blob in")
    for name, model in document["models"].items():
        table.add_row(
            name,
            _count(model["arena_bytes"]),
            _count(PUBLISHED.get(name, NOTHING).tflm_arena_bytes),
            _count(model["scratch_bytes"]),
            _count(model["blob_bytes"]),
            _count(model["weights"]),
            _decimal(model["bits_per_weight"]),
            _count(model["stack_bytes"]),
            _count(model["heap_bytes"]),
            {None: "", True: "RAM", False: "flash"}[model["blob_in_ram"]],
        )
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title)
    table.add_column(first, no_wrap=True)
    return table


def _numbers(table: Table, *columns: str) -> None:
    for column in columns:
        table.add_column(column, justify="right")


def _count(value: int | None) -> str:
    return f"{value:,}" if value else ""


def _millions(value: int | None) -> str:
    return f"{value / MILLION:.2f}" if value is not None else ""


def _decimal(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else ""


def _percent(value: float | None) -> str:
    """A change; nothing where there is none to speak of."""
    return f"{value:+.1%}" if value is not None and abs(value) >= 0.0005 else ""
