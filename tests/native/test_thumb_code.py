"""The packager counts compiled code exactly: against what the engine emits on an emulated Cortex-M0+."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("arm-none-eabi-gcc is not installed", allow_module_level=True)

from benchmarks.bare import BareEngine, BareModel
from benchmarks.bare_image import build_image

from smidgen.blob.writer import write_blob
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator, WindowParameters
from smidgen.plan import Plan, make_plan
from smidgen.plan.band import Band
from smidgen.plan.kernels import PAIRS, KernelPlan, resident_room
from smidgen.plan.thumb_code import compiled_blocks
from smidgen.plan.weights import WeightPlan


@pytest.fixture(scope="module")
def engine() -> BareEngine:
    return BareEngine(build_image())


@dataclass(frozen=True)
class Layer:
    """Sizes are (height, width, channels); outputs are as large as the input, divided by the stride."""

    kind: Kind
    size: tuple[int, int, int]
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation_h: int = 1
    density: float = 1.0
    largest: int = 127
    shifts: tuple[int, ...] = (-4,)
    clamp: tuple[int, int] = (-128, 127)
    zero_point: int = -128
    low_bits: int = 0  # of the multipliers

    def network(self) -> Network:
        random = np.random.default_rng(5)
        height, width, depth = self.size
        taps = self.kernel[0] * self.kernel[1] * (depth if self.kind == Kind.CONV_2D else 1)
        weights = random.integers(-self.largest, self.largest + 1, (self.channels, taps))
        weights[random.random(weights.shape) >= self.density] = 0
        spans = (self.kernel[0] - 1) * self.dilation_h + 1, self.kernel[1]
        window = WindowParameters(self.kernel, self.stride, (self.dilation_h, 1), (spans[0] // 2, spans[1] // 2))
        output = -(-height // self.stride[0]), -(-width // self.stride[1])
        operator = WeightedOperator(
            self.kind, 0, 1, *self.clamp, weights=weights.astype(np.int8),
            bias=random.integers(-9999, 9999, self.channels).astype(np.int32),
            multiplier=np.array([2**30 + 2**20 * i + self.low_bits for i in range(self.channels)], np.int32),
            shift=np.resize(np.array(self.shifts, np.int32), self.channels), window=window,
        )  # fmt: skip
        source = NetworkTensor((1, *self.size), 1.0, 3)
        result = NetworkTensor((1, *output, self.channels), 1.0, self.zero_point)
        return Network([source, result], [operator], 1, 1)


C, D = Kind.CONV_2D, Kind.DEPTHWISE_CONV_2D
LAYERS = {
    "pointwise": Layer(C, (4, 3, 16), 6),
    "odd channels": Layer(C, (5, 3, 7), 5, shifts=(0, -1, -7, -9, -10)),
    "one channel": Layer(C, (4, 4, 1), 1),
    "3x3": Layer(C, (6, 5, 5), 4, (3, 3)),
    "5x1 with steps": Layer(C, (9, 4, 3), 3, (5, 1), (2, 1)),
    "2x5 strided": Layer(C, (8, 9, 3), 4, (2, 5), (1, 3)),
    "long rows": Layer(C, (8, 40, 8), 3, (3, 3)),
    "longer rows": Layer(C, (8, 60, 20), 2, (2, 1)),
    "dilated": Layer(C, (9, 5, 4), 3, (3, 2), dilation_h=2),
    "far": Layer(C, (5, 4, 40), 3, (3, 3)),
    "zeros": Layer(C, (4, 4, 9), 4, (3, 3), density=0.1),
    "nothing but zeros": Layer(C, (4, 4, 9), 3, density=0.0),
    "small weights": Layer(C, (4, 4, 70), 3, largest=3),
    "signed": Layer(C, (4, 3, 8), 5, shifts=(0, -1, -5, -8, -10), zero_point=7),
    "clamped": Layer(C, (4, 3, 8), 4, clamp=(-20, 100), zero_point=-20),
    "clamped and signed": Layer(C, (4, 3, 8), 4, clamp=(-20, 100), zero_point=5),
    "no clamp to speak of": Layer(C, (4, 3, 8), 4, clamp=(0, 127), zero_point=127),
    "called": Layer(C, (4, 3, 8), 5, shifts=(-11, 1, -4, -4, 2)),
    "odd multipliers": Layer(C, (4, 3, 8), 5, shifts=(-10,), zero_point=-3, clamp=(-128, 127), low_bits=12345),
    "depthwise": Layer(D, (5, 4, 1), 1, (3, 3)),
    "depthwise dilated": Layer(D, (9, 4, 1), 1, (3, 2), dilation_h=3, zero_point=4),
    "depthwise column": Layer(D, (9, 1, 1), 1, (4, 1), (2, 1), shifts=(-12,)),
    "depthwise wide": Layer(D, (5, 300, 1), 1, (2, 2), (1, 2)),
}  # fmt: skip


def _compiled(engine: BareEngine, plan: Plan, code_bytes: int) -> list[int]:
    """Sizes of the blocks that lie one behind the other in the workspace after a run, as the engine noted them."""
    network = plan.network
    operator = network.operators[0]
    assert isinstance(operator, WeightedOperator)
    words = (code_bytes + Band.of(network, operator).bytes(1)) // 4
    kernel = KernelPlan(PAIRS, 1, words, 4 * words, "")
    start = -(-max(plan.arena_bytes, 4) // 4) * 4
    raw = replace(
        plan, weights={0: WeightPlan(None, 0)}, kernels={0: kernel}, scratch_bytes=4 * words,
        scratch_offsets={0: start}, arena_bytes=start + 4 * words,
    )  # fmt: skip
    model: BareModel = engine.load(write_blob(raw))
    list(model.run([np.zeros(network.tensors[0].shape, np.int8)]))
    scratch = model.machine.read(model.arena + start, code_bytes)
    sizes, start = [], 0
    while start + 4 <= len(scratch):
        (size,) = struct.unpack_from("<I", scratch, start)
        if not 8 <= size <= len(scratch) - start or size % 4:
            break
        sizes.append(size)
        start += size
    return sizes


@pytest.mark.parametrize("name", LAYERS)
def test_size_and_room(engine: BareEngine, name: str) -> None:
    """With all the room that is counted every block is compiled and stays; with one word less not all of them."""
    plan = make_plan(LAYERS[name].network())
    (operator,) = plan.network.operators
    assert isinstance(operator, WeightedOperator)
    blocks = compiled_blocks(plan.network, operator)
    sizes = [block.size for block in blocks]
    room = resident_room(blocks)
    assert _compiled(engine, plan, room)[: len(sizes)] == sizes
    assert _compiled(engine, plan, room - 4)[: len(sizes)] != sizes
