"""Virtual boards: real MicroPython firmware without hardware, behind a PTY.

Each has a name that stands where the path of a serial port can stand, such as `sim:unix`. Its PTY can be
opened by path with any serial tool, as if it were a board on a cable.
"""

from __future__ import annotations

from collections.abc import Callable

from smidgen.errors import InputError
from smidgen.link.virtual.pico import VirtualPicoBoard
from smidgen.link.virtual.process_board import ProcessBoard
from smidgen.link.virtual.qemu import VirtualCortexM3Board, VirtualCortexM4Board, VirtualRiscvBoard
from smidgen.link.virtual.sensors import VirtualAnalog, VirtualDevice, VirtualImu, VirtualSensor
from smidgen.link.virtual.unix import DEFAULT_HEAP_BYTES, VirtualUnixBoard

PREFIX = "sim:"

_WITH_A_FIXED_HEAP: dict[str, Callable[[], ProcessBoard]] = {
    board.name: board for board in (VirtualPicoBoard, VirtualCortexM3Board, VirtualCortexM4Board, VirtualRiscvBoard)
}
VIRTUAL_BOARDS = [VirtualUnixBoard.name, *_WITH_A_FIXED_HEAP]

# A Pico with a sensor that feels something made up: for trying out how power is measured and sensors are read.
_WITH_A_SENSOR: dict[str, VirtualDevice] = {
    f"{VirtualPicoBoard.name}+ina219": VirtualSensor("ina219", shunt_ohms=0.1),
    f"{VirtualPicoBoard.name}+ina226": VirtualSensor("ina226", shunt_ohms=0.1),
    f"{VirtualPicoBoard.name}+ina228": VirtualSensor("ina228", shunt_ohms=0.015),
    f"{VirtualPicoBoard.name}+mpu6050": VirtualImu("mpu6050", 0x68),
    f"{VirtualPicoBoard.name}+lsm6ds": VirtualImu("lsm6ds", 0x6A),
    f"{VirtualPicoBoard.name}+analog": VirtualAnalog(),
}


def is_virtual(port: str) -> bool:
    """Whether `port` names a virtual board rather than a device."""
    return port.startswith(PREFIX)


def load_pin(port: str) -> int | None:
    """The pin that the made-up load of a virtual board with a current sensor follows; None without such a sensor."""
    sensor = _WITH_A_SENSOR.get(port)
    return sensor.pin if isinstance(sensor, VirtualSensor) else None


def slowness_behind(port: str) -> float:
    """How many times slower than a board on a cable what is behind `port` may be.

    Behind a PTY there is a virtual board that another program serves, and nobody says which: the slowest is assumed.
    """
    return VirtualPicoBoard.slowness if port.startswith("/dev/pts/") else 1.0


def create_virtual_board(name: str, heap_bytes: int | None = None) -> ProcessBoard:
    """The virtual board called `name`, not started yet. `heap_bytes` None: the size of that kind of board."""
    if name == VirtualUnixBoard.name:
        return VirtualUnixBoard(heap_bytes or DEFAULT_HEAP_BYTES)
    if name not in _WITH_A_FIXED_HEAP and name not in _WITH_A_SENSOR:
        raise InputError(
            f"there is no virtual board {name!r}; there are: {', '.join([*VIRTUAL_BOARDS, *_WITH_A_SENSOR])}"
        )
    if heap_bytes is not None:
        raise InputError(f"the heap of {name} is that of its firmware; a heap size is for {VirtualUnixBoard.name}")
    if name in _WITH_A_SENSOR:
        return VirtualPicoBoard(sensors=[_WITH_A_SENSOR[name]])
    return _WITH_A_FIXED_HEAP[name]()


__all__ = [
    "VIRTUAL_BOARDS",
    "ProcessBoard",
    "VirtualCortexM3Board",
    "VirtualCortexM4Board",
    "VirtualPicoBoard",
    "VirtualRiscvBoard",
    "VirtualUnixBoard",
    "create_virtual_board",
    "is_virtual",
    "load_pin",
    "slowness_behind",
]
