"""Which smidgen.mpy a board needs, and where it lies on this computer.

A native module exists once for each architecture. A board says in `sys.implementation._mpy` which it loads:
the version of .mpy files in bits 0 to 7, their sub-version, which matters to native code only, in bits 8 and 9, and
the number of the architecture in bits 10 to 13. It is the same in the second and third byte of a .mpy file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smidgen.architectures import ARCHITECTURES
from smidgen.errors import BoardError, InputError
from smidgen.link.named_folder import named_folder

FILE_NAME = "smidgen.mpy"
LIBRARY = "lib/"  # on every board's sys.path; relative, because some boards' file system is not at "/"
BOARD_FILE = LIBRARY + FILE_NAME
PACKAGE = Path(__file__).resolve().parents[1]
DIRECTORY_VARIABLE = "SMIDGEN_NATMOD_DIR"

OLDEST_MICROPYTHON = (1, 24)  # before, the memory that holds native code could be collected
MPY_VERSION = 6
MPY_SUB_VERSION = 3  # since MicroPython 1.23

BUILT = ("x64", "armv6m", "armv7m", "armv7emsp", "rv32imc", "xtensawin")  # what `make natmod` can build
ARM = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")  # each runs the code of those before it


# To be evaluated on a board; the arguments of `required_architecture`.
IDENTITY = "(lambda i: (tuple(i.version[:3]), getattr(i, '_mpy', 0)))(__import__('sys').implementation)"


def version_text(version: tuple[int | str, ...]) -> str:
    """A board's `sys.implementation.version`, (1, 29, 0, "preview"), as people write it."""
    number = ".".join(map(str, version[:3]))
    return f"{number}-{version[3]}" if len(version) > 3 and version[3] else number


def architecture(mpy: int) -> str | None:
    """The architecture in a board's `sys.implementation._mpy`; None if it loads no native code."""
    return _architecture_name(mpy >> 10 & 0xF)


def _architecture_name(number: int) -> str | None:
    return ARCHITECTURES[number] if number < len(ARCHITECTURES) else None


def required_architecture(version: tuple[int, ...], mpy: int) -> str:
    """The architecture of a board that says this of itself; BoardError if its firmware cannot load smidgen.mpy."""
    number = ".".join(map(str, version))
    if version < OLDEST_MICROPYTHON:
        raise BoardError(f"the board has MicroPython {number}: smidgen needs 1.24 or newer, so flash that")
    if mpy == 0:
        raise BoardError(f"this firmware (MicroPython {number}) is built without .mpy files: flash an official one")
    if (mpy & 0xFF, mpy >> 8 & 3) != (MPY_VERSION, MPY_SUB_VERSION):
        raise BoardError(
            f"this firmware (MicroPython {number}) loads .mpy files of version {mpy & 0xFF}.{mpy >> 8 & 3}, this "
            f"smidgen has {MPY_VERSION}.{MPY_SUB_VERSION}: look for a newer smidgen, or flash MicroPython 1.24 to 1.29"
        )
    arch = architecture(mpy)
    if arch is None:
        raise BoardError(
            f"this firmware (MicroPython {number}) loads no native modules: flash an official one, of 1.25 or newer on "
            f"RISC-V chips (ESP32-C3, ESP32-C6), or build firmware with smidgen inside (docs/natmod.md)"
        )
    return arch


def accepted(arch: str) -> list[str]:
    """Architectures whose modules a board of `arch` loads, the best first."""
    return [*reversed(ARM[: ARM.index(arch) + 1])] if arch in ARM else [arch]


def file_architecture(data: bytes, name: str) -> str | None:
    """The architecture a .mpy file was built for; None if it holds bytecode only. InputError if it is unsuitable."""
    if len(data) < 4 or data[0] != ord("M"):
        raise InputError(f"{name} is not a .mpy file: it does not start with 'M'")
    arch = _architecture_name(data[2] >> 2 & 0xF)
    if data[1] != MPY_VERSION or (arch and data[2] & 3 != MPY_SUB_VERSION):
        raise InputError(
            f"{name} has .mpy version {data[1]}.{data[2] & 3}; smidgen needs {MPY_VERSION}.{MPY_SUB_VERSION}, "
            f"so rebuild it with the tools of MicroPython 1.24 or newer"
        )
    return arch


def find(arch: str) -> Path:
    """The smidgen.mpy for a board of `arch`: from $SMIDGEN_NATMOD_DIR, a checkout's build, or the package.

    InputError if there is none.
    """
    if path := find_built(arch):
        return path
    existing = sorted({path.parent.name for directory in directories() for path in directory.glob(f"*/{FILE_NAME}")})
    raise InputError(
        f"there is no {FILE_NAME} for {arch}; there is one for: {', '.join(existing) or 'no architecture at all'}. "
        + _how_to_build(arch)
    )


def find_built(arch: str) -> Path | None:
    """What `find` finds; None if there is none."""
    for directory in directories():
        for candidate in accepted(arch):
            path = directory / candidate / FILE_NAME
            if path.is_file():
                return path
    return None


def _how_to_build(arch: str) -> str:
    buildable = next((candidate for candidate in accepted(arch) if candidate in BUILT), None)
    if buildable is None:
        return f"smidgen is not built for {arch}, only for: {', '.join(BUILT)}"
    command = f"`make natmod ARCH={buildable}`"
    if _checkout() is None:
        return (
            f"Build it with {command} in a checkout of smidgen, and let {DIRECTORY_VARIABLE} name a folder "
            f"with {buildable}/{FILE_NAME}"
        )
    return f"Build it with {command}, or let {DIRECTORY_VARIABLE} name a folder with {buildable}/{FILE_NAME}"


def directories() -> Iterator[Path]:
    """Folders with one sub-folder for each architecture, in the order in which they are searched.

    InputError if the user's is missing.
    """
    if named := named_folder(DIRECTORY_VARIABLE):
        yield named
    if checkout := _checkout():
        yield checkout / ".cache" / "natmod"
    yield PACKAGE / "natmod"


def _checkout() -> Path | None:
    """The checkout that this package is part of; None if it is installed."""
    root = PACKAGE.parents[1]
    return root if (root / "native" / "module").is_dir() else None
