"""A person at a serial terminal."""

from __future__ import annotations

import serial


class Terminal:
    """A plain serial terminal at the friendly prompt."""

    def __init__(self, port: str) -> None:
        self.serial = serial.Serial(port, timeout=5)

    def type(self, text: bytes, until: bytes = b">>> ") -> bytes:
        self.serial.write(text)
        return self.read_until(until)

    def read_until(self, ending: bytes) -> bytes:
        output = self.serial.read_until(ending)
        assert output.endswith(ending), f"expected {ending!r}, the board sent {output!r}"
        return output

    def start_endless_loop(self) -> None:
        """Returns when it runs: a Ctrl-C that comes while the board still compiles is input for the program."""
        self.type(b"exec(\"print('running')\\nwhile True: pass\")\r", until=b"\r\nrunning\r\n")
