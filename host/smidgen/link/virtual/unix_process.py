"""The process that runs MicroPython's unix port, and what Ctrl-C means to it.

On a microcontroller, a received byte 0x03 is compared with the current interrupt character. While code runs that
is Ctrl-C and the byte becomes a KeyboardInterrupt; at the prompt, or after `micropython.kbd_intr(-1)`, it is data.
The unix port knows interrupts only as SIGINT, but it sets and clears its SIGINT handler exactly when a board sets and
clears the interrupt character. So the handler tells: if the process catches SIGINT now, byte 0x03 is an interrupt and
is sent as the signal; if it does not, it is data and is written to standard input. That is how a binary protocol that
has called `kbd_intr(-1)` gets its 0x03 bytes.

A terminal's ISIG cannot do this: `kbd_intr(-1)` leaves the terminal's mode alone, the signal's default action would
kill the process in the middle of a binary frame, and the port's changes of mode throw away input sent ahead
(TCSAFLUSH). Therefore the process gets pipes.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from smidgen.link.virtual.firmware_process import FirmwareProcess

STOP_WAIT = 0.1  # seconds; a stopped process is seen as such within microseconds
SETTLE_WAIT = 0.05  # seconds until code that catches KeyboardInterrupt and goes on gets the following bytes


class UnixProcess(FirmwareProcess):
    """One life of the unix port: from boot to soft reset or death."""

    def interrupt(self) -> bool:
        """Deliver Ctrl-C as an interrupt. False if the board takes 0x03 as data now: then write it instead."""
        if not self._catches_interrupts():
            return False
        # Stopped, so that the answer still holds when the signal arrives: without a handler it would kill.
        self._process.send_signal(signal.SIGSTOP)
        try:
            self._wait_until_stopped()
            caught = self._catches_interrupts()
            if caught:
                self._process.send_signal(signal.SIGINT)
        finally:
            self._process.send_signal(signal.SIGCONT)
        if caught:
            self._wait_until_settled()
        return caught

    def _catches_interrupts(self) -> bool:
        mask = int(self._status("SigCgt:") or "0", 16)
        return bool(mask & 1 << (signal.SIGINT - 1))

    def _wait_until_stopped(self) -> None:
        deadline = time.monotonic() + STOP_WAIT
        while time.monotonic() < deadline and self._status("State:")[:1] not in ("T", "Z", ""):
            time.sleep(0.0001)

    def _wait_until_settled(self) -> None:
        """Until the board is back at its prompt: a second interrupt while it unwinds from the first is fatal to it."""
        deadline = time.monotonic() + SETTLE_WAIT
        while time.monotonic() < deadline and self._catches_interrupts():
            time.sleep(0.0005)

    def _status(self, field: str) -> str:
        """A field of the kernel's report on the process; empty when the process has gone."""
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:
            return ""
        for line in lines:
            if line.startswith(field):
                return line.removeprefix(field).strip()
        return ""
