"""A board as data. docs/boards.md explains every field; `reader` fills them from a .toml file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

VIRTUAL_PREFIX = "sim:"  # names of virtual boards begin with it


class Evidence(str, Enum):
    """How a figure is known."""

    MEASURED = "measured"  # by this project, with the command that the source names
    DOCUMENTED = "documented"  # copied from the document that the source names
    CONFIGURED = "configured"  # chosen when the firmware is built or started
    ESTIMATE = "estimate"  # good for planning only; the source says how it came about


class FloatUnit(str, Enum):
    """What the core computes in hardware."""

    NONE = "none"
    SINGLE = "single"
    DOUBLE = "double"


class CycleCounter(str, Enum):
    """Where CPU cycles can be read."""

    NONE = "none"
    TICKS_CPU = "ticks_cpu"  # time.ticks_cpu() counts them
    TICKS_US = "ticks_us"  # an emulator whose clock is its cycle count: time.ticks_us() times the clock in MHz
    SYSTICK = "systick"  # the core's 24-bit SysTick timer
    DWT = "dwt"  # the core's DWT.CYCCNT register


class FlashMethod(str, Enum):
    """How MicroPython gets onto the board."""

    UF2 = "uf2"  # a file copied to the drive that the boot ROM offers
    ESPTOOL = "esptool"
    NONE = "none"  # a virtual board


class UsbRole(str, Enum):
    """What answers behind a USB id."""

    REPL = "repl"  # MicroPython itself
    BRIDGE = "bridge"  # a USB-to-serial chip, which other devices have too
    BOOTLOADER = "bootloader"  # the chip's boot ROM, waiting for firmware


@dataclass(frozen=True)
class Core:
    """What runs MicroPython. `clock_hz` is what MicroPython sets by default; None where time is not modelled."""

    name: str
    count: int
    clock_hz: int | None
    float_unit: FloatUnit
    dsp: bool
    simd: bool
    cycle_counter: CycleCounter


@dataclass(frozen=True)
class Heap:
    """Bytes that a program can allocate right after boot, radio off, without external RAM."""

    bytes: int
    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Flash:
    """`memory_mapped`: a program can read all of it by address. `romfs`: stock firmware has a ROMFS partition."""

    bytes: int
    memory_mapped: bool
    romfs: bool


@dataclass(frozen=True)
class Flashing:
    """`uf2_family` belongs to the method UF2; `esptool_chip` and `offset` (bytes) to ESPTOOL. The others are None."""

    method: FlashMethod
    uf2_family: int | None = None
    esptool_chip: str | None = None
    offset: int | None = None


@dataclass(frozen=True)
class I2cPins:
    """A hardware I2C bus and GPIO numbers that can serve it."""

    id: int
    sda: int
    scl: int


@dataclass(frozen=True)
class UsbId:
    """What a device on USB says of itself. It narrows the choice; only the prompt tells which board it is."""

    vid: int
    pid: int
    role: UsbRole

    @property
    def text(self) -> str:
        """As in lsusb: '2e8a:0005'."""
        return f"{self.vid:04x}:{self.pid:04x}"


@dataclass(frozen=True)
class Current:
    """Typical current at the supply's voltage, radio off."""

    amperes: float
    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Supply:
    """`active`: one core computes. `sleep`: the deepest sleep of MicroPython that keeps RAM, machine.lightsleep()."""

    volts: float
    active: Current
    sleep: Current


@dataclass(frozen=True)
class BoardDescription:
    """Everything known about a board. Fields that may be None are so on virtual boards only."""

    name: str
    title: str
    vendor: str
    chip: str
    natmod: str
    micropython_board: str | None
    stands_for: str | None  # virtual boards: which real one
    sram_bytes: int | None
    core: Core
    heap: Heap
    flash: Flash | None
    flashing: Flashing
    i2c: I2cPins | None
    usb: tuple[UsbId, ...]
    supply: Supply | None

    @property
    def is_virtual(self) -> bool:
        return is_virtual(self.name)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "virtual": self.is_virtual, **asdict(self)}


def is_virtual(name: str) -> bool:
    """Whether a board of this name is an emulator rather than a thing on a cable."""
    return name.startswith(VIRTUAL_PREFIX)
