"""How much of a board's memory is left for models: its heap less what MicroPython and smidgen take of it."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.boards import BoardDescription, Evidence
from smidgen.plan.cost import architectures, cost_model

_MICROPYTHON_SHARE = 0.04  # of a heap whose size was configured, docs/boards.md


@dataclass(frozen=True)
class ModuleMemory:
    """Bytes: heap that `import smidgen` takes, heap of a model's objects, and the file smidgen.mpy."""

    heap: int
    objects: int
    file: int


def module_memory(arch: str) -> ModuleMemory:
    """As measured on a virtual board; of an architecture that was not measured, the largest of the others."""
    models = [cost_model(known) for known in ([arch] if arch in architectures() else architectures())]
    return ModuleMemory(
        max(model.module_heap_bytes for model in models),
        max(model.model_heap_bytes for model in models),
        max(model.module_file_bytes for model in models),
    )


def usable_heap(board: BoardDescription) -> int:
    """Bytes of heap that a program can have."""
    if board.heap.evidence is Evidence.CONFIGURED:
        return round(board.heap.bytes * (1 - _MICROPYTHON_SHARE))
    return board.heap.bytes


def memory_for_model(board: BoardDescription) -> int:
    """Bytes of heap for blob and arena of one model, when nothing else runs."""
    module = module_memory(board.natmod)
    return usable_heap(board) - module.heap - module.objects
