"""The ring on the board that frames are fed into, and the answers that come back."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import BoardError
from smidgen.link.board_model import BoardModel
from smidgen.link.layout import TensorLayout
from smidgen.link.link import Operation
from smidgen.link.session import Board
from smidgen.power.device_code import device_code

Int8Array = NDArray[np.int8]
_HEADER = struct.Struct("<4I")
_NONE = 0xFFFFFFFF
WAITING_WINDOWS = 2  # for which the ring has room, besides the newest
LARGEST_RING_BYTES = 1 << 24  # more than boards have
_BYTES_BESIDES = 4096  # RAM that the ring's objects and the requests take
_SPARE = 8  # an eighth is not advised: in the next session the free RAM will lie in other pieces


@dataclass(frozen=True)
class Answer:
    """window: its number, None if none was complete. dropped: windows since the start. waiting: windows that are
    complete, but not yet answered. microseconds: of the inference, on the board."""

    window: int | None
    dropped: int
    waiting: int
    microseconds: int
    outputs: list[Int8Array]


class BoardRing:
    """Of the session `board`, for its `model`; there is one at a time. width: bytes of a frame; the rest in frames."""

    def __init__(self, board: Board, model: BoardModel, width: int, hop: int, capacity: int) -> None:
        self._board = board
        self._model = model
        board.exec("_smg.stream = None\n__import__('gc').collect()")
        board.exec(device_code("ring", "stream"))
        require_room(board, hop, lambda other: [ring_bytes(width, hop, capacity, other)])
        board.exec(f"_smg.stream = SmidgenRing(_smg.models[{model.key}], {width}, {hop}, {capacity})")

    def feed(self, rows: Int8Array) -> Answer:
        """Send frames, perhaps none, and have the board infer one window if one is complete."""
        answer, rest = parse_answer(self._board.request(Operation.FEED, rows.tobytes()), self._model.outputs)
        if rest:
            raise BoardError(f"the board's answer has {len(rest)} bytes too many")
        return answer

    def restart(self) -> None:
        """The next frame is the first of another recording; windows and dropped windows are counted from 0 again."""
        self._board.evaluate("_smg.stream.restart()")

    def skip(self, frames: int) -> None:
        """So many frames are not sent: they were not taken in time."""
        self._board.evaluate(f"_smg.stream.skip({frames})")


def ring_bytes(width: int, hop: int, capacity: int, other_hop: int) -> int:
    """What a ring takes that has this hop and capacity, had it another hop."""
    return width * (capacity + WAITING_WINDOWS * (other_hop - hop))


def require_room(board: Board, hop: int, sizes: Callable[[int], Sequence[int]]) -> None:
    """Raise BoardError with a smaller hop if the board's RAM is too small for a ring with this one.

    sizes: bytes of what is allocated for a hop of so many frames.
    """

    def free_and_fits(frames: int) -> tuple[int, bool]:
        free, fits = board.evaluate(f"_smg.memory(*{[*sizes(frames), _BYTES_BESIDES]})")
        return int(free), bool(fits)

    free, fits = free_and_fits(hop)
    if fits:
        return
    possible, impossible = 0, hop
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        if free_and_fits(middle)[1]:
            possible = middle
        else:
            impossible = middle
    advised = possible - possible // _SPARE
    hint = f"take a --hop of at most {advised}" if advised else board.memory_advice
    raise BoardError(
        f"a hop of {hop} frames takes {sum(sizes(hop))} bytes of RAM on the board for windows and frames that wait, "
        f"and beside the model {free} bytes are free: {hint}"
    )


def parse_answer(result: bytes, outputs: Sequence[TensorLayout]) -> tuple[Answer, bytes]:
    """What `SmidgenRing.result` gave, and what follows it. BoardError if it is too short."""
    if len(result) < _HEADER.size:
        raise BoardError(f"the board's answer to a stream has {len(result)} bytes, at least {_HEADER.size} belong")
    window, dropped, waiting, microseconds = _HEADER.unpack_from(result)
    rest = result[_HEADER.size :]
    if window == _NONE:
        return Answer(None, dropped, waiting, 0, []), rest
    size = sum(tensor.elements for tensor in outputs)
    if len(rest) < size:
        raise BoardError(f"the board's answer has {len(rest)} output elements, the model {size}")
    arrays = []
    for tensor in outputs:
        arrays.append(np.frombuffer(rest[: tensor.elements], np.int8).reshape(tensor.shape))
        rest = rest[tensor.elements :]
    return Answer(window, dropped, waiting, microseconds, arrays), rest
