"""From a .toml file to a BoardDescription."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from smidgen.architectures import ARCHITECTURES
from smidgen.boards.description import (
    VIRTUAL_PREFIX,
    BoardDescription,
    Core,
    Current,
    CycleCounter,
    Evidence,
    Flash,
    Flashing,
    FlashMethod,
    FloatUnit,
    Heap,
    I2cPins,
    Supply,
    UsbId,
    UsbRole,
    is_virtual,
)
from smidgen.boards.strict_table import StrictTable
from smidgen.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NAME = re.compile(rf"({VIRTUAL_PREFIX})?[a-z0-9][a-z0-9_-]*")
_NATMOD = tuple(arch for arch in ARCHITECTURES if arch is not None)

# Limits that only a slip of the keyboard crosses.
_MAX_CORES = 16
_MAX_HZ = 2_000_000_000
_MAX_RAM = 64 << 20
_MAX_FLASH = 1 << 30
_MAX_GPIO = 255
_MAX_VOLTS = 60.0
_MAX_AMPERES = 10.0


def read_board(file: Path) -> BoardDescription:
    """Read one file. InputError, naming file and key, for everything that is missing, unknown, or out of range."""
    root = StrictTable(file, _parse(file))
    name = _name(root, file)
    virtual = is_virtual(name)

    def known(key: str) -> bool:
        """Of a virtual board less is known; a board on a cable has every key."""
        return root.has(key) if virtual else True

    board = BoardDescription(
        name=name,
        title=root.text("title"),
        vendor=root.text("vendor"),
        chip=root.text("chip"),
        natmod=root.one_of("natmod", _NATMOD),
        micropython_board=root.text("micropython_board") if known("micropython_board") else None,
        stands_for=root.text("stands_for") if virtual else None,
        sram_bytes=root.integer("sram_bytes", 1, _MAX_RAM) if known("sram_bytes") else None,
        core=_core(root.table("core"), virtual),
        heap=_heap(root.table("heap")),
        flash=_flash(root.table("flash")) if known("flash") else None,
        flashing=Flashing(FlashMethod.NONE) if virtual else _flashing(root.table("flashing")),
        i2c=_i2c(root.table("i2c")) if known("i2c") else None,
        usb=() if virtual else tuple(_usb(table) for table in root.tables("usb")),
        supply=None if virtual else _supply(root.table("supply")),
    )
    root.finish()
    if board.sram_bytes is not None and board.heap.bytes > board.sram_bytes:
        raise root.error("heap.bytes", f"is {board.heap.bytes:,}, must not exceed sram_bytes, {board.sram_bytes:,}")
    return board


def _parse(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a TOML file: {error}") from error
    return document


def _name(root: StrictTable, file: Path) -> str:
    name = root.text("name")
    if not _NAME.fullmatch(name):
        raise root.error(
            "name",
            f"is {name!r}, must be small letters, digits, '_' and '-', after {VIRTUAL_PREFIX!r} if it is virtual",
        )
    if file.stem != name.replace(":", "-"):
        raise root.error("name", f"is {name!r}, so the file must be called {name.replace(':', '-')}.toml")
    return name


def _core(table: StrictTable, virtual: bool) -> Core:
    timed = table.has("clock_hz") if virtual else True
    core = Core(
        name=table.text("name"),
        count=table.integer("count", 1, _MAX_CORES),
        clock_hz=table.integer("clock_hz", 1, _MAX_HZ) if timed else None,
        float_unit=table.choice("float_unit", FloatUnit),
        dsp=table.flag("dsp"),
        simd=table.flag("simd"),
        cycle_counter=table.choice("cycle_counter", CycleCounter),
    )
    table.finish()
    return core


def _heap(table: StrictTable) -> Heap:
    heap = Heap(table.integer("bytes", 1, _MAX_RAM), table.choice("evidence", Evidence), table.text("source"))
    table.finish()
    return heap


def _flash(table: StrictTable) -> Flash:
    flash = Flash(table.integer("bytes", 1, _MAX_FLASH), table.flag("memory_mapped"), table.flag("romfs"))
    table.finish()
    return flash


def _flashing(table: StrictTable) -> Flashing:
    method = table.choice("method", FlashMethod)
    if method is FlashMethod.UF2:
        flashing = Flashing(method, uf2_family=table.integer("uf2_family", 0, 0xFFFFFFFF))
    elif method is FlashMethod.ESPTOOL:
        flashing = Flashing(
            method, esptool_chip=table.text("esptool_chip"), offset=table.integer("offset", 0, _MAX_FLASH)
        )
    else:
        raise table.error("method", f"is {method.value!r}, which is for virtual boards; use uf2 or esptool")
    table.finish()
    return flashing


def _i2c(table: StrictTable) -> I2cPins:
    pins = I2cPins(
        table.integer("id", 0, _MAX_GPIO), table.integer("sda", 0, _MAX_GPIO), table.integer("scl", 0, _MAX_GPIO)
    )
    if pins.sda == pins.scl:
        raise table.error("scl", f"is {pins.scl}, must be another pin than sda")
    table.finish()
    return pins


def _usb(table: StrictTable) -> UsbId:
    usb = UsbId(table.integer("vid", 0, 0xFFFF), table.integer("pid", 0, 0xFFFF), table.choice("role", UsbRole))
    table.finish()
    return usb


def _supply(table: StrictTable) -> Supply:
    supply = Supply(
        table.number("volts", 0.1, _MAX_VOLTS), _current(table.table("active")), _current(table.table("sleep"))
    )
    table.finish()
    if supply.sleep.amperes > supply.active.amperes:
        raise table.error(
            "sleep.amperes", f"is {supply.sleep.amperes:g}, must not exceed active.amperes, {supply.active.amperes:g}"
        )
    return supply


def _current(table: StrictTable) -> Current:
    current = Current(
        table.number("amperes", 1e-9, _MAX_AMPERES), table.choice("evidence", Evidence), table.text("source")
    )
    table.finish()
    return current
