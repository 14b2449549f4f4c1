"""Weights coded with zero runs: exact for any share of zeros, and streams that break a rule are refused.

On this computer under sanitizers in both forms of the C code, and on an emulated Cortex-M0+, where sparse channels are
compiled word by word.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

import blob_builder as b
from blob_builder import CodeTable, Operator, Tensor
from host_engine import STATUS, HostEngine
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.errors import BlobError
from smidgen.huffman import build_code_table
from smidgen.network import Kind, Network, NetworkTensor, WeightedOperator, WindowParameters
from smidgen.plan import Plan
from smidgen.plan.band import Band
from smidgen.plan.kernels import PAIRS, KernelPlan
from smidgen.plan.planner import plan_prepared, prepare
from smidgen.plan.weights import WeightPlan, coded_symbol_counts, decoder_scratch_bytes, symbols_to_code
from smidgen.reference import run_network
from smidgen.zero_runs import run_bits, zero_runs

Int8Array = NDArray[np.int8]
Run = Callable[[Plan, Int8Array], None]


def _random(share: float) -> Callable[[np.random.Generator, tuple[int, int]], Int8Array]:
    def make(random: np.random.Generator, shape: tuple[int, int]) -> Int8Array:
        values = random.normal(0, 40, shape).round().clip(-128, 127)
        return np.where(random.random(shape) < share, 0, values).astype(np.int8)

    return make


def _single(place: int) -> Callable[[np.random.Generator, tuple[int, int]], Int8Array]:
    """One weight of each channel, counted from the front or from the end."""

    def make(random: np.random.Generator, shape: tuple[int, int]) -> Int8Array:
        weights = np.zeros(shape, np.int8)
        weights[:, place] = random.choice([-128, -1, 1, 127], shape[0])
        return weights

    return make


WEIGHTS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Int8Array]] = {
    "dense": _random(0),
    "half": _random(0.5),
    "80 %": _random(0.8),
    "97 %": _random(0.97),
    "nothing but zeros": lambda random, shape: np.zeros(shape, np.int8),
    "the first": _single(0),
    "the last": _single(-1),
    "lowest": lambda random, shape: np.where(random.random(shape) < 0.3, -128, 0).astype(np.int8),
    "every other channel": lambda random, shape: (
        _random(0.4)(random, shape) * (np.arange(shape[0]) % 2)[:, None].astype(np.int8)
    ),
}


@dataclass(frozen=True)
class Layer:
    """Sizes are (height, width, channels)."""

    kind: Kind
    size: tuple[int, int, int]
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    def network(self, make: Callable[[np.random.Generator, tuple[int, int]], Int8Array]) -> Network:
        random = np.random.default_rng(11)
        source = NetworkTensor((1, *self.size) if self.kind != Kind.FULLY_CONNECTED else self.size[1:], 1.0, 3)
        if self.kind == Kind.FULLY_CONNECTED:
            window, taps, shape = None, self.size[2], (self.size[1], self.channels)
        else:
            spans = [(self.kernel[axis] - 1) * self.dilation[axis] + 1 for axis in (0, 1)]
            window = WindowParameters(self.kernel, self.stride, self.dilation, (spans[0] // 2, spans[1] // 2))
            taps = self.kernel[0] * self.kernel[1] * (self.size[2] if self.kind == Kind.CONV_2D else 1)
            shape = (1, -(-self.size[0] // self.stride[0]), -(-self.size[1] // self.stride[1]), self.channels)
        operator = WeightedOperator(
            self.kind, 0, 1, weights=make(random, (self.channels, taps)),
            bias=random.integers(-999, 999, self.channels).astype(np.int32),
            multiplier=np.full(self.channels, 2**30 + 2**20, np.int32), shift=np.full(self.channels, -5, np.int32),
            window=window,
        )  # fmt: skip
        return Network([source, NetworkTensor(shape, 1.0, -5)], [operator], 1, 1)


LAYERS = {
    "pointwise": Layer(Kind.CONV_2D, (5, 4, 40), 5),
    "wide pointwise": Layer(Kind.CONV_2D, (3, 2, 150), 4),
    "3x3": Layer(Kind.CONV_2D, (7, 6, 5), 4, (3, 3)),
    "far rows": Layer(Kind.CONV_2D, (6, 12, 20), 2, (3, 2)),
    "strided": Layer(Kind.CONV_2D, (9, 8, 3), 3, (3, 3), (2, 2)),
    "one output": Layer(Kind.CONV_2D, (4, 4, 6), 1),
    "plain": Layer(Kind.CONV_2D, (5, 5, 3), 3, (2, 2), dilation=(1, 2)),
    "depthwise": Layer(Kind.DEPTHWISE_CONV_2D, (6, 5, 6), 6, (3, 3)),
    "twins": Layer(Kind.DEPTHWISE_CONV_2D, (6, 4, 4), 4, (3, 3)),
    "dense": Layer(Kind.FULLY_CONNECTED, (1, 1, 70), 6),
    "rows": Layer(Kind.FULLY_CONNECTED, (1, 3, 20), 5),
}


def plan_with_zero_runs(network: Network, parameter: int, arena_limit: int | None = None) -> Plan:
    """With this parameter, however large that makes the stream."""
    network = prepare(network)
    (operator,) = network.operators
    assert isinstance(operator, WeightedOperator)
    table = build_code_table(symbols_to_code(coded_symbol_counts(operator.weights, parameter)), 15)
    bits = run_bits(zero_runs(operator.weights), parameter - 1)
    coded = WeightPlan(0, decoder_scratch_bytes(table.max_length), parameter, bits)
    return plan_prepared(network, {0: coded}, [table], arena_limit)


@pytest.fixture(scope="module", params=["pairs", "dsp", "Cortex-M0+"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a plan and compares its output with the reference."""
    if request.param == "Cortex-M0+":
        pytest.importorskip("elftools", reason="the package pyelftools is not installed")
        if shutil.which("arm-none-eabi-gcc") is None:
            pytest.skip("arm-none-eabi-gcc is not installed")
        from benchmarks.bare import BareEngine
        from benchmarks.bare_image import build_image

        bare = BareEngine(build_image())
        yield (
            lambda plan, sample: None if list(bare.load(write_blob(plan)).run([sample])) else pytest.fail("no operator")
        )
        return
    with HostEngine(dsp=request.param == "dsp") as engine:

        def compare(plan: Plan, sample: Int8Array) -> None:
            engine.load(write_blob(plan))
            np.testing.assert_array_equal(engine.run([sample])[0], run_network(plan.network, [sample])[0])

        yield compare


