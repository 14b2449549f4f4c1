"""Cycles of a whole network on MicroPython's own Pico firmware (sim:pico), by the board's clock."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.board_run import BoardRun, Place, run_on
from benchmarks.models import BenchmarkModel

from smidgen.link import natmod
from smidgen.link.virtual.firmware_file import find_firmware
from smidgen.link.virtual.pico import FIRMWARE, VirtualPicoBoard

CLOCK_MHZ = 125  # of the emulated RP2040: one microsecond of ticks_us is so many cycles
FILE_SYSTEM = 0x100A_0000  # where the firmware's file system begins in flash

_SECTOR = 4096
_UF2 = struct.Struct("<8I476s")  # then the magic number of the end
_UF2_BLOCK, _UF2_PAYLOAD = 512, 256
_UF2_END = 0x0AB1_6F30


@dataclass(frozen=True)
class PicoFiles:
    """What runs on the board: MicroPython's UF2 file, and smidgen.mpy."""

    firmware: bytes
    module: bytes


def find_files() -> PicoFiles:
    """Those that are built. Raises BoardError for the firmware, InputError for smidgen.mpy."""
    return PicoFiles(find_firmware("pico", FIRMWARE).read_bytes(), natmod.find("armv6m").read_bytes())


def run_on_pico(model: BenchmarkModel, files: PicoFiles, profile: bool = True) -> BoardRun:
    """The data lie in the flash between the firmware and its file system. Raises WrongOutput or BoardError."""
    flash = FlashImage(files.firmware)
    module = flash.add(files.module)
    blob = flash.add(model.data)
    inputs = [flash.add(data.tobytes()) for data in model.inputs]
    with tempfile.TemporaryDirectory(prefix="smidgen-bench-") as folder:
        path = Path(folder) / "firmware.uf2"
        path.write_bytes(flash.uf2)
        return run_on(VirtualPicoBoard(path), model, module, blob, inputs, profile)


class FlashImage:
    """A firmware as a UF2 file, and data in the flash behind it."""

    def __init__(self, firmware: bytes) -> None:
        self._blocks = [firmware[start : start + _UF2_BLOCK] for start in range(0, len(firmware), _UF2_BLOCK)]
        heads = [_UF2.unpack_from(block) for block in self._blocks]
        self._head = heads[0]
        self._next = max(head[3] + head[4] for head in heads)

    @property
    def uf2(self) -> bytes:
        return b"".join(self._blocks)

    def add(self, data: bytes) -> Place:
        """Puts data into the flash, at a multiple of 4096. ValueError if it would reach into the file system."""
        start = -(-self._next // _SECTOR) * _SECTOR
        if start + len(data) > FILE_SYSTEM:
            raise ValueError(f"{len(data)} bytes do not fit in the {FILE_SYSTEM - start} bytes before the file system")
        magic, magic2, flags, *_, family, _ = self._head
        for offset in range(0, len(data), _UF2_PAYLOAD):
            payload = data[offset : offset + _UF2_PAYLOAD]
            # The emulator does not look at the number of a block and the count of blocks.
            fields = (magic, magic2, flags, start + offset, _UF2_PAYLOAD, 0, 1, family)
            self._blocks.append(_UF2.pack(*fields, payload) + struct.pack("<I", _UF2_END))
        self._next = start + len(data)
        return start, len(data)
