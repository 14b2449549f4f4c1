"""The binary link on a bad line, with a board that is reset, and with a cable that is pulled out.

Results are right or there is a clear error; nothing is carried out twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from faulty_line import NONE, FaultyLine, Faults
from smidgen.errors import BoardError, BoardReset
from smidgen.link.link import Operation
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualUnixBoard
from test_session import make_blob, put_stand_in

ELEMENTS = 300
RUNS = 12


@contextmanager
def counting_session(virtual: VirtualUnixBoard, seed: int) -> Iterator[tuple[Board, FaultyLine]]:
    """A board that counts how often a model runs, behind a line that is still a good one; its service is started."""
    with FaultyLine(virtual.port, seed) as line, connect(line.port, timeout=5) as board:
        board._slowness = 1  # behind this PTY is no slow emulator
        put_stand_in(board, ELEMENTS)
        board.exec("import smidgen\nruns = 0")
        board.exec(
            "run = smidgen.Model.run\n"
            "def counted(model, until=None):\n global runs\n runs += 1\n run(model, until)\n"
            "smidgen.Model.run = counted"
        )
        board.request(Operation.PING)
        yield board, line
        line.faults = NONE


def check_results(board: Board, line: FaultyLine, faults: Faults, seed: int) -> None:
    generator = np.random.default_rng(seed)
    blob = make_blob(ELEMENTS, padding=3000)
    line.faults = faults
    model = board.load(blob)
    for _ in range(RUNS):
        x = generator.integers(-128, 128, ELEMENTS, dtype=np.int8)
        (y,) = model.run(x)
        np.testing.assert_array_equal(y[0], (2 * x.astype(np.int32)).astype(np.int8))
    assert board.put_file("data.bin", blob) is True
    line.faults = NONE
    assert board.eval("runs") == RUNS
    assert board.eval("open('data.bin', 'rb').read()") == blob
    assert line.count > 20


@pytest.mark.parametrize("kind", ["flip", "drop", "duplicate", "delay"])
def test_one_byte_in_a_hundred(virtual_board: VirtualUnixBoard, kind: str) -> None:
    with counting_session(virtual_board, seed=1) as (board, line):
        check_results(board, line, Faults(**{kind: 0.01}), seed=1)
        repeated = board.link_statistics.retransmissions
        assert kind == "delay" or repeated > 10


@pytest.mark.parametrize("seed", range(3))
def test_all_kinds_together(virtual_board: VirtualUnixBoard, seed: int) -> None:
    with counting_session(virtual_board, seed) as (board, line):
        check_results(board, line, Faults(0.003, 0.003, 0.003, 0.003), seed)
        assert board.link_statistics.retransmissions > 10
