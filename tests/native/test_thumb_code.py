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
from smidgen.huffman import build_code_table
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator, WindowParameters
from smidgen.plan import Plan, make_plan
from smidgen.plan.band import Band
from smidgen.plan.kernels import PAIRS, KernelPlan, resident_room
from smidgen.plan.thumb_code import compiled_blocks
from smidgen.plan.weights import WeightPlan, coded_symbol_counts, decoder_scratch_bytes, symbols_to_code
from smidgen.zero_runs import run_bits, zero_runs


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
    "far and nearly empty": Layer(C, (5, 4, 70), 4, (3, 3), density=0.02),
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


def _with_zero_runs(plan: Plan) -> Plan:
    (operator,) = plan.network.operators
    assert isinstance(operator, WeightedOperator)
    table = build_code_table(symbols_to_code(coded_symbol_counts(operator.weights, 1)))
    bits = run_bits(zero_runs(operator.weights), 0)
    weights = WeightPlan(0, decoder_scratch_bytes(table.max_length), 1, bits)
    return replace(plan, weights={0: weights}, code_tables=[table])


def _compiled(engine: BareEngine, plan: Plan, code_bytes: int, sparse: bool) -> list[int]:
    """Sizes of the blocks that lie one behind the other in the workspace after a run, as the engine noted them."""
    network = plan.network
    operator = network.operators[0]
    assert isinstance(operator, WeightedOperator)
    plan = _with_zero_runs(plan) if sparse else replace(plan, weights={0: WeightPlan(None, 0)})
    decoder = plan.weights[0].decoder_bytes
    channels = 2 if operator.kind == Kind.CONV_2D else 1
    decoded = -(-channels * operator.weights.shape[1] // 4) * 4 if sparse else 0
    words = (decoded + code_bytes + Band.of(network, operator).bytes(1)) // 4
    kernel = KernelPlan(PAIRS, 1, words, decoder + 4 * words, "")
    start = -(-max(plan.arena_bytes, 4) // 4) * 4
    planned = replace(
        plan, kernels={0: kernel}, scratch_bytes=kernel.scratch_bytes,
        scratch_offsets={0: start}, arena_bytes=start + kernel.scratch_bytes,
    )  # fmt: skip
    model: BareModel = engine.load(write_blob(planned))
    list(model.run([np.zeros(network.tensors[0].shape, np.int8)]))
    scratch = model.machine.read(model.arena + start + decoder + decoded, code_bytes)
    sizes, start = [], 0
    while start + 4 <= len(scratch):
        (size,) = struct.unpack_from("<I", scratch, start)
        if not 8 <= size <= len(scratch) - start or size % 4:
            break
        sizes.append(size)
        start += size
    return sizes


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", LAYERS)
def test_size_and_room(engine: BareEngine, name: str, sparse: bool) -> None:
    """With all the room that is counted every block is compiled and stays; with one word less not all of them."""
    plan = make_plan(LAYERS[name].network())
    (operator,) = plan.network.operators
    assert isinstance(operator, WeightedOperator)
    blocks = compiled_blocks(plan.network, operator, sparse)
    sizes = [block.size for block in blocks]
    room = resident_room(blocks)
    assert _compiled(engine, plan, room, sparse)[: len(sizes)] == sizes
    assert _compiled(engine, plan, room - 4, sparse)[: len(sizes)] != sizes
