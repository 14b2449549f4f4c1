"""Random graphs give the same integers in the NumPy reference, in the C engine, and in TFLite Micro."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_engine import HostEngine
from random_graphs import graphs
from smidgen import oracle
from smidgen.blob.reader import read_blob
from smidgen.formats.tflite_reader import parse_tflite
from smidgen.formats.tflite_writer import write_tflite
from smidgen.graph import Graph
from smidgen.lower import lower
from smidgen.network import Network
from smidgen.packer import pack_graph
from smidgen.passes import simplify
from smidgen.reference import run_network, run_steps

# Of working memory: nothing but the least, little, enough for everything, and what is chosen without a limit.
LIMITS = st.sampled_from([0, 700, 2**16, None])


@pytest.fixture(scope="module")
def engine() -> Iterator[HostEngine]:
    with HostEngine() as running:
        yield running


def _inputs(network: Network) -> list[np.ndarray]:
    shape = network.tensors[0].shape
    random = np.random.default_rng(7)
    return [
        random.integers(-128, 128, shape).astype(np.int8),
        np.full(shape, -128, np.int8),
        np.full(shape, 127, np.int8),
        random.choice(np.array([-128, 127], np.int8), shape),
    ]


def _operators(network: Network) -> str:
    return " ".join(operator.kind.name for operator in network.operators)


def _run(network: Network, sample: np.ndarray) -> np.ndarray:
    return run_network(network, [sample])[0].reshape(-1)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), limit=LIMITS)
def test_engine_equals_reference(engine: HostEngine, graph: Graph, limit: int | None) -> None:
    """The output, for random inputs and for the extremes, is that of the graph with all its channels."""
    network = lower(simplify(graph))
    engine.load(pack_graph(graph, arena_limit=limit))
    for sample in _inputs(network):
        expected = _run(network, sample)
        np.testing.assert_array_equal(engine.run([sample])[0].reshape(-1), expected, err_msg=_operators(network))


@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), limit=LIMITS)
def test_every_operator_equals_reference(engine: HostEngine, graph: Graph, limit: int | None) -> None:
    """Stopped after each operator, the engine holds the reference's tensor, once all of it has been written."""
    data = pack_graph(graph, arena_limit=limit)
    network = read_blob(data).network
    engine.load(data)
    last_writer = {operator.output: index for index, operator in enumerate(network.operators)}
    sample = _inputs(network)[0]
    for index, operator, values in run_steps(network, [sample]):
        if index == last_writer[operator.output]:
            engine.run([sample], until=index)
            result = engine.tensor(operator.output).reshape(-1)
            expected = values[operator.output].reshape(-1)
            np.testing.assert_array_equal(result, expected, err_msg=f"operator {index} of {_operators(network)}")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_reference_equals_tflite_micro(graph: Graph) -> None:
    """The model file that the writer makes of the graph is run by an interpreter that shares no code with smidgen."""
    model = write_tflite(graph)
    interpreter = oracle.open_interpreter(model)
    if interpreter is None:
        pytest.skip("neither tflite-micro nor tflite-runtime 2.14.0 is installed")
    network = lower(simplify(parse_tflite(model)))
    for sample in _inputs(network):
        expected = interpreter.run([sample])[0].reshape(-1)
        np.testing.assert_array_equal(_run(network, sample), expected, err_msg=_operators(network))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), limit=LIMITS)
def test_memory_is_what_the_header_says(engine: HostEngine, graph: Graph, limit: int | None) -> None:
    """The engine touches as many bytes as the header asks for, and what they held before is of no matter."""
    data = pack_graph(graph, arena_limit=limit)
    blob = read_blob(data)
    engine.load(data)
    use = engine.memory_use([_inputs(blob.network)[0]])
    assert use.arena_bytes == blob.arena_bytes
    assert use.deterministic, "the result depends on what was in memory before"
