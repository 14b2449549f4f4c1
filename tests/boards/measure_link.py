"""Prints what the link takes on a board: RAM, round trips, throughput, and an inference of KWS with and without it.

python tests/boards/measure_link.py [PORT ...]      # by default sim:unix
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import golden_path, model_path
from smidgen.link.link import Operation
from smidgen.link.session import Board, connect
from smidgen.packer import pack

FREE = "(__import__('gc').collect(), __import__('gc').mem_free())[1]"


def milliseconds(action: Callable[[], object], repetitions: int) -> float:
    """Median of one repetition."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def measure(board: Board) -> None:
    before = board.eval(FREE)
    start = time.perf_counter()
    board.request(Operation.PING)
    print(f"  service sent and started  {time.perf_counter() - start:8.2f} s")
    print(f"  RAM that it takes         {before - board.eval(FREE):8} B of {before}")
    small = milliseconds(lambda: board.exec("pass"), 5)
    board.request(Operation.PING)
    print(f"  round trip, 1 byte        {milliseconds(lambda: board.request(Operation.PING, b'x'), 20):8.2f} ms")
    print(f"  code by the raw REPL      {small:8.2f} ms")
    board.put_file("random.bin", np.random.default_rng().bytes(22_000))
    print(f"  22,000 B into a file      {_speed(board)}")
    board.install()
    model = board.load(pack(model_path("kws_ref_model")).data)
    print(f"  26,456 B into RAM         {_speed(board)}")
    sample = np.load(golden_path("kws_ref_model"))["input"][0]
    wall = milliseconds(lambda: model.run(sample), 5)
    inference = (model.last_microseconds or 0) / 1000
    print(f"  KWS over the link         {wall:8.2f} ms, of which the board's inference {inference:.2f} ms")


def _speed(board: Board) -> str:
    transfer = board.last_transfer
    assert transfer
    return f"{transfer.seconds:8.2f} s, {transfer.bytes_per_second / 1000:.1f} kB/s"


def main() -> None:
    for port in sys.argv[1:] or ["sim:unix"]:
        print(port)
        with connect(port) as board:
            measure(board)


if __name__ == "__main__":
    main()
