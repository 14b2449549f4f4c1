"""smidgen: small int8 neural networks on MicroPython boards, without rebuilding firmware.

    import smidgen

    packed = smidgen.pack("kws.tflite")
    smidgen.save(packed.data, "kws.smg")
    with smidgen.connect("auto") as board:
        board.install()
        model = board.load("kws.smg")
        (scores,) = model.predict(x)
        print(model.profile())

What is named here is imported when it is first used, so that `import smidgen` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smidgen.boards import BoardDescription, find_board, load_boards
    from smidgen.errors import BlobError, BoardError, InputError, MismatchError, ModelError, SmidgenError
    from smidgen.fit import fit_model
    from smidgen.formats.torch_reader import from_torch
    from smidgen.link.board_model import BoardModel
    from smidgen.link.session import Board, BoardInfo, connect
    from smidgen.packer import Packed, pack, save
    from smidgen.ports import Device, find_devices

__version__ = "0.1.0"

_HOMES = {
    "smidgen.boards": ("BoardDescription", "find_board", "load_boards"),
    "smidgen.errors": ("BlobError", "BoardError", "InputError", "MismatchError", "ModelError", "SmidgenError"),
    "smidgen.fit": ("fit_model",),
    "smidgen.formats.torch_reader": ("from_torch",),
    "smidgen.link.board_model": ("BoardModel",),
    "smidgen.link.session": ("Board", "BoardInfo", "connect"),
    "smidgen.packer": ("Packed", "pack", "save"),
    "smidgen.ports": ("Device", "find_devices"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BlobError",
    "Board",
    "BoardDescription",
    "BoardError",
    "BoardInfo",
    "BoardModel",
    "Device",
    "InputError",
    "MismatchError",
    "ModelError",
    "Packed",
    "SmidgenError",
    "__version__",
    "connect",
    "find_board",
    "find_devices",
    "fit_model",
    "from_torch",
    "load_boards",
    "pack",
    "save",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'smidgen' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
