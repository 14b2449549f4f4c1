"""Which smidgen.mpy a board needs, and where it lies on this computer.

A native module exists once for each architecture. A board says in `sys.implementation._mpy` which it loads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from smidgen.errors import InputError

FILE_NAME = "smidgen.mpy"
DIRECTORY_VARIABLE = "SMIDGEN_NATMOD_DIR"

# By MicroPython's number (MP_NATIVE_ARCH_... in py/persistentcode.h); 0 is "no native code".
ARCHITECTURES: tuple[str | None, ...] = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc", "rv64imc",
)  # fmt: skip
ARM = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")  # each runs the code of those before it


def architecture(mpy: int) -> str | None:
    """The architecture in a board's `sys.implementation._mpy`; None if it loads no native code."""
    number = mpy >> 10 & 0xF
    return ARCHITECTURES[number] if number < len(ARCHITECTURES) else None


def accepted(arch: str) -> list[str]:
    """Architectures whose modules a board of `arch` loads, the best first."""
    return [*reversed(ARM[: ARM.index(arch) + 1])] if arch in ARM else [arch]


def file_architecture(data: bytes, name: str) -> str | None:
    """The architecture a .mpy file was built for; None if it holds bytecode only."""
    if len(data) < 4 or data[0] != ord("M"):
        raise InputError(f"{name} is not a .mpy file: it does not start with 'M'")
    if data[1] != 6:
        raise InputError(f"{name} has .mpy version {data[1]}; smidgen needs version 6, so rebuild it")
    number = data[2] >> 2
    return ARCHITECTURES[number] if number < len(ARCHITECTURES) else None


def find(arch: str) -> Path:
    """The smidgen.mpy for a board of `arch`: from $SMIDGEN_NATMOD_DIR, a checkout's build, or the package."""
    for directory in directories():
        for candidate in accepted(arch):
            path = directory / candidate / FILE_NAME
            if path.is_file():
                return path
    existing = sorted({path.parent.name for directory in directories() for path in directory.glob(f"*/{FILE_NAME}")})
    raise InputError(
        f"there is no {FILE_NAME} for {arch}; there is one for: {', '.join(existing) or 'no architecture at all'}. "
        f"Build it with `make natmod ARCH={arch}`, or let {DIRECTORY_VARIABLE} name a folder with {arch}/{FILE_NAME}"
    )


def directories() -> Iterator[Path]:
    """Folders with one sub-folder for each architecture, in the order in which they are searched."""
    if named := os.environ.get(DIRECTORY_VARIABLE):
        yield Path(named)
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    if (checkout / "native" / "module").is_dir():
        yield checkout / ".cache" / "natmod"
    yield package / "natmod"
