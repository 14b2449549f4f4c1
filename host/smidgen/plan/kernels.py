"""Chooses the kernel of each operator with weights, its tile and its workspace (docs/format.md, section 6).

Each within a limit for its scratch, except that an operator gets what it cannot do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smidgen.network import Kind, Network, WeightedOperator
from smidgen.plan.band import Band, is_pointwise
from smidgen.plan.thumb_code import CompiledBlock, compiled_blocks
from smidgen.plan.weights import WeightPlan

PLAIN, PAIRS, STREAMED = 0, 1, 1  # PAIRS: of the convolutions; STREAMED: of FULLY_CONNECTED
GROUP_CHANNELS = 4  # output channels that STREAMED computes together
TILE_BYTES = 512  # decoded weights that the plain kernel holds at a time, unless one channel needs more
_LIMIT_16 = 0xFFFF  # of the record's fields
_COLUMN_PAIRS = 4  # with fewer pairs in a block, a pointwise convolution spends its time on calls


@dataclass(frozen=True)
class KernelPlan:
    """tile: of PLAIN, output channels decoded at a time; of PAIRS, pairs of output rows in a block; of STREAMED, 1.

    workspace_words: of PAIRS, 4 bytes each. scratch_bytes: all scratch, decoding included. reason: for people.
    """

    kernel: int
    tile: int
    workspace_words: int
    scratch_bytes: int
    reason: str


def plan_kernels(
    network: Network, weights: Mapping[int, WeightPlan], rooms: Mapping[int, int], tile_bytes: int = TILE_BYTES
) -> dict[int, KernelPlan]:
    """A plan for each operator with weights, by operator index. rooms: bytes of scratch that each may take."""
    plans = {}
    for index, coding in weights.items():
        operator = network.operators[index]
        assert isinstance(operator, WeightedOperator)
        obstacle = _obstacle(network, operator, coding)
        if operator.kind == Kind.FULLY_CONNECTED:
            plans[index] = _dense(network, operator, coding, tile_bytes)
        elif obstacle is None:
            plans[index] = _pairs(network, operator, coding, rooms[index])
        else:
            plans[index] = _plain(operator, coding, tile_bytes, obstacle)
    return plans


def _obstacle(network: Network, operator: WeightedOperator, coding: WeightPlan) -> str | None:
    """Why a convolution cannot have the kernel PAIRS; None if it can."""
    if operator.window is None:
        return "this kind has no such kernel"
    if operator.window.dilation[1] != 1:
        return "dilated along the width"
    pictures = [network.tensors[tensor].dimensions[1:3] for tensor in (operator.input, operator.output)]
    if is_pointwise(operator) and pictures[0] != pictures[1]:
        return "a pointwise convolution that leaves pixels out"
    band = Band.of(network, operator)
    if _decoded_bytes(operator, coding) + band.bytes(1) > 4 * _LIMIT_16:
        return "a row of the input is too large to be gathered"
    return None


def _decoded_bytes(operator: WeightedOperator, coding: WeightPlan) -> int:
    """Weights that are decoded at a time by the kernel PAIRS, a multiple of 4."""
    if coding.table is None:
        return 0
    channels = 2 if operator.kind == Kind.CONV_2D else 1
    return _aligned(channels * int(operator.weights.shape[1]))


def _plain(operator: WeightedOperator, coding: WeightPlan, tile_bytes: int, reason: str) -> KernelPlan:
    channels, per_channel = operator.weights.shape
    if coding.table is None:
        return KernelPlan(PLAIN, channels, 0, 0, reason)
    tile = int(min(max(tile_bytes // per_channel, 1), channels))
    return KernelPlan(PLAIN, tile, 0, coding.decoder_bytes + tile * per_channel, reason)


def _dense(network: Network, operator: WeightedOperator, coding: WeightPlan, tile_bytes: int) -> KernelPlan:
    if coding.table is None:
        return _plain(operator, coding, tile_bytes, "weights are used where they lie")
    if network.tensors[operator.output].elements != len(operator.weights):
        return _plain(operator, coding, tile_bytes, "several rows use the decoded weights")
    which = "only weights that are not zero are decoded and multiplied"
    return KernelPlan(
        STREAMED,
        1,
        0,
        coding.decoder_bytes,
        which if coding.zero_runs else "weights are multiplied as they are decoded",
    )


def _pairs(network: Network, operator: WeightedOperator, coding: WeightPlan, scratch_limit: int) -> KernelPlan:
    band, decoded, sparse = Band.of(network, operator), _decoded_bytes(operator, coding), coding.zero_runs > 0
    room = min(scratch_limit - coding.decoder_bytes, 4 * _LIMIT_16) - decoded
    tile, code, reason = _tile_and_code(operator, band, compiled_blocks(network, operator, sparse), room)
    if sparse:
        reason += ", zeros in runs are passed over"
    words = (decoded + code + band.bytes(tile)) // 4
    return KernelPlan(PAIRS, tile, words, coding.decoder_bytes + 4 * words, reason)


def _tile_and_code(
    operator: WeightedOperator, band: Band, blocks: list[CompiledBlock], room: int
) -> tuple[int, int, str]:
    """Pairs in a block, bytes for compiled weights, and why; room: bytes for both code and rows."""
    once = "weights are compiled once"
    largest = _aligned(max(block.room for block in blocks))
    tile = min(band.largest_tile(room - largest), _LIMIT_16)
    if operator.kind == Kind.DEPTHWISE_CONV_2D and tile >= 1:
        return tile, largest, f"{once} for each channel"
    if tile == band.pairs:
        return tile, largest, f"{once}: a single block"
    every = resident_room(blocks)
    resident_tile = min(band.largest_tile(room - every), _LIMIT_16)
    if resident_tile >= (_COLUMN_PAIRS if band.output_width == 1 else 1):
        return resident_tile, every, f"{once} and stay"
    if tile >= 1:
        return tile, largest, f"weights are compiled again for each of {-(-band.pairs // tile)} blocks"
    code = max(room - band.bytes(1), 0) // 4 * 4
    return 1, code, "not all weights have room to be compiled"


def resident_room(blocks: list[CompiledBlock]) -> int:
    """Bytes with which all blocks can be compiled one behind the other, a multiple of 4."""
    before, room = 0, 0
    for block in blocks:
        room = max(room, before + block.room)
        before += block.size
    return _aligned(room)


def _aligned(size: int) -> int:
    return -(-size // 4) * 4
