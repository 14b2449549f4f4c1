"""Stand-ins for what flashing needs of a computer and of a board: a clock, USB, a running MicroPython, boot ROMs."""

from __future__ import annotations

import os
import select
import shutil
import struct
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import serial
from esp32_mock_bootloader.server import BootloaderConnection, FlashImage, handle_client

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


class EspBootRom:
    """esp32-mock-bootloader on a PTY, `port`. Use it as a context manager.

    flash: what the chip has in it, kept by the caller from one start to the next. cut_after: bytes from the computer
    after which the cable is pulled. then: port of a MicroPython that answers once firmware was written and the port
    is opened again.
    """

    def __init__(
        self, chip: str, flash: FlashImage | None = None, cut_after: int | None = None, then: str | None = None
    ) -> None:
        self.chip = chip
        self.flash = flash or FlashImage()
        self.received = 0
        self.cut_after = cut_after
        self.then = then
        self._stop = threading.Event()
        self._timeout = 0.05

    def __enter__(self) -> EspBootRom:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        os.close(slave)
        self._is_open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._close()

    def _run(self) -> None:
        while not self._stop.is_set() and self._is_open:
            before = bytes(self.flash.data)
            handle_client(BootloaderConnection(pty=self), self._stop, self.chip, flash=self.flash)  # type: ignore[arg-type]
            if self.then is not None and bytes(self.flash.data) != before:
                self._serve_micropython(self.then)

    def _serve_micropython(self, port: str) -> None:
        with serial.Serial(port, timeout=0) as board:
            while not self._stop.is_set():
                try:
                    board.write(self.recv(4096))
                except TimeoutError:
                    pass
                if data := board.read(4096):
                    self.sendall(data)

    # What BootloaderConnection wants of a PTY.

    def set_timeout(self, timeout: float) -> None:
        self._timeout = timeout

    def recv(self, size: int) -> bytes:
        """TimeoutError while nothing comes or nobody has the port open; b"" once the cable is pulled."""
        if not self._is_open:
            return b""
        ready, _, _ = select.select([self._master], [], [], self._timeout)
        if not ready:
            raise TimeoutError
        try:
            data = os.read(self._master, size)
        except OSError:  # nobody has it open
            if self._stop.wait(0.01) or bool(self.received and self.then):
                return b""
            raise TimeoutError from None
        self.received += len(data)
        if self.cut_after is not None and self.received >= self.cut_after:
            self._close()
            return b""
        return data

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data) :]

    def ignore_eof_for_disconnect(self) -> bool:
        return False

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._master)
