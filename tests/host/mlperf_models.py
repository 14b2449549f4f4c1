"""Quick networks of the sizes of MLPerf Tiny's."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from graph_builder import GraphBuilder

from smidgen import graph as g
from smidgen.packer import pack_graph


def sized_blob(
    folder: Path, input_shape: Sequence[int] = (1, 490), output_shape: Sequence[int] = (1, 12), scale: float = 0.5
) -> Path:
    """One dense layer. The input is quantised as that of kws01's reference model; scale: of the output."""
    b = GraphBuilder()
    b.tensor("x", input_shape, 0.58470291, 83)
    b.tensor("y", output_shape, scale, -20)
    weights = b.weights("w", (prod(output_shape), prod(input_shape)), 0)
    b.append(g.FullyConnected(["x"], "y", weights=weights, activation=g.Activation.NONE))
    path = folder / "small.smg"
    path.write_bytes(pack_graph(b.finish(["x"], ["y"])))
    return path


def anomaly_blob(folder: Path) -> Path:
    """Of the sizes of ad01."""
    b = GraphBuilder()
    b.tensor("x", (1, 640), 0.39, 89)
    b.tensor("y", (1, 640), 1 / 256, -128)
    b.append(g.Logistic(["x"], "y"))
    path = folder / "anomaly.smg"
    path.write_bytes(pack_graph(b.finish(["x"], ["y"])))
    return path
