"""A serial line between computer and board that loses, changes, doubles and delays bytes, and can be pulled out."""

from __future__ import annotations

import os
import random
import select
import threading
import time
import tty
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Faults:
    """Probabilities for each byte, in both directions."""

    flip: float = 0.0  # one bit
    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0  # by up to LONGEST_DELAY, with all that follows it


NONE = Faults()
LONGEST_DELAY = 0.02


class _Direction:
    def __init__(self, source: int, target: int, seed: int) -> None:
        self.source, self.target = source, target
        self.random = random.Random(seed)
        self.queue = bytearray()
        self.not_before = 0.0

    def take(self, data: bytes, faults: Faults) -> int:
        """Returns how many faults there were."""
        count = 0
        for byte in data:
            kind = self._choose(faults)
            count += kind is not None
            if kind == "flip":
                byte ^= 1 << self.random.randrange(8)
            elif kind == "delay":
                self.not_before = max(self.not_before, time.monotonic() + self.random.uniform(0, LONGEST_DELAY))
            if kind != "drop":
                self.queue.append(byte)
            if kind == "duplicate":
                self.queue.append(byte)
        return count

    def _choose(self, faults: Faults) -> str | None:
        value = self.random.random()
        for kind in ("flip", "drop", "duplicate", "delay"):
            probability = float(getattr(faults, kind))
            if value < probability:
                return kind
            value -= probability
        return None

    def pass_on(self) -> None:
        if self.queue and time.monotonic() >= self.not_before:
            try:
                del self.queue[: os.write(self.target, self.queue)]
            except BlockingIOError:
                pass


class FaultyLine:
    """`port` leads to `board_port`. Set `faults` at any time; `pull` and `plug` the cable."""

    def __init__(self, board_port: str, seed: int) -> None:
        self.faults = NONE
        self.count = 0  # of faults so far
        self.pulled = False
        self._board = os.open(board_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        tty.setraw(self._board)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._directions = [
            _Direction(self._master, self._board, 2 * seed),
            _Direction(self._board, self._master, 2 * seed + 1),
        ]
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FaultyLine:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join()
        for descriptor in (self._board, self._master, self._slave):
            os.close(descriptor)

    def _run(self) -> None:
        while not self._stopping:
            readable, _, _ = select.select([self._master, self._board], [], [], 0.002)
            for direction in self._directions:
                if direction.source in readable:
                    data = os.read(direction.source, 4096)
                    if self.pulled:
                        direction.queue.clear()
                        continue
                    self.count += direction.take(data, self.faults)
                direction.pass_on()
