"""Samples that a second board sends, without a board."""

from __future__ import annotations

import base64
import struct
from typing import Any, cast

import pytest

from smidgen.errors import BoardError
from smidgen.link.session import Board
from smidgen.power.ina import ina226
from smidgen.power.ina.bus import BusAddress
from smidgen.power.ina.second_board import SecondBoardSensor


class SamplingBoard:
    """Answers what the driver asks; `records` are what its timer has taken."""

    def __init__(self, records: list[bytes], lost: int = 0, garbage: str | None = None) -> None:
        self.records = records
        self.lost = lost
        self.garbage = garbage
        self.closed = False

    def exec(self, code: str, timeout: float | None = None) -> str:
        if ".fetch()" in code:
            records, self.records = self.records, []
            lines = "".join(base64.b64encode(record).decode() + "\n" for record in records)
            return self.garbage if self.garbage is not None else f"{lines}{self.lost} 0\n"
        if ".read(" in code:
            register = int(code.split(".read(")[1].split(",")[0])
            return str({0xFE: 0x5449, 0xFF: 0x2260, 5: 2048}.get(register, 0))
        return ""

    def close(self) -> None:
        self.closed = True


def sensor(board: SamplingBoard) -> SecondBoardSensor:
    settings = ina226.configure(0.1, None, 0.002)
    connect = cast("Any", lambda port: cast("Board", board))
    return SecondBoardSensor(settings, BusAddress(0, 0x40), 0.1, "a port", 2, 500, connect)


def record(microseconds: int, marker: int, current_steps: int, bus_steps: int = 4000) -> bytes:
    return struct.pack("<IB", microseconds, marker) + struct.pack(">hH", current_steps, bus_steps)


def test_a_reading_is_of_the_time_before_it() -> None:
    board = SamplingBoard([record(1000, 0, 9), record(3000, 1, 400), record(5000, 0, 1200)])
    with sensor(board) as source:
        source.start()
        source.stop()
        trace = source.trace
        assert trace
        assert trace.edges.tolist() == pytest.approx([0, 0.002, 0.004])
        assert trace.amperes.tolist() == pytest.approx([0.010, 0.030])  # 400 and 1200 steps of 25 uA
        assert trace.volts.tolist() == pytest.approx([5.0, 5.0])
        assert trace.markers.tolist() == [0, 1]
        assert source.warnings == ()
    assert board.closed


def test_lost_samples_and_currents_out_of_range_are_told() -> None:
    board = SamplingBoard([record(1000, 0, 9), record(3000, 1, 0x7FFF), record(5000, 0, -1200)], lost=7)
    with sensor(board) as source:
        source.start()
        source.stop()
        lost, above, negative = source.warnings
    assert lost == "7 of 9 samples were lost"
    assert "left the range of ina226, 0.819 A" in above
    assert "was negative" in negative


@pytest.mark.parametrize("garbage", ["", "MPY: soft reboot", "!!\n0 0", "AAAA\n0 0", "0 0 0", "0\n"])
def test_a_board_that_sends_something_else(garbage: str) -> None:
    with sensor(SamplingBoard([], garbage=garbage)) as source:
        source.start()
        with pytest.raises(BoardError, match="the board"):
            source.stop()


def test_too_few_samples() -> None:
    with sensor(SamplingBoard([record(1000, 0, 9)])) as source:
        source.start()
        with pytest.raises(BoardError, match="took 1 samples in all; it needs two at least"):
            source.stop()
