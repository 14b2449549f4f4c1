"""MicroPython code that a measurement or a stream puts on a board, without comments, and its removal."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

from smidgen.errors import InputError

_PREFIX = "Smidgen"  # of all names that it leaves there


@lru_cache
def device_code(name: str, folder: str = "power") -> str:
    """The file device/`folder`/`name`.py as code for one `exec`: no comments, no docstrings, indented by one space.

    All names that it makes global begin with `Smidgen`, modules too: the board's own `time` is its user's.
    """
    path = _directory(folder) / f"{name}.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}, a part of smidgen: {error.strerror}; install smidgen again") from error
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    code = ast.unparse(_RenameModules().visit(tree))
    return re.sub(r"^(?: {4})+", lambda indent: " " * (len(indent.group()) // 4), code, flags=re.MULTILINE)


class _RenameModules(ast.NodeTransformer):
    """`import time` becomes `import time as Smidgen_time`. Imports stand at the top, before what uses them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> ast.Import:
        for alias in node.names:
            self._names[alias.name] = alias.asname = f"{_PREFIX}_{alias.name}"
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._names.get(node.id, node.id)
        return node


def remove_code(*names: str) -> str:
    """Takes those global names off the board again, and all of this package's."""
    return (
        f"for _ in [n for n in globals() if n.startswith({_PREFIX!r}) or n in {names!r}]: globals().pop(_)\n"
        "globals().pop('_', None)\n__import__('gc').collect()"
    )


def _directory(folder: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / "device" / folder
    return checkout if checkout.is_dir() else package / folder / "device"
