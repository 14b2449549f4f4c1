"""The tools that tell sizes of native modules and make packages for mip."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

BOARDS = Path(__file__).resolve().parents[2] / "boards"


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BOARDS / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def make_module(folder: Path, arch: str, report: str, size: int) -> Path:
    """What a build leaves of an architecture."""
    path = folder / arch / "smidgen.mpy"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    path.with_name("link.txt").write_text(report)
    path.with_name("compiler.txt").write_text(f"{arch}-gcc 12.2.1\n")
    return path


def test_sizes(tmp_path: Path) -> None:
    make_module(tmp_path, "xtensawin", "text size:    11000\nrodata size:  950\nbss size:     72\n", 16_000)
    make_module(
        tmp_path, "armv6m", "Loading libgcc.a\ntext size:    12948\nbss size:     72\nGOT entries:  4\n", 18_238
    )
    assert run("natmod_sizes.py", tmp_path).stdout.splitlines() == [
        "| arch      |   text | rodata | bss |    RAM |   file | compiler             |",
        "| --------- | -----: | -----: | --: | -----: | -----: | -------------------- |",
        "| armv6m    | 12,948 |      - |  72 | 13,020 | 18,238 | armv6m-gcc 12.2.1    |",
        "| xtensawin | 11,000 |    950 |  72 | 12,022 | 16,000 | xtensawin-gcc 12.2.1 |",
    ]
    document = json.loads(run("natmod_sizes.py", "--json", tmp_path).stdout)
    assert document[1] == {
        "arch": "xtensawin", "text": 11000, "rodata": 950, "bss": 72, "ram": 12022, "file": 16000,
        "compiler": "xtensawin-gcc 12.2.1",
    }  # fmt: skip


def test_sizes_without_modules_or_reports(tmp_path: Path) -> None:
    nothing = run("natmod_sizes.py", tmp_path)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "run 'make natmod' first" in nothing.stderr
    make_module(tmp_path, "x64", "bss size: 3\n", 10)
    unknown = run("natmod_sizes.py", tmp_path)
    assert unknown.returncode == 1
    assert "link.txt does not tell the size of the text; build it again with 'make natmod'" in unknown.stderr


def test_mip_packages(tmp_path: Path) -> None:
    modules = tmp_path / "natmod"
    modules.mkdir()
    module = make_module(modules, "armv6m", "", 10)
    make_module(modules, "x64", "", 20)
    output = tmp_path / "mip"
    for _ in range(2):  # a second time changes nothing
        result = run("mip_packages.py", modules, output)
        assert result.stdout.splitlines() == [str(output / arch / "package.json") for arch in ("armv6m", "x64")]
    package = json.loads((output / "armv6m" / "package.json").read_text())
    assert package == {"urls": [["smidgen.mpy", "smidgen.mpy"]], "version": version("smidgen")}
    assert (output / "armv6m" / "smidgen.mpy").read_bytes() == module.read_bytes()


def test_no_module_no_mip_packages(tmp_path: Path) -> None:
    result = run("mip_packages.py", tmp_path, tmp_path / "mip")
    assert result.returncode == 1
    assert "run 'make natmod' first" in result.stderr
