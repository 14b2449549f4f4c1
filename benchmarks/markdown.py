"""Writes the tables of docs/performance.md from a document of benchmarks.cycles.

    make bench BENCH='--output figures.json' && .venv/bin/python -m benchmarks.markdown figures.json

A table stands between the lines `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Rows = Iterable[list[str]]


def _agreement(document: dict[str, Any]) -> str:
    head = ["", "operators", "bare", "linkage", "sim:pico", "MicroPython adds", "of all"]
    rows = []
    for name, model in document["models"].items():
        bare, linkage, board = model["bare_cycles"], model["linkage_cycles"], model["board_cycles"]
        added = board - (bare - linkage)
        cells = [len(model["operators"]), bare, linkage, board, added]
        rows.append([name, *map(_count, cells), f"{added / board:.2%}"])
    return _table(head, rows)


def _cycles(document: dict[str, Any]) -> str:
    rows = []
    for name, model in document["models"].items():
        board, best = model["board_cycles"], model["published"]["cycles"]
        cells = [_millions(model["macs"]), _millions(board), f"{model['cycles_per_mac']:.1f}"]
        ratio = f"{board / best:.2f}" if best else ""
        rows.append([name, *cells, _millions(model["bare_cycles"]), _millions(best), ratio])
    return _table(["", "MACs", "sim:pico", "per MAC", "bare", "HALE", "ratio"], rows)


def _shares(document: dict[str, Any]) -> str:
    rows = []
    for name, model in document["models"].items():
        spent = dict.fromkeys((*_KINDS, "others"), 0)
        for operator in model["operators"]:
            kind = operator["kind"] if operator["kind"] in spent else "others"
            spent[kind] += operator["bare_cycles"] - operator["decoding_cycles"]
        decoding = model["decoding_cycles"]
        shares = [f"{cycles / model['bare_cycles']:.0%}" for cycles in (decoding, *spent.values())]
        rows.append([name, *shares, f"{decoding / model['weights']:.0f}"])
    return _table(["", "decoding", *_KINDS, "other operators", "decoding, cycles per weight"], rows)


def _memory(document: dict[str, Any]) -> str:
    rows = []
    for name, model in document["models"].items():
        sizes = [model["arena_bytes"], model["published"]["tflm_arena_bytes"], model["scratch_bytes"]]
        sizes += [model["blob_bytes"], model["heap_bytes"], model["stack_bytes"]]
        rows.append([name, *map(_count, sizes), "RAM" if model["blob_in_ram"] else "flash"])
    return _table(["", "arena", "TFLM's arena", "of which scratch", "blob", "heap taken", "stack", "blob in"], rows)


def _module(document: dict[str, Any]) -> str:
    module = document["module"]
    names = ("text", "rodata", "bss", "file", "heap", "free_heap")
    head = ["", "text", "rodata", "bss", "file", "heap taken by the import", "heap before it"]
    return _table(head, [["smidgen.mpy, armv6m", *(_count(module[f"{name}_bytes"]) for name in names)]])


def _instructions(document: dict[str, Any]) -> str:
    archs = list(dict.fromkeys(arch for model in document["models"].values() for arch in model["instructions"]))
    rows = []
    for name, model in document["models"].items():
        cells = [name]
        for arch in archs:
            count = model["instructions"].get(arch)
            cells += [_millions(count), f"{count / model['macs']:.1f}" if count else ""]
        rows.append(cells)
    return _table(["", *(title for arch in archs for title in (arch, "per MAC"))], rows)


def _layers(document: dict[str, Any]) -> str:
    rows = []
    for name, layer in document["layers"].items():
        ratios = [layer["cycles_per_mac"], layer["decoding_per_weight"]]
        texts = [f"{ratio:.2f}" if ratio is not None else "" for ratio in ratios]
        rows.append([name, _count(layer["macs"]), _count(layer["cycles"]), *texts])
    return _table(["", "MACs", "cycles", "per MAC", "decoding, cycles per weight"], rows)


def _predictions(document: dict[str, Any]) -> str:
    rows = []
    for name, model in document["models"].items():
        cells = [name]
        for place in ("bare", "board"):
            predicted, measured = model[f"predicted_{place}_cycles"], model[f"{place}_cycles"]
            difference = f"{predicted / measured - 1:+.1%}" if measured else ""
            cells += [_count(predicted), _count(measured), difference]
        rows.append(cells)
    return _table(
        ["", "predicted, bare", "measured", "difference", "predicted, sim:pico", "measured", "difference"], rows
    )


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "agreement": _agreement,
    "cycles": _cycles,
    "predictions": _predictions,
    "shares": _shares,
    "memory": _memory,
    "module": _module,
    "instructions": _instructions,
    "layers": _layers,
}


def fill_tables(text: str, document: dict[str, Any]) -> str:
    """The text with every table made anew. KeyError for a table that does not exist."""
    return _PLACE.sub(lambda match: f"{match[1]}{TABLES[match[2]](document)}\n{match[3]}", text)


def _table(head: list[str], rows: Rows) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _count(value: int | None) -> str:
    return f"{value:,}" if value is not None else ""


def _millions(value: int | None) -> str:
    return f"{value / 1_000_000:.2f}" if value is not None else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.markdown", description=f"Tables of {PATH.name}.")
    parser.add_argument("figures", type=Path, help="what benchmarks.cycles wrote with --output")
    arguments = parser.parse_args()
    document = json.loads(arguments.figures.read_text("utf-8"))
    if any(model["board_cycles"] is None for model in document["models"].values()):
        print(f"{arguments.figures} was measured with --bare: the tables need sim:pico as well", file=sys.stderr)
        return 1
    PATH.write_text(fill_tables(PATH.read_text("utf-8"), document), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
