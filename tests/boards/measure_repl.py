"""Prints how long the raw REPL takes on sim:unix, and mpremote's SerialTransport for comparison."""

from __future__ import annotations

import time
from collections.abc import Callable

from mpremote.transport_serial import SerialTransport

from smidgen.link.session import connect
from smidgen.link.virtual import VirtualUnixBoard


def milliseconds(action: Callable[[], object], repetitions: int) -> float:
    start = time.perf_counter()
    for _ in range(repetitions):
        action()
    return (time.perf_counter() - start) / repetitions * 1000


def main() -> None:
    with VirtualUnixBoard() as virtual:
        with connect(virtual.port) as board:
            small = milliseconds(lambda: board.exec("print(1)"), 200)
            large = milliseconds(lambda: board.exec("print('a' * 30000)"), 10)
        mpremote = SerialTransport(virtual.port, timeout=5)
        mpremote.enter_raw_repl()
        small_mpremote = milliseconds(lambda: mpremote.exec("print(1)"), 50)
        large_mpremote = milliseconds(lambda: mpremote.exec("print('a' * 30000)"), 3)
        mpremote.close()
    print(f"small exec       {small:8.2f} ms   mpremote {small_mpremote:8.2f} ms")
    print(f"30 kB of output  {large:8.2f} ms   mpremote {large_mpremote:8.2f} ms")


if __name__ == "__main__":
    main()
