"""`smidgen repl`, as a person at a terminal uses it, and as a script does."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smidgen.errors import BoardError
from smidgen.link.prompt import visit
from smidgen.link.session import connect
from smidgen.link.virtual import VirtualUnixBoard

SLOW = 60.0  # seconds until a test gives up; the emulated Pico needs some
PROMPT = b">>> "
FUNCTION = b"def twice(x):\n    if x:\n        x = 2 * x\n    return x\n\nprint('twice', twice(21))\n"


@pytest.fixture
def blob(dense_blob: Path) -> Path:
    return dense_blob


class Person:
    """Types into `smidgen repl`, which has a pseudo-terminal of its own, and reads what it shows."""

    def __init__(self, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smidgen", "repl", *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
        )  # fmt: skip
        self.shown = b""

    def read_until(self, ending: bytes) -> bytes:
        """What was shown since the last call, up to and including `ending`."""
        deadline = time.monotonic() + SLOW
        while ending not in self.shown:
            assert time.monotonic() < deadline, f"expected {ending!r}, got {self.shown!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 4096)
        end = self.shown.index(ending) + len(ending)
        text, self.shown = self.shown[:end], self.shown[end:]
        return text

    def type(self, keys: bytes, until: bytes = b"\r\n" + PROMPT) -> str:
        os.write(self.master, keys)
        return self.read_until(until).decode()

    def wait(self) -> int:
        """The exit code; what is still shown is read, so that the program is not stopped by a full terminal."""
        deadline = time.monotonic() + SLOW
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.shown!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.shown += os.read(self.master, 4096)
        return self.process.returncode

    @property
    def terminal_is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def person() -> Iterator[Callable[..., Person]]:
    people = []

    def start(*arguments: object) -> Person:
        people.append(Person(*map(str, arguments)))
        people[-1].read_until(PROMPT)
        return people[-1]

    yield start
    for each in people:
        each.close()


def state(port: str) -> tuple[list[str], int]:
    """The board's names, and its free memory."""
    with connect(port) as board:
        board.exec("__import__('gc').collect()")
        return sorted(board.eval("dir()")), board.eval("__import__('gc').mem_free()")


@pytest.mark.parametrize("key", [b"\x1d", b"\x18"])
def test_the_model_is_at_hand_and_nothing_remains(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person], key: bytes
) -> None:
    with connect(virtual_board.port) as board:
        board.exec("m = 'mine'\nx = [1, 2]")
        with visit(board, blob):  # the module stays imported, and MicroPython keeps names it has seen for good
            pass
    before = state(virtual_board.port)
    somebody = person("--port", virtual_board.port, blob)
    assert "<Model model, 1 operators>" in somebody.type(b"m\r")
    assert "FULLY_CONNECTED" in somebody.type(b"print(m)\r")
    assert "'0.1.0'" in somebody.type(b"smidgen.__version__\r")
    shown = somebody.type(b"print('new', sorted(n for n in dir() if n[:2] != '__'))\r")
    assert "new ['_smg_before', 'm', 'smidgen', 'x']" in shown
    somebody.type(b"kept = m.tensor(1) if m.run() is None else 0\r")
    somebody.type(b"kept\r")  # it is the prompt's last value too
    somebody.type(b"x.append(3)\rx = 5\r", until=b"x = 5\r\n" + PROMPT)
    os.write(somebody.master, key)
    assert somebody.wait() == 0
    assert somebody.terminal_is_as_before
    names, free = state(virtual_board.port)
    assert names == before[0]
    assert before[1] - free < 1024  # the lines in the prompt's history and their names
    with connect(virtual_board.port) as board:
        assert board.eval("(m, x)") == ("mine", [1, 2, 3])


def test_completion_and_history(virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]) -> None:
    somebody = person("--port", virtual_board.port, blob)
    assert "m.profile" in somebody.type(b"m.pro\t", until=b"m.profile")
    assert "FULLY_CONNECTED" in somebody.type(b"()\r")
    assert "42" in somebody.type(b"6 * 7\r")
    shown = somebody.type(b"\x1b[A\r")
    assert "6 * 7" in shown and "42" in shown


