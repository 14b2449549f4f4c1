"""Whether a model fits on a board and how fast it will be there, before anything is uploaded.

    report = fit_model("kws.tflite", load_boards())

Memory follows from the blob, to the byte, and from what the module took on virtual boards. Latency on an RP2040 is
that of the cost model (plan/cost.py). On other chips it is a projection, which says from what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smidgen.blob.contents import Blob
from smidgen.blob.execution import blob_executions
from smidgen.blob.reader import read_blob_file
from smidgen.board_memory import module_memory, usable_heap
from smidgen.boards import BoardDescription, Evidence
from smidgen.errors import InputError
from smidgen.formats.reader import READERS, read_model
from smidgen.packer import pack
from smidgen.plan.cost import CYCLES, architectures, cost_model
from smidgen.plan.execution import Execution

ASSUMED_CYCLES_PER_INSTRUCTION = 1.5  # on every core whose instructions, but not cycles, are known
STAND_INS = {"xtensawin": "rv32imc"}  # architectures that QEMU does not run with MicroPython, and what is taken instead

HEAP, FLASH = "heap", "flash"


@dataclass(frozen=True)
class Latency:
    """Of one inference. is_projection: not from a model of this chip. basis: for people, what the figure comes from."""

    milliseconds: float
    is_projection: bool
    basis: str


@dataclass(frozen=True)
class BoardFit:
    """Sizes in bytes. heap_needed: with the blob where `blob_in` says, in the heap if it fits nowhere.

    blob_in: "heap", "flash" (memory-mapped) or None if the model does not fit. advice: what to do, or how it fits.
    """

    board: str
    chip: str
    blob_in: str | None
    heap_needed: int
    heap_available: int
    heap_is_estimate: bool
    module_heap_bytes: int
    flash_needed: int
    flash_available: int | None
    latency: Latency | None
    advice: str

    @property
    def fits(self) -> bool:
        return self.blob_in is not None


@dataclass(frozen=True)
class FitReport:
    """What a model needs everywhere, in bytes, and how it does on each board. scratch_bytes are part of the arena."""

    name: str
    blob_bytes: int
    arena_bytes: int
    scratch_bytes: int
    macs: int
    boards: list[BoardFit]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document = asdict(self)
        for row, board in zip(document["boards"], self.boards, strict=True):
            row["fits"] = board.fits
        return document


def fit_model(path: str | Path, boards: Sequence[BoardDescription]) -> FitReport:
    """The report on a .smg file, or on the blob that an int8 model file is packed to by default.

    Raises InputError (for a float model too, which must be packed first), ModelError or BlobError.
    """
    blob = _blob(Path(path))
    executions = blob_executions(blob)
    network = blob.network
    return FitReport(
        name=str(blob.metadata.get("name", Path(path).stem)),
        blob_bytes=blob.blob_bytes,
        arena_bytes=blob.arena_bytes,
        scratch_bytes=blob.scratch_bytes,
        macs=sum(network.macs(operator) for operator in network.operators),
        boards=[fit_board(blob, executions, board) for board in boards],
    )


def fit_board(blob: Blob, executions: Mapping[int, Execution], board: BoardDescription) -> BoardFit:
    """How a blob does on one board."""
    module = module_memory(board.natmod)
    working = module.heap + module.objects + blob.arena_bytes
    available = usable_heap(board)
    flash = board.flash
    flash_needed = module.file + blob.blob_bytes
    flash_short = flash is not None and flash_needed > flash.bytes
    if flash_short:
        place = None
    elif working + blob.blob_bytes <= available:
        place = HEAP
    else:
        place = FLASH if working <= available and flash is not None and flash.memory_mapped else None
    needed = working if place == FLASH else working + blob.blob_bytes
    return BoardFit(
        board=board.name,
        chip=board.chip,
        blob_in=place,
        heap_needed=needed,
        heap_available=available,
        heap_is_estimate=board.heap.evidence is Evidence.ESTIMATE,
        module_heap_bytes=module.heap,
        flash_needed=flash_needed,
        flash_available=flash.bytes if flash else None,
        latency=predict_latency(blob, executions, board),
        advice=_advice(board, place, needed, available, working, flash_needed),
    )


def predict_latency(blob: Blob, executions: Mapping[int, Execution], board: BoardDescription) -> Latency | None:
    """Of one inference; None where the board's time is not modelled."""
    if board.core.clock_hz is None:
        return None
    arch = STAND_INS.get(board.natmod, board.natmod)
    if arch not in architectures():
        return None
    cost = cost_model(arch).inference(blob.network, executions)
    if arch == CYCLES:
        basis = f"{cost:,.0f} cycles by the cost model of the Cortex-M0+, at {board.core.clock_hz / 1e6:g} MHz"
        return Latency(1000 * cost / board.core.clock_hz, False, basis)
    basis = (
        f"projection: {cost:,.0f} instructions of {arch} (fitted under QEMU), "
        f"{ASSUMED_CYCLES_PER_INSTRUCTION:g} cycles assumed for each, at {board.core.clock_hz / 1e6:g} MHz"
    )
    return Latency(1000 * cost * ASSUMED_CYCLES_PER_INSTRUCTION / board.core.clock_hz, True, basis)


def _blob(path: Path) -> Blob:
    if path.suffix.lower() not in READERS:
        return read_blob_file(path)
    if not read_model(path).is_quantized:
        raise InputError(
            f"{path.name} is a float model: pack it first, because quantising it takes calibration data "
            f"(smidgen pack {path.name} --calibration DATA.npz -o OUT.smg), and give the blob"
        )
    return pack(path).blob


def _advice(
    board: BoardDescription, place: str | None, needed: int, available: int, working: int, flash_needed: int
) -> str:
    if place == HEAP:
        return f"fits: {available - needed:,} B of heap remain"
    flash = board.flash
    if place == FLASH and flash is not None:
        firmware = "a ROMFS" if flash.romfs else "firmware with a ROMFS (boards/firmware)"
        return f"fits with the blob in memory-mapped flash: put it into {firmware}; {available - needed:,} B remain"
    if flash is not None and flash_needed > flash.bytes:
        return f"does not fit: {flash_needed:,} B of flash are needed, the board has {flash.bytes:,} B"
    hint = f"the blob is in it too: smidgen pack --board {board.name} looks for the plan that takes the least with it"
    if working > available:
        hint = f"even without the blob it takes {working:,} B; use a smaller network"
    return f"does not fit: {needed:,} B of heap are needed, {available:,} B are there; {hint}"
