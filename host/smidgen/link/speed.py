"""How fast a transfer went, and how fast its line could be at best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serial.tools.list_ports import comports

# USB ids of makers of bridges between USB and a UART: there the UART's baud rate is the limit.
UART_BRIDGES = {0x10C4: "CP210x", 0x1A86: "CH340", 0x0403: "FTDI", 0x067B: "PL2303"}
# What MicroPython takes from USB through sys.stdin, in bytes per second. Assumed: RP2 boards take 100 to 190 kB/s.
ASSUMED_USB_BYTES_PER_SECOND = 150_000


@dataclass(frozen=True)
class LineLimit:
    bytes_per_second: float
    reason: str  # "a UART at 115200 baud"
    assumed: bool


@dataclass(frozen=True)
class Transfer:
    """size: bytes. seconds: from the first byte that was sent to the board's answer to the last."""

    size: int
    seconds: float
    limit: LineLimit | None  # None: not known, such as that of a virtual board

    @property
    def bytes_per_second(self) -> float:
        return self.size / self.seconds if self.seconds > 0 else 0.0

    @property
    def share(self) -> float | None:
        """Of the limit, 0 to 1."""
        return self.bytes_per_second / self.limit.bytes_per_second if self.limit else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "bytes": self.size,
            "seconds": round(self.seconds, 6),
            "bytes_per_second": round(self.bytes_per_second, 1),
            "limit_bytes_per_second": self.limit.bytes_per_second if self.limit else None,
            "limit": self.limit.reason if self.limit else None,
            "limit_is_assumed": self.limit.assumed if self.limit else None,
            "share_of_limit": round(self.share, 4) if self.share is not None else None,
        }


def line_limit(port: str, baudrate: int) -> LineLimit | None:
    """The limit of the line to a serial port of this computer; None for what is no such port."""
    found = next((candidate for candidate in comports() if candidate.device == port), None)
    if found is None:
        return None
    if found.vid is None or found.vid in UART_BRIDGES:
        return LineLimit(baudrate / 10, f"a UART at {baudrate} baud", assumed=False)
    return LineLimit(ASSUMED_USB_BYTES_PER_SECOND, "USB", assumed=True)
