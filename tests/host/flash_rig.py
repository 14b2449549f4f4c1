"""Stand-ins for what flashing needs of a computer and of a board: a clock, USB, a running MicroPython, a boot ROM."""

from __future__ import annotations

import shutil
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from smidgen.errors import BoardError
from smidgen.flash import System, UsbPort, Volume
from smidgen.flash.volume import find_volumes
from smidgen.link.session import BoardInfo

SERIAL_NUMBER = "e6614c311b5a9a2f"


class Rig:
    """`ports` and `answers` (by port) are what there is at the moment. Its clock advances when somebody sleeps."""

    def __init__(self) -> None:
        self.ports: list[UsbPort] = []
        self.answers: dict[str, FakeSession] = {}
        self.time = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    @property
    def system(self) -> System:
        return System(lambda: list(self.ports), find_volumes, self._connect, lambda: self.time, self._sleep)

    def plug_in(
        self, device: str, session: FakeSession | None = None, serial_number: str | None = SERIAL_NUMBER
    ) -> None:
        self.ports.append(UsbPort(device, 0x2E8A, 0x0005, serial_number, "Board in FS mode"))
        if session is not None:
            session.port = device
            self.answers[device] = session

    def unplug(self, device: str) -> None:
        self.ports = [port for port in self.ports if port.device != device]
        self.answers.pop(device, None)

    def _connect(self, port: str) -> Any:
        if port not in self.answers:
            raise BoardError(f"cannot open {port}: there is no such port")
        return self.answers[port]

    def _sleep(self, seconds: float) -> None:
        self.time += seconds
        self.on_sleep()


class FakeSession:
    """A running MicroPython, as far as flashing asks it."""

    def __init__(self, version: str = "1.25.0", machine: str = "Raspberry Pi Pico with RP2040") -> None:
        self.port = ""
        self.flash: dict[int, bytes] = {}
        self.has_bootloader = True
        self.on_bootloader: Callable[[], None] = lambda: None
        self.info = BoardInfo(version, machine, "rp2", "armv6m", 200_000, 230_000, None, None)

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def hello(self) -> BoardInfo:
        return self.info

    def exec(self, code: str, timeout: float | None = None) -> str:
        if code.endswith(".bootloader()"):
            self.on_bootloader()
            raise BoardError(f"the board on {self.port} is gone: read failed; check the cable")
        return ""

    def eval(self, expression: str, timeout: float | None = None) -> Any:
        if "hasattr" in expression:
            return self.has_bootloader
        assert expression.startswith("_smg_digest(")
        return b"0" * 64


class UsbBootRom:
    """The drive of the boot ROM of an RP2040 or RP2350 as a folder: takes blocks, goes when it has all of them.

    `look` is one glance at the folder; `watch` lets a thread glance until the drive is gone.
    """

    def __init__(self, folder: Path, board_id: str = "RPI-RP2", family: int = 0xE48BFF56) -> None:
        self.folder = folder
        self.family = family
        self.flash: dict[int, bytes] = {}
        self.is_deaf = False  # takes blocks and never restarts
        self.on_restart: Callable[[], None] = lambda: None
        folder.mkdir(parents=True)
        text = f"UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: {board_id}\r\n"
        (folder / "INFO_UF2.TXT").write_bytes(text.encode())

    @property
    def volume(self) -> Volume:
        return Volume(self.folder, "RPI-RP2")

    def look(self, *_: Any) -> None:
        if self.is_deaf or not self.folder.exists():
            return
        for file in self.folder.glob("*.UF2"):
            pages, numbers, count = self._blocks(file.read_bytes())
            if count and len(numbers) == count:
                self.flash = pages
                self.vanish()
                self.on_restart()

    def vanish(self) -> None:
        shutil.rmtree(self.folder)

    def watch(self) -> threading.Thread:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        return thread

    def _watch(self) -> None:
        while self.folder.exists():
            self.look()
            time.sleep(0.01)

    def _blocks(self, data: bytes) -> tuple[dict[int, bytes], set[int], int]:
        pages: dict[int, bytes] = {}
        numbers: set[int] = set()
        count = 0
        for start in range(0, len(data) - 511, 512):
            _, _, _, address, size, number, blocks, family = struct.unpack_from("<8I", data, start)
            if family == self.family:
                pages[address] = data[start + 32 : start + 32 + size]
                numbers.add(number)
                count = blocks
        return pages, numbers, count