@pytest.mark.parametrize("arena_limit", [0, 2**17])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("layer", LAYERS)
def test_outputs(run: Run, layer: str, weights: str, arena_limit: int) -> None:
    """With all room and without any: the arena decides whether weights are compiled, once or for each block."""
    network = LAYERS[layer].network(WEIGHTS[weights])
    parameter = 1 + list(LAYERS).index(layer) % 8
    plan = plan_with_zero_runs(network, parameter, arena_limit)
    read = read_blob(write_blob(plan)).network.operators[0]
    assert isinstance(read, WeightedOperator)
    np.testing.assert_array_equal(read.weights, plan.network.operators[0].weights)  # type: ignore[union-attr]
    random = np.random.default_rng(1)
    for sample in (random.integers(-128, 128, network.tensors[0].shape), np.full(network.tensors[0].shape, -128)):
        run(plan, sample.astype(np.int8))


@pytest.mark.parametrize("parameter", range(1, 9))
def test_every_parameter(run: Run, parameter: int) -> None:
    """Runs of every length up to 300, and longer ones in the last channels."""
    weights = np.zeros((12, 300), np.int8)
    for channel in range(10):
        weights[channel, [channel * 29, 299 - channel, 150]] = channel - 100
    layer = Layer(Kind.FULLY_CONNECTED, (1, 1, 300), 12)
    network = layer.network(lambda random, shape: weights)
    sample = np.random.default_rng(2).integers(-128, 128, (1, 300)).astype(np.int8)
    run(plan_with_zero_runs(network, parameter), sample)


