"""The instructions of a function with the cycles that each of them took."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bare_image import COMPILER, ORIGIN, BuildError, Image
from benchmarks.measure import ModelCycles

_DISASSEMBLER = COMPILER.replace("gcc", "objdump")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*)$")  # address, opcode, text


def listing(result: ModelCycles, image: Image, function: str) -> Iterator[str]:
    """Lines "cycles address instruction"; what was never executed has no cycles. Raises BuildError."""
    if function not in image.functions:
        raise BuildError(f"there is no function {function}; there are: {', '.join(sorted(image.functions))}")
    spent: Counter[int] = Counter()
    for operator in result.operators:
        spent.update(operator.cycles_at)
    start = image.functions[function]
    end = min((other for other in image.functions.values() if other > start), default=ORIGIN + len(image.data))
    for line in _disassemble(image, start, end).splitlines():
        if match := _INSTRUCTION.match(line):
            address = int(match[1], 16)
            cycles = f"{spent[address]:,}" if spent[address] else ""
            yield f"{cycles:>14}  {address:08x}  {match[3]}".expandtabs()


def _disassemble(image: Image, start: int, end: int) -> str:
    with tempfile.TemporaryDirectory(prefix="smidgen-bare-") as folder:
        program = Path(folder) / "image.bin"
        program.write_bytes(image.data)
        options = ["-D", "-b", "binary", "-m", "arm", "-M", "force-thumb", f"--adjust-vma={ORIGIN:#x}"]
        limits = [f"--start-address={start:#x}", f"--stop-address={end:#x}"]
        result = subprocess.run(
            [_DISASSEMBLER, *options, *limits, str(program)], capture_output=True, text=True, check=False
        )
    if result.returncode != 0:
        raise BuildError(f"{_DISASSEMBLER}: {result.stderr}")
    return result.stdout
