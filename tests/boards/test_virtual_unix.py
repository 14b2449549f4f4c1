"""sim:unix must be like a board on a cable, for any serial tool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smidgen.errors import BoardError, InputError
from smidgen.link.virtual import VirtualUnixBoard, create_virtual_board
from terminal import Terminal

pytestmark = pytest.mark.usefixtures("unix_port")

RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
BANNER_END = b'Type "help()" for more information.\r\n>>> '


def mpremote(port: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "mpremote", "connect", port, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_pyserial_at_the_prompt(terminal: Terminal) -> None:
    assert terminal.type(b"print(6*7)\r") == b"print(6*7)\r\n42\r\n>>> "


def test_lines_end_once(terminal: Terminal) -> None:
    output = terminal.type(b"for i in range(2): print('a\\r\\nb')\r\r")
    assert output.endswith(b"a\r\nb\r\na\r\nb\r\n>>> ")
    assert b"\r\r" not in output


def test_mpremote_runs_code(virtual_board: VirtualUnixBoard) -> None:
    assert mpremote(virtual_board.port, "exec", "print(1+1)") == "2\n"


def test_mpremote_resets_and_reconnects(virtual_board: VirtualUnixBoard) -> None:
    mpremote(virtual_board.port, "exec", "kept = 5")
    assert mpremote(virtual_board.port, "resume", "soft-reset", "exec", "print('kept' in globals())") == "False\n"


def test_mpremote_copies_into_the_private_directory(virtual_board: VirtualUnixBoard, tmp_path: Path) -> None:
    content = os.urandom(3000)
    (tmp_path / "data.bin").write_bytes(content)
    mpremote(virtual_board.port, "fs", "cp", str(tmp_path / "data.bin"), ":/data.bin")
    assert (virtual_board.directory / "data.bin").read_bytes() == content
    assert mpremote(virtual_board.port, "exec", "import os; print(os.listdir('/'))") == "['data.bin']\n"


def test_control_c_interrupts_a_busy_loop(terminal: Terminal) -> None:
    terminal.start_endless_loop()
    assert b"KeyboardInterrupt" in terminal.type(b"\x03")
    assert b"\r\n7\r\n" in terminal.type(b"print(7)\r")


def test_many_control_c_do_no_harm(terminal: Terminal) -> None:
    terminal.start_endless_loop()
    terminal.serial.write(b"\x03" * 50)
    assert b"\r\n4321\r\n" in terminal.type(b"print(4320+1)\r", until=b"4321\r\n>>> ")


def test_control_c_is_data_after_kbd_intr(terminal: Terminal) -> None:
    terminal.type(b"\x01", until=RAW_PROMPT)
    code = b"import micropython, sys\nmicropython.kbd_intr(-1)\nprint('go')\nprint(sys.stdin.buffer.read(8))\x04"
    terminal.type(code, until=b"go\n")
    assert (
        terminal.type(b"\x03\x00\n\r\x03\x04\x01\xff", until=b"\x04>")
        == b"b'\\x03\\x00\\n\\r\\x03\\x04\\x01\\xff'\n\x04\x04>"
    )


def test_binary_output_is_not_changed(terminal: Terminal) -> None:
    terminal.type(b"\x01", until=RAW_PROMPT)
    output = terminal.type(b"import sys\nn = sys.stdout.buffer.write(bytes(range(256)))\x04", until=b"\x04\x04>")
    assert output == b"OK" + bytes(range(256)) + b"\x04\x04>"


def test_soft_reset_at_the_prompt(terminal: Terminal) -> None:
    terminal.type(b"kept = 5\r")
    output = terminal.type(b"\x04", until=BANNER_END)
    assert output.startswith(b"\r\nMPY: soft reboot\r\nMicroPython ")
    assert b"NameError" in terminal.type(b"kept\r")


@pytest.mark.parametrize("code", [b"", b"import machine; machine.soft_reset()", b"import sys; sys.exit(3)"])
def test_soft_reset_stays_in_the_raw_repl(terminal: Terminal, code: bytes) -> None:
    terminal.type(b"\x01", until=RAW_PROMPT)
    output = terminal.type(code + b"\x04", until=RAW_PROMPT)
    assert output.endswith(b"MPY: soft reboot\r\n" + RAW_PROMPT)
    assert b"MicroPython" not in output  # no banner
    assert terminal.type(b"print(8)\x04", until=b"\x04\x04>") == b"OK8\n\x04\x04>"


def test_files_survive_a_soft_reset(terminal: Terminal, virtual_board: VirtualUnixBoard) -> None:
    terminal.type(b"f = open('/kept.txt', 'w'); n = f.write('kept'); f.close()\r")
    terminal.type(b"\x04", until=BANNER_END)
    assert b"'kept'" in terminal.type(b"open('/kept.txt').read()\r")
    assert (virtual_board.directory / "kept.txt").read_text() == "kept"


def test_heap_is_a_boards(terminal: Terminal) -> None:
    assert b"MemoryError" not in terminal.type(b"a = bytearray(150_000)\r")
    assert b"MemoryError" in terminal.type(b"b = bytearray(300_000)\r")


def test_heap_can_be_chosen() -> None:
    with VirtualUnixBoard(heap_bytes=1_000_000) as board:
        assert mpremote(board.port, "exec", "b = bytearray(300_000); print(len(b))") == "300000\n"
    with pytest.raises(ValueError, match="1000 bytes"):
        VirtualUnixBoard(heap_bytes=1000)


def test_modules_are_found_in_lib(virtual_board: VirtualUnixBoard) -> None:
    (virtual_board.directory / "lib").mkdir()
    (virtual_board.directory / "lib" / "greeting.py").write_text("text = 'hello'\n")
    assert mpremote(virtual_board.port, "exec", "import greeting; print(greeting.text)") == "hello\n"


def test_the_computer_cannot_be_reached(terminal: Terminal) -> None:
    assert b"ENOENT" in terminal.type(b"open('/etc/passwd')\r")


def test_death_is_reported(terminal: Terminal, virtual_board: VirtualUnixBoard) -> None:
    terminal.serial.write(b"import uctypes; print('last words'); uctypes.bytearray_at(8, 4)[0] = 1\r")
    farewell = terminal.serial.read_until(b"last output: ")
    assert b"the virtual board died (SIGSEGV)" in farewell
    with pytest.raises(BoardError, match=r"SIGSEGV.*last words"):
        virtual_board.wait()


def test_firmware_that_does_not_boot_is_reported() -> None:
    with pytest.raises(BoardError, match="did not boot"):
        VirtualUnixBoard(executable="/bin/false").start()
    with pytest.raises(BoardError, match="did not boot"):
        VirtualUnixBoard(executable="/no/such/micropython").start()


def test_nothing_is_left_behind() -> None:
    board = VirtualUnixBoard()
    board.start()
    (process,) = children_in(board.directory)
    board.close()
    board.close()
    assert not board.directory.exists()
    assert not process.exists()


def test_nothing_is_left_behind_when_the_user_forgets() -> None:
    script = "from smidgen.link.virtual import VirtualUnixBoard as B\nb = B(); b.start(); print(b.directory)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    directory = Path(result.stdout.strip())
    assert directory.name.startswith("smidgen-board-")
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind_by_a_sudden_end(number: signal.Signals) -> None:
    script = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
from smidgen.link.virtual import VirtualUnixBoard
board = VirtualUnixBoard()
board.start()
os.write(os.open(board.port, os.O_RDWR | os.O_NOCTTY), b"while True: pass\\r\\r")
time.sleep(0.2)
print(board.directory, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        directory = Path(process.stdout.readline().strip())
        assert directory.exists()
        (firmware,) = children_in(directory)
        process.send_signal(number)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (directory.exists() or firmware.exists()):
        time.sleep(0.02)
    assert not directory.exists()
    assert not firmware.exists()


def test_several_boards_at_once(virtual_board: VirtualUnixBoard) -> None:
    with VirtualUnixBoard() as other:
        assert other.port != virtual_board.port
        (other.directory / "mine.txt").touch()
        assert list(virtual_board.directory.iterdir()) == []


def test_unknown_name() -> None:
    with pytest.raises(InputError, match=r"'sim:unicorn'.*sim:unix"):
        create_virtual_board("sim:unicorn")


def children_in(directory: Path) -> list[Path]:
    """Processes whose working directory is `directory`, as paths in /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                found.append(process)
        except OSError:
            continue
    return found
