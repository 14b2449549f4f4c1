"""What zeros among the weights save: cycles on a Cortex-M0+ without firmware, and bytes.

    python -m benchmarks.sparsity                          single layers and networks at 0, 50, 80 and 90 % zeros
    python -m benchmarks.sparsity --layer 'conv 1x1'       only layers whose name contains this
    python -m benchmarks.sparsity --model kws              only this network; may be given twice
    python -m benchmarks.sparsity --optimize speed         plans for another goal than balanced
    python -m benchmarks.sparsity --together 2             two neighbouring output channels share their zeros
    python -m benchmarks.sparsity --channels               networks without whole channels

Layers have random weights. The weights of CONV_2D and FULLY_CONNECTED with the least magnitudes in their tensor are set
to zero, depthwise weights stay. They are not trained again, so that their outputs mean nothing; every operator's output
is compared with the host reference all the same. With --channels the least important output channels of all layers
but the last are removed, with the weights of later layers that would read them (channel_pruning.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from benchmarks.bare import BareEngine, WrongResult
from benchmarks.bare_image import BuildError, build_image
from benchmarks.channel_pruning import has_inner_channels, prune_channels
from benchmarks.cortex_m0plus import MachineError
from benchmarks.measure import ModelCycles, measure
from benchmarks.models import FILES, OWN, BenchmarkModel, model_graph
from benchmarks.synthetic import SEED, SPARSE_LAYERS
from benchmarks.tables import console
from rich.table import Table

from smidgen.blob.reader import read_blob
from smidgen.graph import Conv2D, FullyConnected, Graph
from smidgen.huffman import entropy_bits, huffman_bits, symbol_counts
from smidgen.network import Kind, WeightedOperator
from smidgen.packer import pack_graph
from smidgen.plan.band import is_pointwise
from smidgen.plan.optimize import Goal
from smidgen.reference import run_network

SHARES = (0.0, 0.5, 0.8, 0.9)
NETWORKS = (OWN, *FILES)
LAYERS = [name for name in SPARSE_LAYERS if not name.startswith("depthwise")]  # whose weights are pruned


@dataclass(frozen=True)
class Row:
    """One layer or network with a share of zeros. Bits are for each weight of all operators, without code tables and
    without channels that were removed.

    bits: as stored; plain_bits: with a Huffman code of its own for every operator; entropy: of order 0, likewise.
    """

    name: str
    zeros: float
    cycles: int
    times_faster: float  # than without zeros
    pointwise: list[float]  # the same for each pointwise convolution
    blob_bytes: int
    arena_bytes: int
    bits: float
    plain_bits: float
    entropy: float


def prune(graph: Graph, share: float, together: int = 1) -> Graph:
    """Sets the weights with the least real magnitudes to zero, in place, tensor by tensor.

    together: neighbouring output channels whose weights for the same input are kept or pruned together; what is left
    of the channels when they are divided so is pruned as if it were one more group.
    """
    for operator in graph.operators:
        if isinstance(operator, Conv2D | FullyConnected):
            tensor = graph.tensors[operator.weights]
            assert tensor.data is not None
            channels = tensor.shape[0]
            values = np.square(tensor.dequantized().reshape(channels, -1))
            groups = np.add.reduceat(values, np.arange(0, channels, together), axis=0)
            order = np.argsort(groups, axis=None, kind="stable")
            kept = np.ones(groups.size, bool)
            kept[order[: round(share * groups.size)]] = False
            mask = np.repeat(kept.reshape(groups.shape), together, axis=0)[:channels]
            tensor.data = np.where(mask.reshape(tensor.shape), tensor.data, 0).astype(tensor.data.dtype)
    return graph


def _packed(name: str, graph: Graph, goal: Goal) -> BenchmarkModel:
    data = pack_graph(graph, optimize=goal)
    blob = read_blob(data)
    random = np.random.default_rng(SEED)
    shapes = [blob.network.tensors[index].shape for index in blob.network.inputs]
    inputs = [random.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    return BenchmarkModel(name, data, blob, inputs, run_network(blob.network, inputs), "host reference")


def _pointwise_cycles(model: BenchmarkModel, measured: ModelCycles) -> list[int]:
    operators = zip(model.blob.network.operators, measured.operators, strict=True)
    return [
        cycles.cycles
        for operator, cycles in operators
        if isinstance(operator, WeightedOperator) and operator.kind == Kind.CONV_2D and is_pointwise(operator)
    ]


def _row(model: BenchmarkModel, zeros: float, measured: list[ModelCycles], pointwise: list[list[int]]) -> Row:
    """measured, pointwise: without zeros, and with them."""
    operators, storage = model.blob.network.operators, model.blob.storage
    counts = [symbol_counts(operator.weights) for operator in operators if isinstance(operator, WeightedOperator)]
    weights = sum(int(count.sum()) for count in counts)
    return Row(
        name=model.name,
        zeros=zeros,
        cycles=measured[1].cycles,
        times_faster=round(measured[0].cycles / measured[1].cycles, 2),
        pointwise=[round(dense / pruned, 2) for dense, pruned in zip(*pointwise, strict=True)],
        blob_bytes=len(model.data),
        arena_bytes=model.blob.arena_bytes,
        bits=round(sum(storage[index].bits for index in storage) / weights, 3),
        plain_bits=round(sum(map(huffman_bits, counts)) / weights, 3),
        entropy=round(sum(map(entropy_bits, counts)) / weights, 3),
    )


def _measured(engine: BareEngine, name: str, pruned: Callable[[float], Graph], goal: Goal) -> Iterator[Row]:
    dense: tuple[ModelCycles, list[int]] | None = None
    for share in SHARES:
        model = _packed(name, pruned(share), goal)
        measured = measure(engine, model)
        pointwise = _pointwise_cycles(model, measured)
        dense = dense or (measured, pointwise)
        yield _row(model, share, [dense[0], measured], [dense[1], pointwise])


def _rows(arguments: argparse.Namespace, engine: BareEngine) -> Iterator[Row]:
    goal = Goal(arguments.optimize)
    for name in LAYERS:
        if arguments.layer in name if arguments.layer is not None else not (arguments.model or arguments.channels):
            yield from _measured(engine, name, partial(_pruned_layer, name, arguments.together), goal)
    for name in arguments.model or (NETWORKS if arguments.layer is None else ()):
        graph = model_graph(name)
        if graph is not None and arguments.channels and not has_inner_channels(graph):
            sys.stderr.write(f"{name}: skipped, it has no channels between two layers that mix channels\n")
            continue
        if graph is None:
            sys.stderr.write(f"{name}: skipped, the folder of reference models is not here; set SMIDGEN_MODELS to it\n")
            continue
        together = None if arguments.channels else arguments.together
        yield from _measured(engine, name, partial(_pruned_model, name, together), goal)


def _pruned_layer(name: str, together: int, share: float) -> Graph:
    return prune(SPARSE_LAYERS[name](0), share, together)


def _pruned_model(name: str, together: int | None, share: float) -> Graph:
    """together: as in `prune`; None: whole channels."""
    graph = model_graph(name)
    assert graph is not None
    return prune_channels(graph, share) if together is None else prune(graph, share, together)


def _table(rows: list[Row]) -> Table:
    table = Table(title="Zeros among the weights, bare, Cortex-M0+ cycles")
    table.add_column("layer or network", no_wrap=True)
    sizes = "blob", "arena", "bits per weight", "plain Huffman", "entropy"
    for column in ("zeros", "cycles", "times faster", "pointwise", *sizes):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.name, f"{row.zeros:.0%}", f"{row.cycles:,}", f"{row.times_faster:.2f}", _range(row.pointwise),
            f"{row.blob_bytes:,}", f"{row.arena_bytes:,}", f"{row.bits:.2f}", f"{row.plain_bits:.2f}",
            f"{row.entropy:.2f}",
        )  # fmt: skip
    return table


def _range(values: list[float]) -> str:
    """From the least to the greatest."""
    if not values:
        return "-"
    ends = sorted({f"{min(values):.2f}", f"{max(values):.2f}"}, key=float)
    return " .. ".join(ends)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sparsity", description="What zeros save.")
    parser.add_argument("--layer", metavar="TEXT", help="only the single layers whose name contains TEXT")
    parser.add_argument("--model", choices=NETWORKS, action="append", help="only this network; may be given twice")
    parser.add_argument(
        "--together",
        type=int,
        default=1,
        metavar="N",
        help="prune the weights of N neighbouring output channels together",
    )
    parser.add_argument("--channels", action="store_true", help="networks without their least important channels")
    parser.add_argument("--optimize", choices=[goal.value for goal in Goal], default=Goal.BALANCED.value)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, the table on stderr")
    arguments = parser.parse_args(argv)
    if arguments.layer is not None and not any(arguments.layer in name for name in LAYERS):
        parser.error(f"no layer has {arguments.layer!r} in its name; there are: {'; '.join(LAYERS)}")
    if arguments.channels and (arguments.layer is not None or arguments.together != 1):
        parser.error("--channels is for networks, and not together with --layer or --together")
    if arguments.together < 1:
        parser.error(f"--together is {arguments.together}, it has to be at least 1")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0, 1 for a wrong result, 2 for wrong usage, 5 when it could not be built or run."""
    arguments = _parse(argv)
    try:
        rows = list(_rows(arguments, BareEngine(build_image())))
    except WrongResult as error:
        print(f"wrong result: {error}", file=sys.stderr)
        return 1
    except (BuildError, MachineError, OSError) as error:
        print(error, file=sys.stderr)
        return 5
    console(stderr=arguments.json).print(_table(rows))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
