"""Lists of serial ports as pyserial would give them."""

from __future__ import annotations

from serial.tools.list_ports_common import ListPortInfo

PICO = (0x2E8A, 0x0005)
CP210X = (0x10C4, 0xEA60)
S2_BOOTLOADER = (0x303A, 0x0002)
UNKNOWN = (0x1234, 0x5678)


def usb_port(
    path: str, ids: tuple[int, int] | None, serial_number: str | None = None, manufacturer: str | None = None
) -> ListPortInfo:
    """ids: vendor and product, None for a port that is not on USB."""
    port = ListPortInfo(path)
    if ids:
        port.vid, port.pid = ids
    port.serial_number = serial_number
    port.manufacturer = manufacturer
    port.product = "Board in FS mode" if manufacturer else None
    return port
