"""What boards/firmware/qemu adds to MicroPython's qemu port."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator

import pytest

from smidgen.link.virtual import create_virtual_board
from terminal import Terminal

pytestmark = pytest.mark.parametrize("board_name", ["sim:cortex-m3", "sim:cortex-m4", "sim:riscv"], indirect=True)


@pytest.fixture
def console(board_name: str) -> Iterator[Terminal]:
    with create_virtual_board(board_name) as board:
        terminal = Terminal(board.port)
        terminal.serial.timeout = 30
        assert terminal.type(b"\r").endswith(b">>> ")
        yield terminal
        terminal.serial.close()


def run(console: Terminal, line: str) -> str:
    """What a line prints."""
    echo, _, output = console.type(line.encode() + b"\r").partition(b"\r\n")
    assert echo.decode() == line
    return output.removesuffix(b">>> ").decode().replace("\r\n", "\n").rstrip("\n")


def test_modules(console: Terminal) -> None:
    names = "array asyncio binascii deflate gc hashlib io json machine os random re select struct sys time uctypes vfs"
    assert run(console, f"import {names.replace(' ', ', ')}") == ""


def test_clock(console: Terminal) -> None:
    run(console, "import time")
    times = "(time.ticks_us, time.ticks_us), (time.ticks_cpu, time.ticks_us), (time.ticks_ms, time.ticks_us)"
    assert run(console, f"[a() < 2**30 for a, _ in ({times})]") == "[True, True, True]"
    run(console, "start = time.ticks_us(); time.sleep_ms(60); slept = time.ticks_diff(time.ticks_us(), start)")
    assert int(run(console, "slept")) >= 60_000
    run(console, "start = time.ticks_ms(); time.sleep_us(3000); slept = time.ticks_diff(time.ticks_ms(), start)")
    assert int(run(console, "slept")) >= 2
    assert run(console, "abs(time.time() * 1000 - time.ticks_ms()) < 1100, time.localtime()[0]") == "(True, 2000)"


def test_nothing_is_lost_of_a_burst_while_code_runs(console: Terminal) -> None:
    """More than the ring holds; with Ctrl-C switched off, 0x03 is a byte like others."""
    run(console, "import hashlib, micropython, sys, time")
    count = 8192
    data = random.Random(1).randbytes(count)
    assert b"\x03" in data
    steps = f"micropython.kbd_intr(-1); print('go'); time.sleep_ms(200); data = sys.stdin.buffer.read({count})"
    console.type(f"{steps}; micropython.kbd_intr(3)\r".encode(), until=b"\ngo\r\n")
    writer = threading.Thread(target=console.serial.write, args=(data,))
    writer.start()
    assert console.read_until(b">>> ") == b">>> "
    writer.join()
    assert run(console, "hashlib.sha256(data).digest().hex()") == repr(hashlib.sha256(data).hexdigest())


def test_polling_stdin(console: Terminal) -> None:
    run(console, "import select, sys; poll = select.poll(); poll.register(sys.stdin, select.POLLIN)")
    assert run(console, "poll.poll(20)") == "[]"
    console.type(b"print('go'); len(poll.poll()), sys.stdin.read(1)\r", until=b"\ngo\r\n")
    assert console.type(b"x") == b"(1, 'x')\r\n>>> "


@pytest.mark.parametrize("waiting", ["exec('while True: pass')", "time.sleep(1000)", "sys.stdin.read(1)", "input()"])
def test_ctrl_c(console: Terminal, waiting: str) -> None:
    run(console, "import sys, time")
    console.type(f"print('go'); {waiting}\r".encode(), until=b"\ngo\r\n")
    assert b"KeyboardInterrupt" in console.type(b"\x03")
    assert run(console, "6 * 7") == "42"


def test_files_survive_a_soft_reset(console: Terminal) -> None:
    """Also those that a program has left open."""
    assert run(console, "import os, sys; os.listdir('/'), '/lib' in sys.path") == "([], True)"
    assert run(console, "block, _, blocks = os.statvfs('/')[:3]; block * blocks") == str(2 << 20)
    run(console, "keep = open('/left_open', 'w'); keep.write('text')")
    run(console, "open('/main.py', 'w').write('print(\"main\")')")
    output = console.type(b"\x04")
    assert b"Error" not in output
    assert b"\r\nmain\r\n" in output
    assert run(console, "open('/left_open').read()") == "'text'"
    assert run(console, "import os; os.listdir('/')") == "['left_open', 'main.py']"


def test_no_romfs_unless_qemu_loads_one(console: Terminal) -> None:
    assert run(console, "import os; 'rom' in os.listdir('/')") == "False"


def test_a_fault_says_where(console: Terminal, board_name: str) -> None:
    where = b"MTVAL=F0000000" if board_name == "sim:riscv" else b"address f0000000"
    console.type(b"import machine; machine.mem32[0xf0000000]\r", until=where)
