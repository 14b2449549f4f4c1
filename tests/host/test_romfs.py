"""ROMFS images, read by MicroPython."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from smidgen.link.virtual.unix import find_executable
from smidgen.romfs import ALIGNMENT, build_romfs

# Prints {path: (contents, address modulo ALIGNMENT, whether the image was copied)}.
READ = f"""
import os, uctypes, vfs
with open("image", "rb") as file:
    source = file.read()
# Something that starts at a multiple of {ALIGNMENT}, as a partition does.
room = bytearray(len(source) + {ALIGNMENT})
start = -uctypes.addressof(room) % {ALIGNMENT}
image = memoryview(room)[start : start + len(source)]
image[:] = source
vfs.mount(vfs.VfsRom(image), "/rom")
found = {{}}
def walk(folder):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind & 0x4000:
            walk(path)
        else:
            view = memoryview(open(path, "rb"))
            address = uctypes.addressof(view)
            inside = 0 <= address - uctypes.addressof(image) <= len(image)
            found[path[5:]] = (bytes(view), address % {ALIGNMENT}, not inside)
walk("/rom")
print(found)
"""


@pytest.fixture
def micropython() -> str:
    try:
        return str(find_executable())
    except Exception as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": b"x"},
        {"empty": b""},
        {"kws.smg": bytes(range(256)) * 107, "labels.txt": b"yes\nno\n"},
        {"lib/a/b.py": b"print(1)", "lib/c.py": b"", "z": b"z" * 127, "y": b"y" * 128, "x": b"x" * 16384},
        {f"file{n}": bytes([n]) * n for n in range(40)},
        {"ä/ö.smg": b"umlauts"},
    ],
)
def test_micropython_reads_aligned_files_in_place(micropython: str, tmp_path: Path, files: dict[str, bytes]) -> None:
    image = build_romfs(files)
    assert len(image) % 2 == 0
    (tmp_path / "image").write_bytes(image)
    run = subprocess.run([micropython, "-c", READ], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.stderr == "", run.stderr
    assert ast.literal_eval(run.stdout) == {path: (data, 0, False) for path, data in files.items()}


@pytest.mark.parametrize("name", ["", "/", "a//b"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a file"):
        build_romfs({name: b""})


def test_a_file_cannot_be_a_folder() -> None:
    with pytest.raises(ValueError, match="'a' is a file and a folder"):
        build_romfs({"a": b"", "a/b": b""})
    with pytest.raises(ValueError, match="'a' is there twice, or a file and a folder"):
        build_romfs({"a/b": b"", "a": b""})