@pytest.mark.parametrize("layer", ["wide pointwise", "3x3"])
def test_any_room_for_code(run: Run, layer: str) -> None:
    """From none to more than enough: code that does not fit ends before the gathered words."""
    plan = plan_with_zero_runs(LAYERS[layer].network(WEIGHTS["half"]), 1)
    network, weights = plan.network, plan.weights[0]
    (operator,) = network.operators
    assert isinstance(operator, WeightedOperator)
    needed = -(-2 * operator.weights.shape[1] // 4) + Band.of(network, operator).bytes(1) // 4
    start = -(-sum(tensor.elements for tensor in network.tensors) // 4) * 4
    sample = np.random.default_rng(3).integers(-128, 128, network.tensors[0].shape).astype(np.int8)
    for room in range(0, 1200, 23):
        kernel = KernelPlan(PAIRS, 1, needed + room, weights.decoder_bytes + 4 * (needed + room), "")
        run(
            replace(
                plan, kernels={0: kernel}, arena_offsets=[0, network.tensors[0].elements],
                scratch_bytes=kernel.scratch_bytes, scratch_offsets={0: start},
                arena_bytes=start + kernel.scratch_bytes,
            ),
            sample,
        )  # fmt: skip


def _stream(engine: HostEngine, text: str, parameter: int = 2, inputs: int = 5, outputs: int = 2) -> str | None:
    """Loads a layer whose weights are this stream; the status that refuses it. Symbols 3, -7: codes 0 and 1."""
    table = CodeTable(-7, [1, *(9 * [0]), 1])
    operator = Operator(
        b.FULLY_CONNECTED, 0, 1, weights=b.coded(text, table, parameter), kernel=1, tile=1,
        requantization=b.channels([b.ONE], [0] * outputs),
    )  # fmt: skip
    data = bytes(b.build([Tensor((inputs,)), Tensor((outputs,))], [operator]).data)
    fault = engine.check(data)
    read = None
    try:
        read_blob(data)
    except Exception as error:
        read = str(error)
    assert (fault is None) == (read is None), (fault, read)  # the host's reader agrees
    return None if fault is None else next(name for name, number in STATUS.items() if number == fault.status)


RUN4, RUN5, RUN6 = "1100", "1101", "11100"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (RUN5 + RUN5, None),
        (RUN4 + "0" + RUN4 + "1", None),
        (RUN5 + RUN4 + "1", None),
        (RUN5 + RUN4, "BAD_STREAM"),  # the last weight is missing
        (RUN6 + RUN5, "BAD_STREAM"),  # a zero of the next channel
        (RUN5 + RUN6, "BAD_STREAM"),  # behind the last one
        (RUN4 + "0" + "00" + RUN5, "BAD_STREAM"),  # an empty run behind a full channel, then too much
        (RUN5 + RUN5 + "0", "BAD_STREAM"),
        (RUN5 + "11", "BAD_STREAM"),  # the end within a run
        (RUN5 + "1" * 2000, "BAD_STREAM"),
        ("1" * 40, "BAD_STREAM"),
    ],
)
def test_streams(engine: HostEngine, text: str, status: str | None) -> None:
    assert _stream(engine, text) == status


@pytest.mark.parametrize("text", ["", "0", "00", "1", RUN4, RUN5])
def test_streams_that_end_where_the_blob_ends(engine: HostEngine, text: str) -> None:
    """What thousands of weights would take beyond it is not read."""
    assert _stream(engine, RUN5 + text, inputs=4000, outputs=3) == "BAD_STREAM"


