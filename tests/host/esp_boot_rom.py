"""The boot ROM of an Espressif chip on a PTY. Needs esp32-mock-bootloader."""

from __future__ import annotations

import os
import select
import threading
import tty
from types import TracebackType

import serial
from esp32_mock_bootloader.server import BootloaderConnection, FlashImage, handle_client


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
        os.close(self._placeholder)

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
        """The number of the port stays taken until the end: who looks for it again must not find another test's PTY."""
        if self._is_open:
            self._is_open = False
            self._placeholder = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
            os.close(self._master)
