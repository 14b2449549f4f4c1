"""What smidgen knows about boards: one .toml file each, read strictly.

`load_boards()` gives all of them, `find_board("pico")` one. docs/boards.md says what the fields mean.
"""

from __future__ import annotations

from smidgen.boards.catalog import BOARDS_VARIABLE, UnknownBoardError, find_board, load_boards
from smidgen.boards.description import (
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
)

__all__ = [
    "BOARDS_VARIABLE",
    "BoardDescription",
    "Core",
    "Current",
    "CycleCounter",
    "Evidence",
    "Flash",
    "FlashMethod",
    "Flashing",
    "FloatUnit",
    "Heap",
    "I2cPins",
    "Supply",
    "UnknownBoardError",
    "UsbId",
    "UsbRole",
    "find_board",
    "load_boards",
]
