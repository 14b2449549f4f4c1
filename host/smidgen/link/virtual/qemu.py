"""`sim:cortex-m3`, `sim:cortex-m4` and `sim:riscv`: MicroPython's QEMU port, with the console on its first serial port.

QEMU is fast, and counts no cycles: times on these boards say nothing. Their file system is in RAM, so a reset
empties it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from smidgen.errors import BoardError
from smidgen.link.virtual.firmware_file import find_firmware
from smidgen.link.virtual.firmware_process import FirmwareProcess
from smidgen.link.virtual.process_board import CreateRelay, ProcessBoard
from smidgen.link.virtual.relay import Relay

FIRMWARE = "firmware.elf"
RESET_EXIT_CODE = 64  # how the firmware leaves QEMU on machine.reset(); 0 is QEMU that was told to terminate

# The firmware leaves QEMU through semihosting. Ctrl-C is for the board, not for QEMU (signal=off).
COMMON_OPTIONS = [
    *("-display", "none"),
    *("-monitor", "none"),
    *("-chardev", "stdio,id=console,signal=off"),
    *("-serial", "chardev:console"),
    *("-semihosting-config", "enable=on,target=native"),
]


class VirtualQemuBoard(ProcessBoard):
    """firmware: an .elf file in place of the one that `make firmware` has built. romfs: a file with a ROMFS image of
    at most 8 MiB, which appears in the board's memory and under /rom.
    """

    _program: str
    _package: str  # of Debian, with the program
    _machine: tuple[str, ...]
    _romfs_address: int

    def __init__(self, firmware: str | Path | None = None, romfs: str | Path | None = None) -> None:
        super().__init__()
        self._firmware = firmware
        self._romfs = romfs

    def _prepare(self) -> CreateRelay:
        program = shutil.which(self._program)
        if not program:
            raise BoardError(f"{self.name} needs {self._program}: install the Debian package {self._package}")
        kind = self.name.partition(":")[2]
        firmware = Path(self._firmware or find_firmware(kind, FIRMWARE)).resolve()
        command = [program, *self._machine, *COMMON_OPTIONS, "-kernel", str(firmware)]
        if self._romfs:
            path = str(Path(self._romfs).resolve()).replace(",", ",,")  # a comma ends an option's value
            command += ["-device", f"loader,file={path},addr={self._romfs_address:#x}"]
        return lambda master, slave, directory: Relay(
            master, slave, lambda: FirmwareProcess(command, directory), RESET_EXIT_CODE
        )


class VirtualCortexM3Board(VirtualQemuBoard):
    name = "sim:cortex-m3"
    _program = "qemu-system-arm"
    _package = "qemu-system-arm"
    _machine = ("-machine", "mps2-an385")
    _romfs_address = 0x21800000


class VirtualCortexM4Board(VirtualCortexM3Board):
    name = "sim:cortex-m4"
    _machine = ("-machine", "mps2-an386")


class VirtualRiscvBoard(VirtualQemuBoard):
    name = "sim:riscv"
    _program = "qemu-system-riscv32"
    _package = "qemu-system-misc"
    _machine = ("-machine", "virt", "-bios", "none")
    _romfs_address = 0x84000000
