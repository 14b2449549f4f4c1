"""Opens a serial port: a device of this computer, or one behind a network address.

    /dev/ttyACM0, COM3              a device
    socket://HOST:PORT              a TCP connection that carries the bytes as they are
    rfc2217://HOST:PORT             the same with control of the line: a serial port of another computer

What goes wrong is sorted by what a person can do about it (`Refusal`).
"""

from __future__ import annotations

import errno
import os
import re
import sys
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

import serial
from serial import rfc2217

from smidgen.errors import BoardError
from smidgen.link.socket_port import SocketPort

URL_MARK = "://"
_SOCKET, _RFC2217 = "socket", "rfc2217"
NETWORK_SCHEMES = (_SOCKET, _RFC2217)
AnyPort = serial.Serial | SocketPort | rfc2217.Serial
_ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] ")


class Refusal(Enum):
    """Why a port cannot be opened."""

    NO_PERMISSION = "no permission"
    BUSY = "busy"
    ABSENT = "absent"
    OTHER = "other"


class PortError(BoardError):
    """A port that cannot be opened. `advice` is what to do, without the port's name."""

    def __init__(self, port: str, refusal: Refusal, advice: str) -> None:
        super().__init__(f"cannot open {port}: {advice}")
        self.refusal = refusal
        self.advice = advice


def open_port(port: str, baudrate: int, timeout: float, write_timeout: float) -> AnyPort:
    """The open port; nobody else can open it meanwhile, where the system can ensure that. Times in seconds.

    Raises PortError.
    """
    try:
        if URL_MARK in port and urlsplit(port).port is None:
            raise ValueError("it names no port: HOST:PORT")
        if port.startswith(_SOCKET + URL_MARK):
            return SocketPort(port, baudrate, timeout=timeout, write_timeout=write_timeout)
        if port.startswith(_RFC2217 + URL_MARK):  # over which pyserial has no time-out for writing
            return rfc2217.Serial(port, baudrate, timeout=timeout)
        return serial.Serial(port, baudrate, timeout=timeout, write_timeout=write_timeout, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        raise _port_error(port, error) from error


def _port_error(port: str, error: Exception) -> PortError:
    if URL_MARK in port:
        reason = _ERROR_NUMBER.sub("", str(error).removeprefix(f"Could not open port {port}: "))
        return PortError(port, Refusal.OTHER, f"{reason}; is the server running, and is the address right?")
    refusal = refusal_of(error)
    return PortError(port, refusal, _advice(port, refusal, error))


def refusal_of(error: Exception, platform: str = sys.platform) -> Refusal:
    """From what pyserial or the system says. Windows denies access to a port that another program has open."""
    text = str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EBUSY or "exclusively lock" in text or "busy" in text:
        return Refusal.BUSY
    if isinstance(error, PermissionError) or number in (errno.EACCES, errno.EPERM) or "permissionerror" in text:
        return Refusal.BUSY if platform == "win32" else Refusal.NO_PERMISSION
    if number == errno.ENOENT or "no such file" in text or "filenotfounderror" in text:
        return Refusal.ABSENT
    return Refusal.OTHER


def _advice(port: str, refusal: Refusal, error: Exception) -> str:
    if refusal is Refusal.NO_PERMISSION:
        return permission_advice(port)
    if refusal is Refusal.BUSY:
        return "another program has it open (a terminal, an editor, mpremote); close that one first"
    if refusal is Refusal.ABSENT:
        return "there is no such port; plug the board in (smidgen devices lists what is there), or use sim:unix"
    return str(error)


def permission_advice(port: str, platform: str = sys.platform) -> str:
    """What somebody can do who may not use a port."""
    if not platform.startswith("linux"):
        return "you may not use it; ask whoever administers this computer"
    group = _group(port)
    return (
        f"you may not use it: it belongs to the group {group}. Add yourself to it (sudo usermod -a -G {group} $USER), "
        f"log out and in again"
    )


def _group(port: str) -> str:
    """The group that may use a port; what it is on most systems, if that cannot be told."""
    try:
        import grp

        name = grp.getgrgid(Path(port).stat().st_gid).gr_name
    except (ImportError, KeyError, OSError):
        return "dialout"
    return "dialout" if name == "root" else name


def is_network_port(port: str) -> bool:
    """Whether a port is behind a network address."""
    return port.partition(URL_MARK)[0] in NETWORK_SCHEMES and URL_MARK in port


def is_device_path(port: str) -> bool:
    """Whether a name can be that of a device, plugged in or not. Windows has ports without a path, such as COM3."""
    path = Path(port)
    return os.name != "posix" or "/" in port or (path.exists() and not path.is_dir())
