"""The stub of the board's module says what the module has, and type checkers understand it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smidgen.errors import BoardError
from smidgen.link.session import Board

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "device" / "stubs"
STUB = STUBS / "smidgen.pyi"
SOURCE = ROOT / "device" / "smidgen" / "model.py"

GOOD = """
from array import array
import smidgen
m = smidgen.Model("kws.smg")
m.input = array("b", [1, 2])
m.run(until=3)
scores = m.predict([1.0, 2.0], b"ab")
label, score = m.top(1)[0]
print(score + 0.5, smidgen.__version__.split("."))
for index, name, shape, macs, microseconds in m.profile():
    print(index + macs + microseconds + shape[0], name.lower(), m.tensor(index)[0])
print([label.upper() for label in m.labels or []], m.info(0)[1], m.metadata["name"], m.selftest() + 1)
"""
BAD = ("m.run(last=3)", "m.output = b'x'", "m.topp()", "smidgen.Model()", "m.input = 'text'")


def stub_class() -> ast.ClassDef:
    (found,) = (node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef))
    return found


def source_class() -> ast.ClassDef:
    classes = {node.name: node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.ClassDef)}
    return classes["Model"]


def signatures(definition: ast.ClassDef) -> dict[str, list[tuple[str, str]]]:
    """Parameters of every public method: name, and default as text; a star before the name of the variable ones."""
    found = {}
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
            arguments = node.args
            defaults = [""] * (len(arguments.args) - len(arguments.defaults)) + list(
                map(ast.unparse, arguments.defaults)
            )
            parameters = [(each.arg, default) for each, default in zip(arguments.args, defaults, strict=True)]
            star = [(f"*{arguments.vararg.arg}", "")] if arguments.vararg else []
            kind = "".join(f"@{ast.unparse(decorator)} " for decorator in node.decorator_list)
            found[kind + node.name] = parameters[1:] + star
    return found


def attributes(definition: ast.ClassDef) -> set[str]:
    return {
        node.target.id
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def test_signatures_are_those_of_the_source() -> None:
    assert signatures(stub_class()) == signatures(source_class())


@pytest.fixture
def module(board: Board, dense_blob: Path) -> Board:
    """A board with smidgen imported and a model loaded as m."""
    board.install()
    board.exec("import smidgen")
    board.put_file("dense.smg", dense_blob.read_bytes())
    board.exec("m = smidgen.Model('dense.smg')")
    return board


def test_names_are_those_on_the_board(module: Board) -> None:
    public = module.eval(
        "sorted(n for n in dir(smidgen) if n[0] != '_' and n != 'array'"
        " and type(getattr(smidgen, n)) is not type(smidgen))"
    )
    assert public == ["Model"]
    assert isinstance(module.eval("smidgen.__version__"), str)
    names = set(module.eval("[n for n in dir(m) if n[0] != '_']"))
    methods = {name.split()[-1] for name in signatures(stub_class())} - {"__init__"}
    assert names == methods | attributes(stub_class())


def test_the_board_takes_the_parameters_by_name(module: Board) -> None:
    """With values that are refused for what they are: a name that does not exist is refused before that."""
    for name, parameters in signatures(stub_class()).items():
        named = [parameter for parameter, _ in parameters if not parameter.startswith("*")]
        if named and not name.startswith("@"):
            function = "smidgen.Model" if name == "__init__" else f"m.{name}"
            arguments = ", ".join(f"{parameter}=-5" for parameter in named)
            with pytest.raises(BoardError, match=r"^ValueError: "):
                module.exec(f"{function}({arguments})")
    with pytest.raises(BoardError, match=r"^TypeError: .*unexpected keyword"):
        module.exec("m.run(last=1)")


def mypy(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "main.py"
    path.write_text(program)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-site-packages",
        "--no-incremental",
        "--config-file=",
        "main.py",
    ]
    return subprocess.run(
        command, cwd=folder, env=environment | {"MYPYPATH": str(STUBS)}, capture_output=True, text=True, check=False
    )


def test_a_type_checker_accepts_what_is_right(tmp_path: Path) -> None:
    result = mypy(GOOD, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_type_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    result = mypy(GOOD + "\n".join(BAD) + "\n", tmp_path)
    first = GOOD.count("\n") + 1
    wrong = {int(line.split(":")[1]) for line in result.stdout.splitlines() if ": error:" in line}
    assert wrong == set(range(first, first + len(BAD)))
