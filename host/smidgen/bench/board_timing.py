"""Drives the code of board_code.py on a board."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.bench.board_code import CODE
from smidgen.bench.counter import Counter, choose_counter
from smidgen.bench.results import MemoryUse
from smidgen.errors import BoardError
from smidgen.link.board_model import BoardModel
from smidgen.link.session import Board

_BENCH = "_smg.bench"
_TIMER = "_smg.timer"


class BoardTimer:
    """Times inferences on the board of an open session. In this order: used, load, prepare, choose, the others."""

    def __init__(self, board: Board, timeout: float | None = None) -> None:
        """timeout: seconds that an inference may keep the board silent; None: the session's."""
        self._board = board
        self._timeout = timeout
        board.evaluate("True")  # starts the link, whose helper the code is added to
        board.exec(CODE)

    def used(self) -> tuple[int, int]:
        """Bytes of heap in use and free, after a collection."""
        used, free = self._evaluate(f"{_BENCH}.used()")
        return int(used), int(free)

    def load(self, model: BoardModel) -> int:
        """Microseconds that it takes to make the model again of its blob, with all checks."""
        return int(self._evaluate(f"{_BENCH}.load({model.key})"))

    def prepare(self, model: BoardModel, inputs: list[NDArray[np.int8]]) -> None:
        """All inferences are on these inputs, which are put in place again before each. The model has not run yet."""
        model.tensor(0, *inputs)
        self._evaluate(f"setattr(_smg, 'timer', {_BENCH}({model.key}))")

    def choose(self, seconds: float, is_exact: bool, is_shared: bool) -> Counter:
        """Choose the counter. seconds: of an inference, about."""
        try:
            frequency = float(self._evaluate(f"{_BENCH}.frequency()"))
        except BoardError:
            frequency = None
        cpu, microseconds = self._evaluate(f"{_BENCH}.rates()")
        counter = choose_counter((cpu, microseconds), frequency, seconds, is_exact, is_shared)
        self._evaluate(f"{_TIMER}.use({counter.name == 'ticks_cpu'})")
        return counter

    def memory(self, before: tuple[int, int], loaded: int) -> MemoryUse:
        """before: what `used` said without the model, loaded: bytes in use with it."""
        return MemoryUse(sum(before), before[0], loaded, loaded + int(self._evaluate(f"{_TIMER}.peak()")))

    def inferences(self, count: int) -> list[int]:
        """Ticks of each of `count` inferences on the same inputs."""
        return [int(ticks) for ticks in self._evaluate(f"{_TIMER}.inferences({count})")]

    def operators(self) -> list[int]:
        """Ticks of each operator in one inference."""
        return [int(ticks) for ticks in self._evaluate(f"{_TIMER}.operators()")]

    def _evaluate(self, expression: str) -> Any:
        """Not over the link: while it waits it sends probes, and receiving them takes time from an inference."""
        return self._board.eval(expression, self._timeout)
