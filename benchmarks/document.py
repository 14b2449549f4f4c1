"""What a measurement says, as one document for JSON."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.bare_image import Image
from benchmarks.board_run import BoardRun
from benchmarks.firmware import CLOCK_MHZ
from benchmarks.measure import ModelCycles
from benchmarks.models import BenchmarkModel
from benchmarks.published import NOTHING, PUBLISHED
from boards.natmod_sizes import FOLDER, read_sizes

from smidgen.blob.execution import blob_executions
from smidgen.plan.cost import cost_model
from smidgen.report import report_blob


@dataclass(frozen=True)
class Measurement:
    """One network. board is None and instructions are empty where only the bare engine was asked for."""

    model: BenchmarkModel
    bare: ModelCycles
    board: BoardRun | None
    instructions: dict[str, int]  # by architecture

    @property
    def board_cycles(self) -> int | None:
        return self.board.microseconds * CLOCK_MHZ if self.board else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Sizes in bytes; cycles_per_mac is that of the board where there is one.

        macs are those of the model, removed_macs those of them that the blob does without.
        """
        board, blob = self.board, self.model.blob
        published = PUBLISHED.get(self.model.name, NOTHING)
        cycles = self.board_cycles or self.bare.cycles
        network, executions = blob.network, blob_executions(blob)
        return {
            "macs": self.model.macs,
            "removed_macs": self.model.removed_macs,
            "board_cycles": self.board_cycles,
            "bare_cycles": self.bare.cycles,
            "linkage_cycles": self.bare.linkage,
            "predicted_bare_cycles": round(sum(cost_model().operators(network, executions))),
            "predicted_board_cycles": round(cost_model().inference(network, executions)),
            "cycles_per_mac": cycles / self.model.macs,
            "instructions": self.instructions,
            "load_cycles": self.bare.load_cycles,
            "decoding_cycles": self.bare.decoding_cycles,
            "arena_bytes": blob.arena_bytes,
            "scratch_bytes": blob.scratch_bytes,
            "blob_bytes": len(self.model.data),
            "stack_bytes": self.bare.stack_bytes,
            "weights": self.model.weights,
            "bits_per_weight": report_blob(blob).bits_per_weight,
            "heap_bytes": board.model_bytes if board else None,
            "blob_in_ram": board.in_ram if board else None,
            "exact_against": self.model.origin,
            "published": {
                "cycles": published.cycles,
                "source": published.cycles_source,
                "others": dict(published.others),
                "tflm_arena_bytes": published.tflm_arena_bytes,
            },
            "operators": self._operators(),
        }

    def _operators(self) -> list[dict[str, Any]]:
        times = self.board.operator_microseconds if self.board else []
        return [
            {
                "index": operator.index,
                "kind": operator.kind,
                "output_shape": list(operator.output_shape),
                "macs": operator.macs,
                "bare_cycles": operator.cycles,
                "cycles_per_mac": operator.cycles_per_mac,
                "decoding_cycles": operator.decoding,
                "board_microseconds": times[number] if times else None,
            }
            for number, operator in enumerate(self.bare.operators)
        ]


def make_document(measurements: list[Measurement], layers: list[ModelCycles], image: Image) -> dict[str, Any]:
    """All figures, with units in their names."""
    boards = [measurement.board for measurement in measurements if measurement.board]
    return {
        "core": "Cortex-M0+, single-cycle multiplier, memory without wait states",
        "clock_mhz": CLOCK_MHZ,
        "module": {
            "engine_text_bytes": image.text_bytes,
            **_module_sizes(),
            "heap_bytes": boards[0].import_bytes if boards else None,
            "free_heap_bytes": boards[0].free_bytes if boards else None,
        },
        "models": {measurement.model.name: measurement.as_dict() for measurement in measurements},
        "layers": {
            layer.name: {
                "macs": layer.macs,
                "cycles": layer.cycles,
                "cycles_per_mac": layer.cycles_per_mac,
                "decoding_per_weight": layer.operators[0].decoding_per_weight,
            }
            for layer in layers
        },
    }


def _module_sizes() -> dict[str, int]:
    """Of smidgen.mpy for armv6m, where it is built."""
    try:
        return {
            f"{section}_bytes": getattr(sizes, section)
            for sizes in read_sizes(FOLDER)
            if sizes.arch == "armv6m"
            for section in ("text", "rodata", "bss", "file")
        }
    except (OSError, ValueError) as error:
        print(f"sizes of the native module: skipped, {error}", file=sys.stderr)
        return {}
