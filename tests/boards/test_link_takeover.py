"""Other tools on the port of a board whose service was left running."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smidgen.link.link import Operation
from smidgen.link.session import connect
from smidgen.link.virtual import VirtualUnixBoard


def test_mpremote_at_its_second_attempt(virtual_board: VirtualUnixBoard) -> None:
    board = connect(virtual_board.port, timeout=5)
    board.request(Operation.PING)
    board._repl.close()
    command = [sys.executable, "-m", "mpremote", "connect", virtual_board.port, "exec", "print(6 * 7)"]
    with pytest.raises(subprocess.TimeoutExpired):  # the service has taken what asks for the raw REPL
        subprocess.run(command, capture_output=True, timeout=4)
    assert subprocess.run(command, capture_output=True, text=True, timeout=30).stdout == "42\n"