def test_a_pasted_function_keeps_its_indents(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    shown = somebody.type(b"\x1b[200~" + FUNCTION.replace(b"\n", b"\r") + b"\x1b[201~")
    assert "twice 42" in shown
    assert "10" in somebody.type(b"twice(5)\r")


def test_a_paste_that_is_indented_or_long(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    lines = b"".join(b"    total += %d  # %s\n" % (i, b"x" * 40) for i in range(60))
    shown = somebody.type(b"\x1b[200~    total = 0\n" + lines + b"    print('total', total)\n\x1b[201~")
    assert f"total {sum(range(60))}" in shown


def test_a_pasted_line_waits_for_enter(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    somebody.type(b"\x1b[200~1000 + 1\x1b[201~", until=b"1000 + 1")
    assert "1001" in somebody.type(b"\r")


def test_paste_mode_by_hand(virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]) -> None:
    somebody = person("--port", virtual_board.port, blob)
    somebody.type(b"\x05", until=b"=== ")
    assert "twice 42" in somebody.type(FUNCTION + b"\x04")


def test_ctrl_c_interrupts_the_board(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    somebody.type(b"exec(\"print('running')\\nwhile True: pass\")\r", until=b"\r\nrunning\r\n")
    assert "KeyboardInterrupt" in somebody.type(b"\x03")
    assert somebody.process.poll() is None


def test_leaving_interrupts_what_runs(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    somebody.type(b"exec(\"print('running')\\nwhile True: pass\")\r", until=b"\r\nrunning\r\n")
    os.write(somebody.master, b"\x1d")
    assert somebody.wait() == 0
    assert "m" not in state(virtual_board.port)[0]


def test_a_soft_reset_leaves_nothing_to_restore(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person]
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    somebody.type(b"\x04", until=PROMPT)
    assert "NameError" in somebody.type(b"m\r")
    os.write(somebody.master, b"\x1d")
    assert somebody.wait() == 0
    assert not [name for name in state(virtual_board.port)[0] if name.startswith("_smg")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_board_and_terminal(
    virtual_board: VirtualUnixBoard, blob: Path, person: Callable[..., Person], number: signal.Signals
) -> None:
    somebody = person("--port", virtual_board.port, blob)
    somebody.type(b"x = 1\r")
    assert not somebody.terminal_is_as_before
    somebody.process.send_signal(number)
    assert somebody.wait() == 130
    assert somebody.terminal_is_as_before
    assert not {"m", "x", "_smg_before"} & set(state(virtual_board.port)[0])


def test_a_board_that_dies(blob: Path, person: Callable[..., Person], unix_port: None) -> None:
    somebody = person("--port", "sim:unix", blob)
    os.write(somebody.master, b"import uctypes; uctypes.bytearray_at(8, 4)[0] = 1\r")
    assert somebody.wait() == 5
    assert b"died (SIGSEGV)" in somebody.shown
    assert b"Traceback" not in somebody.shown
    assert somebody.terminal_is_as_before


@pytest.mark.parametrize("board_name", ["sim:unix", "sim:cortex-m3"], indirect=True)
def test_visits_leave_nothing_in_memory(board_name: str, blob: Path) -> None:
    """Also not the module once more: a board keeps native code until it is reset."""
    free = []
    with connect(board_name) as board:
        for _ in range(3):
            with visit(board, blob):
                board.exec("m.run()")
            free.append(board.eval("__import__('gc').mem_free()"))
    assert abs(free[2] - free[1]) < 256


@pytest.mark.slow
def test_every_virtual_board(board_name: str, blob: Path, person: Callable[..., Person]) -> None:
    somebody = person("--port", board_name, blob)
    assert "twice 42" in somebody.type(b"\x1b[200~" + FUNCTION + b"\x1b[201~")
    assert "FULLY_CONNECTED" in somebody.type(b"print(m)\r")
    os.write(somebody.master, b"\x1d")
    assert somebody.wait() == 0


def smidgen_repl(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smidgen", "repl", *map(str, arguments)]
    return subprocess.run(command, input=source, capture_output=True, text=True, timeout=SLOW, check=False)


def test_statements_from_standard_input(blob: Path, unix_port: None) -> None:
    result = smidgen_repl("print(m.labels)\nm.selftest\n1 + 1; 'a'\nNone\n", "--port", "sim:unix", blob)
    lines = result.stdout.splitlines()
    assert (lines[0], lines[2:]) == ("['left', 'right', 'up']", ["2", "'a'"])
    assert lines[1].startswith("<bound_method")
    assert result.returncode == 0
    assert "smidgen was not on the board: installed it" in result.stderr


def test_a_script_ends_at_the_first_statement_that_fails(blob: Path, unix_port: None) -> None:
    source = "@print\ndef f():\n    return 1\n\nfor i in range(2):\n    print(i)\nm.top()\nprint('never')\n"
    result = smidgen_repl(source, "--port", "sim:unix", blob)
    assert result.returncode == 5
    assert re.fullmatch(r"<function f at 0x\w+>\n0\n1\n", result.stdout)
    assert "line 7: ValueError: the model has not run to its end: there are no scores yet" in result.stderr


def test_a_script_that_is_no_python(unix_port: None) -> None:
    result = smidgen_repl("x = 1\nx = (\n", "--port", "sim:unix")
    assert (result.returncode, result.stdout) == (5, "")
    assert "line 1: SyntaxError" in result.stderr


def test_a_blob_that_is_refused_leaves_the_board_as_it_was(virtual_board: VirtualUnixBoard, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.smg"
    damaged.write_bytes(b"SMG\x1a\x01\0" + bytes(200))
    names, _ = state(virtual_board.port)
    with connect(virtual_board.port) as board, pytest.raises(BoardError), visit(board, damaged):
        pytest.fail("it was loaded")
    assert state(virtual_board.port)[0] == names


def test_the_port_has_to_be_a_board() -> None:
    result = smidgen_repl("", "--port", "host")
    assert result.returncode == 6
    assert "'host'" in result.stderr and "board" in result.stderr
