"""What holds for every virtual board; what is special about sim:unix is in test_virtual_unix.py."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from availability import not_available
from smidgen.errors import BoardError, BoardReset, InputError
from smidgen.link import natmod
from smidgen.link.session import connect
from smidgen.link.virtual import VIRTUAL_BOARDS, VirtualCortexM3Board, VirtualPicoBoard, create_virtual_board
from smidgen.link.virtual.firmware_file import DIRECTORY_VARIABLE, find_firmware
from terminal import Terminal

QEMU_BOARDS = ["sim:cortex-m3", "sim:cortex-m4", "sim:riscv"]
ARCHITECTURES = {
    "sim:unix": "x64",
    "sim:pico": "armv6m",
    "sim:cortex-m3": "armv7em",  # what MicroPython takes every Cortex-M with Thumb-2 and no float unit for
    "sim:cortex-m4": "armv7emsp",
    "sim:riscv": "rv32imc",
}


def mpremote(port: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "mpremote", "connect", port, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_terminal_and_mpremote(board_name: str) -> None:
    """As with a board on a cable, one after the other."""
    with create_virtual_board(board_name) as board:
        terminal = Terminal(board.port)
        terminal.serial.timeout = 30
        assert terminal.type(b"\r").endswith(b"\r\n>>> ")
        assert terminal.type(b"print(6*7)\r") == b"print(6*7)\r\n42\r\n>>> "
        terminal.start_endless_loop()
        assert b"KeyboardInterrupt" in terminal.type(b"\x03")
        terminal.serial.close()
        assert mpremote(board.port, "exec", "open('a.txt', 'w').close(); print(1 + 1)") == "2\n"
        assert "a.txt" in mpremote(board.port, "fs", "ls")


def test_session(board_name: str) -> None:
    with connect(board_name) as board:
        info = board.hello()
        assert info.natmod_arch == ARCHITECTURES[board_name]
        assert 200_000 < info.free_bytes < info.heap_bytes < 500_000
        assert board.put_file("deep/data.bin", bytes(range(256)) * 20) is True
        assert board.put_file("deep/data.bin", bytes(range(256)) * 20) is False
        assert board.eval("__import__('os').stat('deep/data.bin')[6]") == 5120
        board._start_link()
        with pytest.raises(BoardError, match=rf"huge.bin does not fit .* has {10**15} bytes, and the file system \d+"):
            board._require_storage("deep/huge.bin", 10**15)


@pytest.mark.parametrize("board_name", ["sim:pico", *QEMU_BOARDS], indirect=True)
def test_a_reset_is_noticed_and_the_session_goes_on(board_name: str) -> None:
    with connect(board_name) as board:
        with pytest.raises(BoardReset, match=r"was reset; its last output: .*help"):
            board.exec("import machine\nmachine.reset()")
        assert board.put_file("after.txt", b"after") is True


def test_a_soft_reset_between_two_calls_is_noticed(board_name: str) -> None:
    with connect(board_name) as board:
        board.put_file("before.txt", b"before")
        board.exec("import sys\nsys.exit()")
        with pytest.raises(BoardReset, match="was reset"):
            board.exec("_smg.gc.collect()")
        assert board.put_file("after.txt", b"after") is True  # the session puts its helper there again


@pytest.mark.parametrize("board_name", QEMU_BOARDS, indirect=True)
def test_death_is_reported(board_name: str) -> None:
    with (
        connect(board_name) as board,
        pytest.raises(BoardError, match=r"died \(exit code \d+\); its last output: .*(HardFault|fault)"),
    ):
        board.exec("import uctypes; uctypes.bytearray_at(0x90000000, 4)[0] = 1")


@pytest.mark.parametrize("board_name", ["sim:pico"], indirect=True)
def test_a_processor_that_stops_is_reported(board_name: str) -> None:
    """The emulated RP2040 reads and writes wrong addresses without a fault; a breakpoint stops it."""
    breakpoint_code = "import micropython\n@micropython.asm_thumb\ndef stop():\n data(2, 0xbe00)\nstop()"
    with (
        connect(board_name) as board,
        pytest.raises(BoardError, match=r"died \(exit code 3\); .*stopped at a breakpoint or fault, pc 0x2"),
    ):
        board.exec(breakpoint_code)


def test_nothing_is_left_behind(board_name: str) -> None:
    board = create_virtual_board(board_name)
    board.start()
    (process,) = processes_in(board.directory)
    board.close()
    assert not board.directory.exists()
    assert not process.exists()


def test_nothing_is_left_behind_when_the_computer_program_is_killed(board_name: str) -> None:
    script = f"""
