"""What flashing would do, found out without touching the board."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.boards import BoardDescription, FlashMethod, find_board
from smidgen.errors import InputError
from smidgen.flash.esp_flash import DEFAULT_BAUD
from smidgen.flash.esp_image import EspImage, read_esp_image
from smidgen.flash.esptool_package import require_esptool
from smidgen.flash.firmware import Firmware, load_firmware, release
from smidgen.flash.system import Progress, System, never
from smidgen.flash.target import Target, find_target, require_one_name
from smidgen.flash.uf2 import SECTOR_BYTES, Uf2Image, erasing, read_uf2
from smidgen.flash.volume_copy import FILE_NAME
from smidgen.link.natmod import OLDEST_MICROPYTHON

_OLDEST_BY_NATMOD = {"rv32imc": (1, 25)}  # of MicroPython, where it learned to load native code later than elsewhere

Ranges = tuple[tuple[int, int], ...]  # (first, one past the last), ascending


@dataclass(frozen=True)
class FlashPlan:
    """Made by `plan_flash`, for `execute`. `version`: of MicroPython in the firmware, None if it does not say."""

    board: BoardDescription
    target: Target
    firmware: Firmware
    image: Uf2Image | EspImage
    version: str | None
    erase: bool
    baud: int

    @property
    def written(self) -> Ranges:
        """Addresses (UF2) or offsets (esptool) in flash."""
        if isinstance(self.image, EspImage):
            return ((self.image.offset, self.image.offset + len(self.image.data)),)
        return self.image.ranges

    @property
    def erased(self) -> Ranges:
        """Whole sectors; all of the flash is (0, its size), which on Espressif chips is only known to the chip."""
        if isinstance(self.image, EspImage):
            return () if self.erase else ((self.image.offset // SECTOR_BYTES * SECTOR_BYTES, self.image.end),)
        return tuple((start // SECTOR_BYTES * SECTOR_BYTES, _round_up(end)) for start, end in self.image.ranges)

    @property
    def consequence(self) -> str:
        """What becomes of the files on the board."""
        if self.erase:
            return "all files on the board are lost"
        files = "stay, if the new firmware has its file system where the old one had it"
        return f"{files}; saved settings (NVS) do not" if isinstance(self.image, EspImage) else files

    @property
    def warning(self) -> str:
        """Why smidgen itself would not run with this firmware; empty if it will, or nobody knows."""
        oldest = _OLDEST_BY_NATMOD.get(self.board.natmod, OLDEST_MICROPYTHON)
        if self.version is None or release(self.version)[:2] >= oldest:
            return ""
        return (
            f"this firmware is MicroPython {self.version}, and smidgen needs {'.'.join(map(str, oldest))} or newer on "
            f"{self.board.name}"
        )

    @property
    def command(self) -> str:
        """What does the same by hand."""
        if isinstance(self.image, EspImage):
            parts = ["esptool", "--chip", str(self.board.flashing.esptool_chip), "--port", str(self.target.port)]
            parts += ["--baud", str(self.baud), "write-flash", *(["--erase-all"] if self.erase else [])]
            return shlex.join([*parts, f"0x{self.image.offset:x}", str(self.firmware.path)])
        if self.erase:
            return ""
        folder = self.target.volume.path if self.target.volume else Path("DRIVE")
        return shlex.join(["cp", str(self.firmware.path), str(folder / FILE_NAME)])

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Addresses are numbers, [first, one past the last]; `erased` null means all of the flash."""
        return {
            "board": self.board.name,
            "chip": self.board.chip,
            "method": self.board.flashing.method.value,
            "port": self.target.port,
            "volume": str(self.target.volume.path) if self.target.volume else None,
            "serial_number": self.target.usb.serial_number if self.target.usb else None,
            "firmware": str(self.firmware.path),
            "sha256": self.firmware.sha256,
            "bytes": len(self.firmware.data),
            "version": self.version,
            "written": [list(span) for span in self.written],
            "erased": None if self.erase else [list(span) for span in self.erased],
            "command": self.command or None,
            "warning": self.warning or None,
        }


def plan_flash(
    board: str,
    firmware: str | Path | None = None,
    port: str | None = None,
    *,
    volume: str | Path | None = None,
    erase: bool = False,
    baud: int = DEFAULT_BAUD,
    system: System | None = None,
    progress: Progress = never,
) -> FlashPlan:
    """What putting `firmware` on `board` would do. Nothing on the board changes, and nothing runs there.

    board: a name of `smidgen boards`. firmware: a file, or a version such as '1.25.0', which is downloaded; None: the
    latest release. port: a path or address, 'id:' and a serial number, or None: the only board there is.
    volume: folder in which the drive of the boot loader is mounted. erase: all of the flash first. baud: for esptool.

    InputError for firmware that does not suit the board, BoardError if the board cannot be found or is not unique.
    """
    description = find_board(board)
    method = description.flashing.method
    if method is FlashMethod.NONE:
        raise InputError(f"{board} is a virtual board, which needs no flashing: use it as it is")
    require_one_name(description, port, volume)
    if method is FlashMethod.ESPTOOL:
        require_esptool()
    file = load_firmware(firmware, description, progress)
    image: Uf2Image | EspImage
    if method is FlashMethod.ESPTOOL:
        image = read_esp_image(file.data, file.path.name, description)
        version = file.version(image.data)
    else:
        image = read_uf2(file.data, file.path.name, description)
        version = file.version(image.payload)
        if erase and description.flash is not None:
            image = erasing(image, description.flash.bytes)
    target = find_target(description, port, volume, system or System())
    return FlashPlan(description, target, file, image, version, erase, baud)


def _round_up(address: int) -> int:
    return -(-address // SECTOR_BYTES) * SECTOR_BYTES