@pytest.mark.parametrize(("parameter", "status"), [(8, None), (9, "BAD_CODING"), (255, "BAD_CODING")])
def test_parameter(engine: HostEngine, parameter: int, status: str | None) -> None:
    assert _stream(engine, b.run_code(5, 7) * 2, parameter) == status


def test_one_stream_is_the_weights_of_two_shapes(engine: HostEngine) -> None:
    """0 [3], 2 or 0 [7] if a channel has one weight; 1 [3], 1 [3] if it has two. The reader keeps them apart."""
    table = CodeTable(3, [1, 0, 0, 0, 2, 0, 2])  # 3: 0, 7: 10, 9: 11
    tensors = [Tensor((1,), zero_point=5), Tensor((2,), zero_point=5), Tensor((2,)), Tensor((2,))]
    operators = [
        Operator(
            b.FULLY_CONNECTED, inputs, inputs + 2, weights=b.coded("010010", table, 2), kernel=1, tile=1,
            requantization=b.channels([b.ONE], [0, 0]),
        )
        for inputs in (0, 1)
    ]  # fmt: skip
    blob = b.build(tensors, operators, inputs=2, outputs=2)
    blob.set_operator(1, "weights_offset", blob.places["weights 0"])
    blob.set_operator(1, "code_table_offset", blob.places["table 0"])
    start = blob.places["weights 1"]
    size = blob.places["requantization 1"] - start
    blob.data[start : start + size] = bytes(size)
    samples = [np.array([1], np.int8), np.array([1, 1], np.int8)]
    engine.load(blob.sealed())
    expected = run_network(read_blob(blob.sealed()).network, samples)
    assert [result.tolist() for result in expected] == [[0, 7], [3, 3]]
    for result, outputs in zip(engine.run(samples), expected, strict=True):
        np.testing.assert_array_equal(result, outputs)


def test_the_reader_limits_what_zeros_expand_to(engine: HostEngine) -> None:
    """18 million zeros in 18 kB: the engine has no need to keep them."""
    inputs, outputs = 60000, 300
    operator = Operator(
        b.FULLY_CONNECTED, 0, 1, weights=b.coded(b.run_code(inputs, 7) * outputs, CodeTable(1, [1, 1]), 8), kernel=1,
        tile=1, requantization=b.channels([b.ONE], [0] * outputs),
    )  # fmt: skip
    data = bytes(b.build([Tensor((inputs,)), Tensor((outputs,))], [operator]).data)
    assert engine.check(data) is None
    with pytest.raises(BlobError, match="weights and numbers up to here expand to 18000000 bytes, the limit is"):
        read_blob(data)


@pytest.mark.parametrize("how", [0, 2, 0x102])
def test_the_decoder_of_cortex_m0plus_leaves_registers_alone(how: int) -> None:
    """Those that a function must keep. how: plain, with zero runs, and multiplied (SMG_MULTIPLY)."""
    pytest.importorskip("elftools", reason="the package pyelftools is not installed")
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    from benchmarks.bare_image import build_image
    from benchmarks.cortex_m0plus import CortexM0Plus

    table = CodeTable(-7, [1, *(9 * [0]), 1])
    machine = CortexM0Plus(build_image())
    decoder, lookup, weights = (machine.allocate(size) for size in (20, table.decoder_bytes(), 40))
    tables, stream = machine.allocate(len(table.data())), machine.allocate(64)
    machine.write(tables, table.data())
    machine.write(stream, bytes(range(1, 65)))
    machine.call("smg_decoder_open", decoder, lookup, tables)
    machine.call("smg_decoder_start", decoder, stream)
    kept = [0x1000 + number for number in range(4, 12)]
    machine.registers[4:12] = kept
    machine.call("smg_decode_thumb", decoder, weights, 40, how)
    assert machine.registers[4:12] == kept
