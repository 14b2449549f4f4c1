"""What the reader refuses, and how it says so. (That it reads right is shown by the golden models.)"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import tflite
from graph_builder import GraphBuilder

from models import model_path
from smidgen import graph as g
from smidgen.errors import InputError, ModelError
from smidgen.formats.tflite_reader import parse_tflite, read_tflite
from smidgen.formats.tflite_writer import write_tflite
from smidgen.formats.unsupported import UnsupportedModelError


def _three_relus() -> bytes:
    b = GraphBuilder()
    for name in ("x", "a", "b", "y"):
        b.tensor(name, (1, 4))
    b.append(g.Relu(["x"], "a"))
    b.append(g.Logistic(["a"], "b"))
    b.append(g.Relu(["b"], "y"))
    b.graph.tensors["b"].quantization = g.Quantization.per_tensor(1 / 256, -128)
    return write_tflite(b.finish(["x"], ["y"]))


def _with_code(model: bytes, old: str, new: str) -> bytes:
    """The model with operator code `old` replaced by `new`."""
    data = bytearray(model)
    parsed = tflite.Model.GetRootAs(model, 0)
    wanted, replacement = (getattr(tflite.BuiltinOperator, name) for name in (old, new))
    for index in range(parsed.OperatorCodesLength()):
        table = parsed.OperatorCodes(index)._tab
        for field, size in ((4, 1), (10, 4)):  # deprecated_builtin_code, builtin_code
            offset = table.Offset(field)
            if offset and data[table.Pos + offset] == wanted:
                data[table.Pos + offset : table.Pos + offset + size] = replacement.to_bytes(size, "little")
    return bytes(data)


def test_every_offending_operator_is_listed() -> None:
    model = _with_code(_three_relus(), "RELU", "TANH")
    with pytest.raises(UnsupportedModelError) as caught:
        parse_tflite(model, "bad.tflite")
    assert [problem.index for problem in caught.value.problems] == [0, 2]
    message = str(caught.value)
    assert "operator 0 TANH ([1, 4] -> [1, 4])" in message
    assert "operator 2 TANH" in message
    assert "supported operators: ADD, AVERAGE_POOL_2D" in message


def test_nothing_is_written_for_an_unsupported_model(tmp_path: Path) -> None:
    from smidgen.packer import pack

    source = tmp_path / "bad.tflite"
    source.write_bytes(_with_code(_three_relus(), "RELU", "TANH"))
    with pytest.raises(UnsupportedModelError):
        pack(source)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tflite"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a \.tflite file"):
        parse_tflite(b"PK\x03\x04 something else")
    with pytest.raises(InputError, match=r"cannot read the model .*none.tflite"):
        read_tflite(tmp_path / "none.tflite")


def test_truncated_and_damaged_files_never_escape_as_other_errors() -> None:
    model = _three_relus()
    for length in range(len(model)):
        with pytest.raises(ModelError):
            parse_tflite(model[:length] if length >= 8 else model[:8][:length])
    generator = random.Random(3)
    for _ in range(300):
        damaged = bytearray(model)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(8, len(damaged))] = generator.randrange(256)
        try:
            parse_tflite(bytes(damaged))
        except ModelError:
            pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda graph: setattr(graph.tensors["x"], "quantization", None), "needs one scale"),
        (lambda graph: setattr(graph.tensors["w"], "quantization", g.Quantization.per_tensor(0.1, 3)), "asymmetric"),
        (
            lambda graph: setattr(graph.tensors["y"], "quantization", g.Quantization.per_tensor(float("inf"), 0)),
            "finite",
        ),
    ],
)
def test_unusable_quantisation(change: object, words: str) -> None:
    b = GraphBuilder()
    b.tensor("x", (1, 4))
    b.tensor("y", (1, 3))
    b.append(g.FullyConnected(["x"], "y", weights=b.constant("w", np.ones((3, 4), np.int8), 0.1)))
    graph = b.finish(["x"], ["y"])
    change(graph)  # type: ignore[operator]
    with pytest.raises(UnsupportedModelError, match=words):
        parse_tflite(write_tflite(graph))


def test_bias_with_a_wrong_quantized_dimension_is_read_right() -> None:
    """person_detect's bias tensors claim a dimension that they do not have."""
    graph = read_tflite(model_path("person_detect"))
    assert sum(operator.kind == "CONV_2D" for operator in graph.operators) == 14
