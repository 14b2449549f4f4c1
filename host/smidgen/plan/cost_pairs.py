"""What kernel 1 of CONV_2D and DEPTHWISE_CONV_2D does on a Cortex-M0+: how often each of its steps runs.

It follows native/core/band.c, dot_thumb.c, conv_2d_pairs.c and depthwise_conv_2d_pairs.c.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smidgen.network import Kind, Network, WeightedOperator
from smidgen.plan.band import Band, is_pointwise
from smidgen.plan.execution import Execution
from smidgen.plan.kernels import resident_room
from smidgen.plan.thumb_code import CompiledBlock, compiled_blocks, is_fast

COMPILED = "cycle of compiled code"  # counted exactly, so its coefficient is 1
_GROUP_WORDS = 4


@dataclass(frozen=True)
class PairSteps:
    """The steps of one operator; what does not depend on tile and workspace is computed once.

    sparse: its weights are coded with zero runs.
    """

    network: Network
    operator: WeightedOperator
    sparse: bool

    def count(self, execution: Execution) -> Counter[str]:
        """How often each step runs, by its name. Decoding is apart: see `passes`."""
        name = f"{self.operator.kind.name} kernel 1"
        steps: Counter[str] = Counter({name: 1})
        blocks = -(-self.band.pairs // execution.tile)
        self._gather(steps, execution.tile, blocks)
        compilations = self._compilations(execution)
        channels = self._channels_of_blocks
        nonzero = np.count_nonzero(self.operator.weights, axis=1)
        taps = int(self.operator.weights.shape[1])
        groups = self.band.kernel[0] * -(-self.band.kernel[1] * self.band.channels // _GROUP_WORDS)
        pairs = self.band.pairs * self.band.output_width
        rows = self._rows_of_pairs(execution.tile)
        for number, (block, times) in enumerate(zip(self.compiled, compilations, strict=True)):
            first = number * channels
            count = min(channels, self.operator.channels - first)
            steps["channels run over a block"] += blocks
            steps["row of pairs"] += rows
            if times == 0:
                steps[f"{name}: product without compiled weights"] += pairs * taps * count
                steps[f"{name}: output without compiled weights"] += 2 * pairs * count
                continue
            used = int(nonzero[first : first + count].sum())
            steps["channels compiled"] += times
            steps["channel compiled"] += times * count
            lanes = count * block.pairs
            if self.sparse and count == 2:
                steps["sparse: word compiled"] += times * taps
                steps["sparse: word with weights compiled"] += times * block.words
                steps["sparse: weight compiled"] += times * used
                steps["sparse: instruction compiled"] += times * block.instructions
            else:
                steps["weight compiled"] += times * block.pairs * used
                steps["zero compiled"] += times * block.pairs * (count * taps - used)
                steps["group of four words compiled"] += times * groups
                steps["instruction compiled"] += times * block.instructions
            steps[COMPILED] += pairs // block.pairs * block.cycles
            steps["run of compiled code, one lane" if lanes == 1 else "run of compiled code, two lanes"] += (
                pairs // block.pairs
            )
            for channel in range(first, first + count):
                steps[f"output, {self.form(channel)}"] += 2 * pairs
        return steps

    def passes(self, execution: Execution) -> float:
        """How often all weights are decoded."""
        if self.operator.kind == Kind.DEPTHWISE_CONV_2D or execution.tile >= self.band.pairs:
            return 1.0
        room = self._room(execution)
        if resident_room(self.compiled) <= room:
            return 1.0
        blocks, channels = -(-self.band.pairs // execution.tile), len(self.compiled)
        return blocks - (blocks - 1) / channels + (self._tried(room) + 1) / channels

    @cached_property
    def band(self) -> Band:
        return Band.of(self.network, self.operator)

    @cached_property
    def compiled(self) -> list[CompiledBlock]:
        return compiled_blocks(self.network, self.operator, self.sparse)

    def form(self, channel: int) -> str:
        """How the outputs of a channel are requantised: positive, signed or by call."""
        multipliers, shifts = self.operator.multiplier, self.operator.shift
        if not is_fast(int(multipliers[channel % len(multipliers)]), int(shifts[channel % len(shifts)])):
            return "by call"
        zero_point = self.network.tensors[self.operator.output].zero_point
        limits = zero_point, self.operator.activation_min, self.operator.activation_max
        return "positive" if limits == (-128, -128, 127) else "signed"

    @property
    def _channels_of_blocks(self) -> int:
        """Output channels that are compiled together."""
        return 2 if self.operator.kind == Kind.CONV_2D else 1

    def _room(self, execution: Execution) -> int:
        """Bytes for compiled weights."""
        decoded = self._channels_of_blocks * int(self.operator.weights.shape[1]) if execution.table else 0
        return execution.workspace_bytes - -(-decoded // 4) * 4 - self.band.bytes(execution.tile)

    def _tried(self, room: int) -> int:
        """Blocks of channels that are compiled before the next one does not fit behind them."""
        before = 0
        for number, block in enumerate(self.compiled):
            if before + block.room > room:
                return number
            before += block.size
        return len(self.compiled)

    def _compilations(self, execution: Execution) -> list[int]:
        """How often each block of channels is compiled; 0: it has no room, and runs without."""
        room = self._room(execution)
        blocks = -(-self.band.pairs // execution.tile)
        if self.operator.kind == Kind.DEPTHWISE_CONV_2D or blocks == 1:
            return [int(block.room <= room) for block in self.compiled]
        tried = self._tried(room)
        if tried == len(self.compiled):
            return [1] * tried
        kept = Counter(-later % len(self.compiled) for later in range(1, blocks))  # from the block of rows before it
        return [
            blocks + (number < tried) - kept[number] if block.room <= room else 0
            for number, block in enumerate(self.compiled)
        ]

    def _rows_of_pairs(self, tile: int) -> int:
        """Rows of all blocks. Of a column a block is one, unless its last pair has no second pixel."""
        band = self.band
        if band.output_width != 1:
            return band.pairs
        blocks = -(-band.pairs // tile)
        if band.output_height % 2 == 0 or is_pointwise(self.operator):
            return blocks
        return blocks - 1 + band.pairs - (blocks - 1) * tile

    def _gather(self, steps: Counter[str], tile: int, blocks: int) -> None:
        band = self.band
        turns = self.operator.channels if self.operator.kind == Kind.DEPTHWISE_CONV_2D else 1
        steps["block gathered"] += turns * blocks
        if is_pointwise(self.operator):
            steps["word gathered"] += turns * band.pairs * band.row_words
            steps["row gathered"] += turns * blocks
            return
        upper, lower = self._rows_of_words(tile)
        inside = int(np.count_nonzero((upper >= 0) & (lower < band.input_height)))
        values = self._row_values
        kept = band.rows_of_taps - band.period(tile)
        steps["word gathered"] += turns * inside * values
        steps["row gathered"] += turns * inside
        steps["word at an edge gathered"] += turns * (len(upper) - inside) * values
        steps["row at an edge gathered"] += turns * (len(upper) - inside)
        steps["word kept for the next block"] += turns * (blocks - 1) * kept * band.row_words
        steps["word preset with padding"] += band.row_words * band.rows(tile)

    def _rows_of_words(self, tile: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The two input rows of every row of words that is gathered, which may lie outside the input."""
        band, period = self.band, self.band.period(tile)
        apart, rows_of_pair = (band.pairs, 1) if tile >= band.pairs else (1, 2)
        index = np.arange((band.pairs - 1) * period + band.rows_of_taps)
        upper = index // period * rows_of_pair * band.stride[0] + index % period - band.pad_top
        return upper, upper + apart * band.stride[0]

    @cached_property
    def _row_values(self) -> int:
        """Words of a row that are not padding on the left or on the right."""
        band, window = self.band, self.operator.window
        assert window is not None
        width = (band.output_width - 1) * band.stride[1] + band.kernel[1]
        input_width = band.input_row_bytes // self.network.tensors[self.operator.input].dimensions[3]
        return min(width - window.padding[1], input_width) * band.channels
