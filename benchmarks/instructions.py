"""Instructions a network takes on other architectures, on MicroPython's firmware under QEMU.

QEMU knows no cycles. But it can count: with `-icount shift=0` the board's clock advances by one nanosecond with
every instruction, so ticks_us counts thousands of instructions, the same in every run. These figures are for
orientation: they show whether a change that helps one architecture hurts another.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.board_run import BoardRun, Place, run_on
from benchmarks.models import BenchmarkModel

from smidgen.link import natmod
from smidgen.link.virtual.qemu import (
    VirtualCortexM3Board,
    VirtualCortexM4Board,
    VirtualQemuBoard,
    VirtualRiscvBoard,
)

INSTRUCTIONS_PER_MICROSECOND = 1000
_COUNTING = ("-icount", "shift=0")
_ALIGNMENT = 16


def _counting(board: type[VirtualQemuBoard]) -> type[VirtualQemuBoard]:
    return type(f"Counting{board.__name__}", (board,), {"_machine": (*board._machine, *_COUNTING)})


BOARDS = {
    "armv7m": _counting(VirtualCortexM3Board),
    "armv7emsp": _counting(VirtualCortexM4Board),
    "rv32imc": _counting(VirtualRiscvBoard),
}


def count_instructions(model: BenchmarkModel, arch: str) -> int:
    """Of one inference, to the next thousand. Raises what `run_counting` raises."""
    return instructions(run_counting(model, arch))


def instructions(run: BoardRun) -> int:
    """What a run by `run_counting` took."""
    return run.microseconds * INSTRUCTIONS_PER_MICROSECOND


def run_counting(model: BenchmarkModel, arch: str) -> BoardRun:
    """One inference on one of BOARDS. The data lie where a ROMFS image would.

    Raises WrongOutput; BoardError when the firmware is not built, QEMU is missing or the board fails; InputError when
    smidgen.mpy is not built for this architecture.
    """
    board = BOARDS[arch]
    content = bytearray()

    def add(data: bytes) -> Place:
        start = board._romfs_address + len(content)
        content.extend(data + bytes(-len(data) % _ALIGNMENT))
        return start, len(data)

    module = add(natmod.find(arch).read_bytes())
    blob = add(model.data)
    inputs = [add(data.tobytes()) for data in model.inputs]
    with tempfile.TemporaryDirectory(prefix="smidgen-bench-") as folder:
        path = Path(folder) / "memory"
        path.write_bytes(content)
        return run_on(board(romfs=path), model, module, blob, inputs, profile=False)
