"""Prints how large the native modules are that were built: as a Markdown table, or with --json.

    boards/natmod_sizes.py [--json] [FOLDER]

FOLDER, by default .cache/natmod, holds <arch>/smidgen.mpy with link.txt and compiler.txt beside it, as
boards/build_natmod.sh leaves them. All sizes are bytes. Text, rodata and bss lie in the board's RAM; the file also
holds the Python of smidgen.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".cache" / "natmod"
ORDER = ("x64", "armv6m", "armv7m", "armv7emsp", "rv32imc", "xtensawin")


@dataclass(frozen=True)
class Sizes:
    """Of one module, in bytes. rodata is 0 where MicroPython's linker puts constants into the text."""

    arch: str
    text: int
    rodata: int
    bss: int
    file: int
    compiler: str

    @property
    def ram(self) -> int:
        """What the native code occupies on a board, besides its Python and one pointer for each GOT entry."""
        return self.text + self.rodata + self.bss


def read_sizes(folder: Path) -> list[Sizes]:
    """Of every module in the folder. Raises OSError or ValueError where the linker's report is missing or unknown."""
    files = {path.parent.name: path for path in folder.glob("*/smidgen.mpy")}
    order = [*(arch for arch in ORDER if arch in files), *sorted(files.keys() - set(ORDER))]
    return [_read(arch, files[arch]) for arch in order]


def _read(arch: str, path: Path) -> Sizes:
    report = path.with_name("link.txt").read_text()
    found = {name: int(size) for name, size in re.findall(r"^(text|rodata|bss) size: +(\d+)$", report, re.MULTILINE)}
    if "text" not in found:
        raise ValueError(f"{path.with_name('link.txt')} does not tell the size of the text")
    compiler = path.with_name("compiler.txt").read_text().strip()
    return Sizes(arch, found["text"], found.get("rodata", 0), found.get("bss", 0), path.stat().st_size, compiler)


def table(modules: list[Sizes]) -> str:
    """In Markdown; a dash for constants that are part of the text."""
    rows = [("arch", "text", "rodata", "bss", "RAM", "file", "compiler")]
    for sizes in modules:
        rodata = f"{sizes.rodata:,}" if sizes.rodata else "-"
        numbers = (f"{sizes.text:,}", rodata, f"{sizes.bss:,}", f"{sizes.ram:,}", f"{sizes.file:,}")
        rows.append((sizes.arch, *numbers, sizes.compiler))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * widths[-1]]
    return "\n".join(_line(row, widths) for row in (rows[0], rule, *rows[1:]))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    numbers = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
    return "| " + " | ".join([row[0].ljust(widths[0]), *numbers, row[-1].ljust(widths[-1])]) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Sizes of the native modules that were built, in bytes.")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="default: .cache/natmod of the checkout")
    arguments = parser.parse_args()
    try:
        modules = read_sizes(arguments.folder)
    except (OSError, ValueError) as error:
        print(f"natmod_sizes: {error}; build it again with 'make natmod'", file=sys.stderr)
        return 1
    if not modules:
        print(f"natmod_sizes: there is no module in {arguments.folder}: run 'make natmod' first", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps([asdict(sizes) | {"ram": sizes.ram} for sizes in modules], indent=2))
    else:
        print(table(modules))
    return 0


if __name__ == "__main__":
    sys.exit(main())
