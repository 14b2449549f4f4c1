"""Which smidgen.mpy a board gets, and what a user reads when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.errors import BoardError, InputError
from smidgen.link import natmod


def mpy(arch: str | None, version: int = 6, sub_version: int = 3, flags: int = 0) -> int:
    """`sys.implementation._mpy` of a board."""
    return version | sub_version << 8 | natmod.ARCHITECTURES.index(arch) << 10 | flags << 16


def header(arch: str | None, version: int = 6, sub_version: int = 3) -> bytes:
    """The first bytes of a .mpy file."""
    return bytes([ord("M"), version, natmod.ARCHITECTURES.index(arch) << 2 | sub_version, 31])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the only one that is searched."""
    monkeypatch.setattr(natmod, "directories", lambda: iter([tmp_path]))
    return tmp_path


def put(folder: Path, *architectures: str) -> None:
    for arch in architectures:
        (folder / arch).mkdir()
        (folder / arch / "smidgen.mpy").write_bytes(header(arch))


@pytest.mark.parametrize(
    ("value", "arch"),
    [(2822, "x64"), (4870, "armv6m"), (7942, "armv7emsp"), (11014, "xtensawin"), (12038, "rv32imc")],
)
def test_values_that_boards_give(value: int, arch: str) -> None:
    assert mpy(arch) == value
    assert natmod.required_architecture((1, 25, 0), value) == arch


def test_flags_of_newer_firmware_are_no_architecture() -> None:
    assert natmod.required_architecture((1, 28, 0), mpy("rv32imc", flags=3)) == "rv32imc"


def test_the_identity_expression_is_made_of_what_boards_have() -> None:
    class Implementation:
        version = (1, 29, 0, "preview")
        _mpy = 2822

    class Sys:
        implementation = Implementation

    assert eval(natmod.IDENTITY, {"__import__": lambda name: Sys}) == ((1, 29, 0), 2822)
    del Implementation._mpy
    assert eval(natmod.IDENTITY, {"__import__": lambda name: Sys}) == ((1, 29, 0), 0)


@pytest.mark.parametrize(
    ("version", "value", "message"),
    [
        ((1, 23, 0), mpy("armv6m"), r"has MicroPython 1\.23\.0: smidgen needs 1\.24 or newer"),
        ((1, 18, 0), 0, r"has MicroPython 1\.18\.0: smidgen needs 1\.24"),
        ((1, 24, 1), 0, r"MicroPython 1\.24\.1\) is built without \.mpy files"),
        ((1, 24, 1), mpy(None), r"MicroPython 1\.24\.1\) loads no native modules: .*1\.25 or newer on RISC-V"),
        (
            (1, 40, 0),
            mpy("armv6m", version=7, sub_version=0),
            r"loads \.mpy files of version 7\.0, this smidgen has 6\.3",
        ),
        ((1, 24, 0), mpy("armv6m", sub_version=2), r"loads \.mpy files of version 6\.2, this smidgen has 6\.3"),
    ],
)
def test_firmware_that_cannot_load_it(version: tuple[int, ...], value: int, message: str) -> None:
    with pytest.raises(BoardError, match=message):
        natmod.required_architecture(version, value)


def test_the_best_file_that_an_arm_board_loads(folder: Path) -> None:
    put(folder, "armv6m", "armv7m")
    assert natmod.find("armv6m").parent.name == "armv6m"
    assert natmod.find("armv7em").parent.name == "armv7m"
    assert natmod.find("armv7emdp").parent.name == "armv7m"
    put(folder, "armv7emsp")
    assert natmod.find("armv7emdp").parent.name == "armv7emsp"
    assert natmod.find("armv7em").parent.name == "armv7m"


def test_the_users_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "armv6m")
    monkeypatch.setenv("SMIDGEN_NATMOD_DIR", str(tmp_path))
    assert natmod.find("armv6m") == tmp_path / "armv6m" / "smidgen.mpy"


def test_no_file_in_a_checkout(folder: Path) -> None:
    put(folder, "armv6m", "x64")
    with pytest.raises(
        InputError, match=r"no smidgen\.mpy for xtensawin; there is one for: armv6m, x64\. Build it"
    ) as e:
        natmod.find("xtensawin")
    assert "Build it with `make natmod ARCH=xtensawin`, or let SMIDGEN_NATMOD_DIR name" in str(e.value)


def test_no_file_in_an_installed_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natmod, "_checkout", lambda: None)
    with pytest.raises(
        InputError, match=r"one for: no architecture at all\. Build it .* in a checkout of smidgen, and let"
    ):
        natmod.find("rv32imc")


def test_the_advice_names_an_architecture_that_can_be_built(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no smidgen\.mpy for armv7emdp; .*ARCH=armv7emsp`"):
        natmod.find("armv7emdp")
    with pytest.raises(InputError, match=r"not built for xtensa, only for: x64, armv6m, .*xtensawin"):
        natmod.find("xtensa")


def test_architecture_of_a_file() -> None:
    assert natmod.file_architecture(header("rv32imc"), "a.mpy") == "rv32imc"
    assert natmod.file_architecture(header(None, sub_version=0), "bytecode.mpy") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.mpy is not a .mpy file"),
        (b"PK\x03\x04", "a.mpy is not a .mpy file"),
        (header("x64", version=5), r"version 5\.3; smidgen needs 6\.3"),
        (header("x64", sub_version=2), r"version 6\.2; smidgen needs 6\.3"),
        (header(None, version=5), r"version 5\.3; smidgen needs 6\.3"),
    ],
)
def test_files_that_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        natmod.file_architecture(data, "a.mpy")