import time
from smidgen.link.virtual import create_virtual_board
board = create_virtual_board({board_name!r})
board.start()
print(board.directory, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout
        directory = Path(host.stdout.readline().strip())
        (process,) = processes_in(directory)
        host.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (directory.exists() or process.exists()):
        time.sleep(0.02)
    assert not directory.exists()
    assert not process.exists()


def test_a_board_at_its_prompt_uses_no_processor(board_name: str) -> None:
    with create_virtual_board(board_name) as board:
        time.sleep(0.5)
        (process,) = processes_in(board.directory)
        before = processor_ticks(process)
        time.sleep(1)
        assert processor_ticks(process) - before < 20  # hundredths of a second


def test_time_passes_while_it_sleeps(board_name: str) -> None:
    with connect(board_name) as board:
        milliseconds = board.eval("(lambda t: (t.sleep_ms(300), t.ticks_diff(t.ticks_ms(), 0))[1])(__import__('time'))")
        assert milliseconds >= 300


@pytest.mark.parametrize("board_name", ["sim:pico"], indirect=True)
def test_a_virtual_pico_is_delivered_with_smidgen(board_name: str) -> None:
    if not VirtualPicoBoard()._files:
        not_available("there is no smidgen.mpy for armv6m: make natmod ARCH=armv6m")
    with connect(board_name) as board:
        assert board.install() is False
        assert board.hello().smidgen_version


@pytest.mark.parametrize("name", [name for name in VIRTUAL_BOARDS if name != "sim:unix"])
def test_a_heap_that_cannot_be_chosen(name: str) -> None:
    with pytest.raises(InputError, match=rf"the heap of {name} is that of its firmware; .*sim:unix"):
        create_virtual_board(name, heap_bytes=100_000)


def test_firmware_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    with pytest.raises(BoardError, match=r"no firmware unicorn/firmware.elf .*make firmware.*" + DIRECTORY_VARIABLE):
        find_firmware("unicorn", "firmware.elf")
    (tmp_path / "unicorn").mkdir()
    (tmp_path / "unicorn" / "firmware.elf").touch()
    assert find_firmware("unicorn", "firmware.elf") == tmp_path / "unicorn" / "firmware.elf"


def test_a_firmware_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=rf"{DIRECTORY_VARIABLE} names '.*nowhere', which is not a folder"):
        find_firmware("riscv", "firmware.elf")


def test_a_natmod_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(natmod.DIRECTORY_VARIABLE, str(tmp_path / "nowhere"))
    message = rf"{natmod.DIRECTORY_VARIABLE} names '.*nowhere', which is not a folder"
    with pytest.raises(InputError, match=message):
        natmod.find("x64")
    with pytest.raises(InputError, match=message):
        VirtualPicoBoard()


def test_no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(BoardError, match="sim:cortex-m3 needs qemu-system-arm: install the Debian package qemu-sys"):
        VirtualCortexM3Board().start()


@pytest.mark.parametrize("board_name", ["sim:cortex-m3"], indirect=True)
def test_firmware_that_is_none(board_name: str, tmp_path: Path) -> None:
    (tmp_path / "firmware.elf").write_bytes(b"nothing")
    with pytest.raises(BoardError, match=r"sim:cortex-m3 did not boot: the virtual board died"):
        VirtualCortexM3Board(tmp_path / "firmware.elf").start()


def processes_in(directory: Path) -> list[Path]:
    """Processes whose working directory is `directory`, as paths in /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                found.append(process)
        except OSError:
            continue
    return found


def processor_ticks(process: Path) -> int:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
