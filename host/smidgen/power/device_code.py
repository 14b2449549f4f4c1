"""MicroPython code that a measurement puts on a board: device/power/*.py, without comments, and its removal."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

from smidgen.errors import InputError

_PREFIX = "Smidgen"  # of all names that it leaves there


@lru_cache
def device_code(name: str) -> str:
    """The file `name`.py as code for one `exec`: no comments, no docstrings, indented by one space."""
    path = _directory() / f"{name}.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}, a part of smidgen: {error.strerror}; install smidgen again") from error
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return re.sub(r"^(?: {4})+", lambda indent: " " * (len(indent.group()) // 4), ast.unparse(tree), flags=re.MULTILINE)


def remove_code(*names: str) -> str:
    """Takes those global names off the board again, and all classes of this package."""
    return (
        f"for _ in [n for n in globals() if n.startswith({_PREFIX!r}) or n in {names!r}]: globals().pop(_)\n"
        "__import__('gc').collect()"
    )


def _directory() -> Path:
    package = Path(__file__).resolve().parent
    checkout = package.parents[2]
    return checkout / "device" / "power" if (checkout / "device" / "power").is_dir() else package / "device"
