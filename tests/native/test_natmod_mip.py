"""mpremote installs a package for mip, made of the module that was built, on a board."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import smidgen
from smidgen.link.virtual import create_virtual_board

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / ".cache" / "natmod"


def test_mpremote_installs_it_from_a_local_path(tmp_path: Path) -> None:
    if not (MODULES / "x64" / "smidgen.mpy").is_file():
        pytest.skip("the native module for x64 is not built (make natmod ARCH=x64)")
    tool = [sys.executable, str(ROOT / "boards" / "mip_packages.py"), str(MODULES), str(tmp_path)]
    subprocess.run(tool, check=True, capture_output=True)
    package = tmp_path / "x64" / "package.json"
    assert json.loads(package.read_text())["version"] == smidgen.__version__
    board = create_virtual_board("sim:unix", None)
    board.start()
    try:
        mpremote = [sys.executable, "-m", "mpremote", "connect", board.port, "mip", "install", str(package)]
        mpremote += ["+", "exec", "import smidgen; print(smidgen.__version__)"]
        result = subprocess.run(mpremote, capture_output=True, text=True, timeout=60)
    finally:
        board.close()
    assert result.returncode == 0, (result.stdout, result.stderr, board.failure)
    assert "Installing: /lib/smidgen.mpy" in result.stdout, result.stderr
    # mpremote's own lines and the board's may come in either order.
    assert smidgen.__version__ in result.stdout.splitlines(), (result.stdout, result.stderr)
