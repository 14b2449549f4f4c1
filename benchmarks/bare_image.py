"""The engine's core as a flat image for the RP2040's SRAM, compiled as the native module is, without firmware."""

from __future__ import annotations

import bisect
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

CORE = Path(__file__).resolve().parents[1] / "native" / "core"
COMPILER = "arm-none-eabi-gcc"
COMPILERS = 2  # at a time
COMPILED = "compiled weights"  # code that the engine makes
ORIGIN = 0x2000_0100  # the image starts here; what lies below is the harness's

# Those of native/module/Makefile for ARCH=armv6m; tests/native/test_cycle_harness.py compares them.
FLAGS = (
    "-std=c99",
    "-mthumb",
    "-mcpu=cortex-m0",
    "-fpic",
    "-fno-common",
    "-O2",
    "-fno-tree-loop-distribute-patterns",
    "-fno-jump-tables",
    "-Os",  # the last one counts
    "-fno-tree-loop-im",
    "-fno-tree-ch",
    "-fno-tree-vrp",
    "-fno-tree-dominator-opts",
)


class BuildError(Exception):
    """The compiler is missing or refused the sources; the message holds its output."""


@dataclass(frozen=True)
class Region:
    """Code or data of one source file (or library member) in the image."""

    start: int
    size: int
    file: str  # without folder and suffix: conv_2d; members of libgcc are `libgcc`


@dataclass(frozen=True)
class Image:
    """A linked program: bytes from ORIGIN on, addresses of its functions, and which file made what."""

    data: bytes
    functions: dict[str, int]
    regions: tuple[Region, ...]  # of code, ascending
    text_bytes: int  # code and constants

    def file_at(self, address: int) -> str:
        """The source file whose code is at an address, or COMPILED outside the image's code."""
        index = bisect.bisect_right(self._region_starts, address) - 1
        if index < 0 or address >= self.regions[index].start + self.regions[index].size:
            return COMPILED
        return self.regions[index].file

    def function_at(self, address: int) -> str:
        """The function an address belongs to: the last one that starts at or before it; "" if there is none."""
        if self.file_at(address) == COMPILED and address >= ORIGIN + len(self.data):
            return COMPILED
        index = bisect.bisect_right(self._function_starts, address) - 1
        return self._function_names[index] if index >= 0 else ""

    @cached_property
    def _region_starts(self) -> list[int]:
        return [region.start for region in self.regions]

    @cached_property
    def _function_names(self) -> list[str]:
        return sorted(self.functions, key=lambda name: self.functions[name])

    @cached_property
    def _function_starts(self) -> list[int]:
        return [self.functions[name] for name in self._function_names]


def build_image(flags: Sequence[str] = (), core: Path = CORE) -> Image:
    """Compile and link all C files of a folder.

    flags: added after those of the native module, so that they win. core: another folder with the same interface.
    Raises BuildError.
    """
    sources = sorted(core.glob("*.c"))
    if not sources:
        raise BuildError(f"there are no C files in {core}")
    if shutil.which(COMPILER) is None:
        raise BuildError(f"{COMPILER} is missing: install the package gcc-arm-none-eabi")
    with tempfile.TemporaryDirectory(prefix="smidgen-bare-") as name:
        folder = Path(name)
        with ThreadPoolExecutor(COMPILERS) as pool:
            objects = list(pool.map(lambda source: _compile(source, folder, flags), sources))
        program, listing = folder / "image.elf", folder / "image.map"
        _run(
            [
                *(COMPILER, "-mthumb", "-mcpu=cortex-m0", "-nostdlib", "-Wl,--entry=0", f"-Wl,-Ttext={ORIGIN:#x}"),
                *(f"-Wl,-Map={listing}", "-Wl,--no-warn-rwx-segments", "-o", str(program), *map(str, objects), "-lgcc"),
            ]
        )
        return _read(program, listing.read_text("utf-8"))


def _compile(source: Path, folder: Path, flags: Sequence[str]) -> Path:
    target = folder / f"{source.stem}.o"
    _run([COMPILER, *FLAGS, *flags, "-ffreestanding", "-c", str(source), "-o", str(target)])
    return target


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{result.stderr}")


def _read(program: Path, listing: str) -> Image:
    with program.open("rb") as file:
        elf = ELFFile(file)
        loaded = [segment for segment in elf.iter_segments("PT_LOAD") if segment["p_memsz"]]
        end = max(segment["p_vaddr"] + segment["p_memsz"] for segment in loaded)
        data = bytearray(end - ORIGIN)
        for segment in loaded:
            # The first segment may include the file's own header, which lies below the origin.
            skip = max(0, ORIGIN - segment["p_vaddr"])
            start = segment["p_vaddr"] + skip - ORIGIN
            content = segment.data()[skip:]
            data[start : start + len(content)] = content
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise BuildError(f"the linker made no symbol table for {program.name}")
        functions: dict[str, int] = {}
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC":
                address = symbol["st_value"] & ~1
                # Two files may have a static function of the same name.
                name = symbol.name if symbol.name not in functions else f"{symbol.name}@{address:x}"
                functions[name] = address
        sections = (elf.get_section_by_name(name) for name in (".text", ".rodata"))
        text = sum(int(section["sh_size"]) for section in sections if section is not None)
    return Image(bytes(data), functions, _regions(listing), text)


# In the linker's map: " .text          0x20000100      0x1a4 folder/conv_2d.o"
_REGION = re.compile(r"^ \.text\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S+)$", re.MULTILINE)


def _regions(listing: str) -> tuple[Region, ...]:
    regions = []
    for start, size, origin in _REGION.findall(listing):
        name = "libgcc" if "libgcc.a(" in origin else Path(origin).stem
        if int(size, 16) and int(start, 16) >= ORIGIN:
            regions.append(Region(int(start, 16), int(size, 16), name))
    return tuple(sorted(regions, key=lambda region: region.start))
