"""The binary link on a bad line, with a board that is reset, and with a cable that is pulled out.

Results are right or there is a clear error; nothing is carried out twice.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest

from faulty_line import NONE, Faults, FaultyLine
from smidgen.errors import BoardError, BoardReset
from smidgen.link import link as link_module
from smidgen.link import session as session_module
from smidgen.link.frames import FILLING, Frame, Kind, encode_for_board
from smidgen.link.link import Operation
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualUnixBoard
from terminal import Terminal
from test_session import make_blob, put_stand_in
from test_virtual_boards import processes_in

ELEMENTS = 300
RUNS = 12
HALF_A_FRAME = encode_for_board(Frame(Kind.LAST, Operation.PING, 0x1234, 0, b"x" * 50), 0)[:30]


def connect_quickly(port: str) -> Board:
    """Behind these PTYs is no slow emulator."""
    with patch.object(session_module, "slowness_behind", lambda port: 1.0):
        return connect(port, timeout=5)


@contextmanager
def counting_session(virtual: VirtualUnixBoard, seed: int) -> Iterator[tuple[Board, FaultyLine]]:
    """A board that counts how often a model runs, behind a line that is still a good one; its service is started."""
    with FaultyLine(virtual.port, seed) as line, connect_quickly(line.port) as board:
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


def slow_runs(board: Board, seconds: float) -> None:
    board.exec(
        "import time\nat_once = smidgen.Model.run\n"
        f"def slow(model, until=None):\n time.sleep_ms({int(seconds * 1000)})\n at_once(model, until)\n"
        "smidgen.Model.run = slow"
    )


def later(seconds: float, *actions: Callable[[], None]) -> threading.Thread:
    """Carries out the actions, with so many seconds before each."""

    def run() -> None:
        for action in actions:
            time.sleep(seconds)
            action()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("silent", [False, True])
def test_reset_in_mid_inference(virtual_board: VirtualUnixBoard, silent: bool) -> None:
    """silent: what the board says when it starts does not arrive."""
    relay = virtual_board._relay
    assert relay
    relay._reset_exit_code = -signal.SIGKILL  # the relay boots the board again, as after a loss of power
    (process,) = processes_in(virtual_board.directory)
    with counting_session(virtual_board, seed=1) as (board, line):
        model = board.load(make_blob(ELEMENTS))
        slow_runs(board, 30)
        x = np.zeros(ELEMENTS, np.int8)

        def reset() -> None:
            line.pulled = silent
            os.kill(int(process.name), signal.SIGKILL)

        def plug() -> None:
            line.pulled = False

        thread = later(0.5, reset, plug)
        with pytest.raises(BoardReset, match="was reset"):
            model.run(x, timeout=2)
        thread.join()
        with pytest.raises(BoardReset, match=r"was reset: load the model again"):
            model.run(x)
        put_stand_in(board, ELEMENTS)
        (y,) = board.load(make_blob(ELEMENTS)).run(x + 1)  # the session can go on
        assert set(y.reshape(-1)) == {2}


@pytest.mark.parametrize("seconds", [0.7, 7.0])
def test_a_cable_pulled_out_and_put_back(virtual_board: VirtualUnixBoard, seconds: float) -> None:
    """For less and for more time than the service waits: the transfer is resumed."""
    data = np.random.default_rng(5).bytes(100_000)
    with counting_session(virtual_board, seed=1) as (board, line):

        def pull() -> None:
            line.pulled = True

        def plug() -> None:
            line.pulled = False

        def progress(done: int, total: int) -> None:
            if done > 20_000 and not threads:
                pull()
                threads.append(later(seconds, plug))

        threads: list[threading.Thread] = []
        assert board.put_file("data.bin", data, progress) is True
        threads[0].join()
        assert board.link_statistics.restarts <= (1 if seconds > 5 else 0)  # none if it waits for the rest of a frame
        assert board.evaluate("_smg.file_digest('data.bin')") == hashlib.sha256(data).hexdigest()


def test_a_result_that_was_lost_with_the_cable_is_not_computed_again(virtual_board: VirtualUnixBoard) -> None:
    with counting_session(virtual_board, seed=1) as (board, line):
        model = board.load(make_blob(ELEMENTS))
        slow_runs(board, 1)

        def pull() -> None:
            line.pulled = True

        def plug() -> None:
            line.pulled = False

        thread = later(0.4, pull)
        thread.join(0.1)
        plugging = later(8, plug)  # the result is lost, and the service has returned to the REPL
        (y,) = model.run(np.ones(ELEMENTS, np.int8), timeout=5)
        plugging.join()
        assert set(y.reshape(-1)) == {2}
        assert board.link_statistics.restarts == 1
        assert board.eval("runs") == 1


def test_a_cable_that_stays_out(virtual_board: VirtualUnixBoard) -> None:
    with counting_session(virtual_board, seed=1) as (board, line):
        model = board.load(make_blob(ELEMENTS))
        line.pulled = True
        with pytest.raises(BoardError, match=r"fell silent for 1 s"):
            model.run(np.zeros(ELEMENTS, np.int8), timeout=1)


def test_a_line_that_disappears(virtual_board: VirtualUnixBoard) -> None:
    """As a USB port does."""
    with connect(virtual_board.port, timeout=5) as board:
        put_stand_in(board, 4)
        model = board.load(make_blob(4))
        os.close(board._repl._serial.fd)
        with pytest.raises(BoardError, match=r"is gone: .*check the cable"):
            model.run(np.zeros(4, np.int8))
        board._repl._serial.fd = os.open(os.devnull, os.O_RDWR)


class TestHostThatDies:
    """What the next one finds on the line."""

    @pytest.fixture
    def silence_ms(self) -> int:
        return link_module.SERVICE_SILENCE_MS

    @pytest.fixture
    def abandoned(self, virtual_board: VirtualUnixBoard, silence_ms: int, monkeypatch: pytest.MonkeyPatch) -> Board:
        monkeypatch.setattr(link_module, "SERVICE_SILENCE_MS", silence_ms)
        board = connect(virtual_board.port, timeout=5)
        board.request(Operation.PING)
        return board

    def die(self, board: Board, last_words: bytes = b"") -> None:
        board._repl.send(last_words)
        board._repl.close()

    @pytest.mark.parametrize(
        ("silence_ms", "last_words"), [(link_module.SERVICE_SILENCE_MS, b""), (1000, b"\x07noise")]
    )
    def test_silence_ends_the_service(
        self, virtual_board: VirtualUnixBoard, abandoned: Board, silence_ms: int, last_words: bytes
    ) -> None:
        self.die(abandoned, last_words)
        time.sleep(silence_ms / 1000 + 1)
        terminal = Terminal(virtual_board.port)
        assert terminal.type(b"\x02").endswith(b">>> ")  # of the raw REPL, which it returned to
        assert b"\r\n42\r\n" in terminal.type(b"6 * 7\r")
        terminal.serial.close()

    @pytest.mark.parametrize("last_words", [b"", b"\x07noise", HALF_A_FRAME + FILLING])
    def test_ctrl_c_ends_it_at_once(self, virtual_board: VirtualUnixBoard, abandoned: Board, last_words: bytes) -> None:
        self.die(abandoned, last_words)
        terminal = Terminal(virtual_board.port)
        terminal.serial.write(b"\x03\x03\x03")
        time.sleep(0.5)
        assert terminal.type(b"\x02").endswith(b">>> ")
        terminal.serial.close()

    @pytest.mark.parametrize("last_words", [b"", HALF_A_FRAME, b"\xfe"])
    def test_the_next_session_takes_over(
        self, virtual_board: VirtualUnixBoard, abandoned: Board, last_words: bytes
    ) -> None:
        self.die(abandoned, last_words)
        with connect(virtual_board.port, timeout=5) as board:
            put_stand_in(board, 4)
            (y,) = board.load(make_blob(4)).run(np.ones(4, np.int8))
            assert set(y.reshape(-1)) == {2}


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Also in a process that was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_interruption_of_an_inference(virtual_board: VirtualUnixBoard) -> None:
    """Ctrl-C on the computer; the session goes on, and the request that was given up is not repeated."""
    with counting_session(virtual_board, seed=1) as (board, _):
        model = board.load(make_blob(ELEMENTS))
        slow_runs(board, 30)
        main = threading.get_ident()
        thread = later(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            model.run(np.zeros(ELEMENTS, np.int8))
        thread.join()
        board.exec("smidgen.Model.run = at_once")
        (y,) = model.run(np.ones(ELEMENTS, np.int8))
        assert set(y.reshape(-1)) == {2}
        assert board.eval("runs") == 1
