"""Models that are put onto a board: into a file, into RAM, in place of another."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from models import packed_model
from smidgen.board_memory import module_memory
from smidgen.cli.app import cli
from smidgen.errors import BlobError, BoardError, InputError
from smidgen.link import speed
from smidgen.link.push import push, push_to
from smidgen.link.session import Board, connect
from smidgen.link.speed import LineLimit, Transfer, line_limit
from smidgen.link.virtual import VirtualUnixBoard
from terminal import Terminal
from test_memory_messages import refuse_transfers
from test_session import make_blob, put_stand_in


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "kws.smg"
    path.write_bytes(packed_model("kws_ref_model").data)
    return path


def test_a_file_that_stays(virtual_board: VirtualUnixBoard, blob: Path) -> None:
    first, second = push(blob, virtual_board.port), push(blob, virtual_board.port)
    assert (first.name, first.in_ram, first.size) == ("kws.smg", False, blob.stat().st_size)
    assert first.transfer and first.transfer.size == first.size
    assert second.transfer is None
    assert push(blob, virtual_board.port, name="models/other.smg").transfer is not None
    with connect(virtual_board.port) as board:
        assert board.eval("open('models/other.smg', 'rb').read()") == blob.read_bytes()
        assert sorted(board.eval("__import__('os').listdir('models')")) == ["other.smg"]


def test_ram_for_the_prompt(virtual_board: VirtualUnixBoard, blob: Path) -> None:
    assert push(blob, virtual_board.port, ram=True).transfer is not None
    assert push(blob, virtual_board.port, ram=True).transfer is None
    terminal = Terminal(virtual_board.port)
    terminal.type(b"\r")
    assert b"\r\n(1, 49, 10, 1)\r\n" in terminal.type(b"m.info(0)[0]\r")
    assert b"\r\nFalse\r\n" in terminal.type(b"'_smg' in globals()\r")
    terminal.serial.close()


def kill_a_push(blob: Path, port: str) -> None:
    """Push in a process that is killed when a third has been sent."""
    code = (
        "import os, signal, sys\n"
        "from smidgen.link.push import push\n"
        "def progress(done, total):\n"
        "    if done > total // 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "push(sys.argv[1], sys.argv[2], progress=progress)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(blob), port], check=False)
    assert killed.returncode == -signal.SIGKILL


def test_what_a_killed_push_leaves_is_removed_by_the_next_session(
    virtual_board: VirtualUnixBoard, blob: Path, tmp_path: Path
) -> None:
    """Whatever that writes; and the file that was being written is closed."""
    kill_a_push(blob, virtual_board.port)
    other = tmp_path / "other.smg"
    other.write_bytes(make_blob(4))
    with connect(virtual_board.port) as board:
        assert "kws.smg.part" in board.eval("__import__('os').listdir()")
        board.exec("abandoned = _smg.file")
        push_to(board, other)
        assert board.eval("__import__('os').listdir()") == ["other.smg"]
        with pytest.raises(BoardError):
            board.exec("abandoned.write(b'more')")


def test_what_a_killed_push_leaves_is_removed_after_a_reset(virtual_board: VirtualUnixBoard, blob: Path) -> None:
    """By the next push of the same name, though the file is there already. Other files stay."""
    with connect(virtual_board.port) as board:
        push_to(board, blob)
        for name in ("kws.smg.part", "own.part"):
            board.exec(f"open({name!r}, 'wb').close()")
        assert push_to(board, blob).transfer is None
        assert sorted(board.eval("__import__('os').listdir()")) == ["kws.smg", "own.part"]


def test_what_a_killed_push_leaves_takes_no_room(board: Board, blob: Path) -> None:
    """It is removed before the room in the file system is looked at."""
    board._start_link()
    board.exec("_smg.storage = lambda name: 0 if name + '.part' in _smg.os.listdir() else 1_000_000")
    board.exec("open('kws.smg.part', 'wb').close()")
    assert push_to(board, blob).transfer is not None
    assert board.eval("__import__('os').listdir()") == ["kws.smg"]


@pytest.mark.parametrize("padding", [20_000, 120_000])
def test_another_model_in_ram(board: Board, padding: int) -> None:
    """padding: so that both fit, and so that they do not."""
    put_stand_in(board, 4)
    first, second = make_blob(4, padding), make_blob(4, padding + 1)
    for blob in (first, second):
        assert board.put_model(blob, "m") is True
        assert board.eval("m.size") == len(blob)


@pytest.mark.parametrize("padding", [20_000, 120_000])
def test_a_model_replaces_another(board: Board, padding: int) -> None:
    put_stand_in(board, 4)
    model = board.load(make_blob(4, padding))
    for _ in range(3):
        model = board.load(make_blob(4, padding + 1), replaces=model)
    assert board.eval("len(_smg.models)") == 1
    (y,) = model.run(np.ones(4, np.int8))
    assert set(y.reshape(-1)) == {2}


@pytest.mark.parametrize("ram", [True, False])
def test_what_does_not_fit_is_not_sent(
    board: Board, ram: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.smg"
    path.write_bytes(make_blob(4, padding=300_000))
    board.install()
    refuse_transfers(monkeypatch)
    with pytest.raises(BoardError, match=r"the model does not fit: it needs 300164 bytes of RAM .* bytes of RAM free"):
        push_to(board, path, ram=ram)


def test_ram_for_smidgen_itself(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a smidgen that is on the board, but not imported yet, the RAM is measured."""
    board.put_file("smidgen.py", b"kept = bytearray(60_000)\n")
    path = tmp_path / "large.smg"
    path.write_bytes(make_blob(4, padding=_free(board) - 40_000))
    refuse_transfers(monkeypatch)
    with pytest.raises(
        BoardError, match=r"it needs (\d+) bytes .* its arena 8\), .* has (\d+) bytes .* free"
    ) as caught:
        push_to(board, path)
    needed, *_, free = map(int, re.findall(r"(\d+) bytes", str(caught.value)))
    assert needed > free


@pytest.mark.parametrize("module", [None, b"raise OSError(5)\n", b"bytearray(10_000_000)\n"])
def test_ram_for_a_smidgen_that_cannot_be_imported(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: bytes | None
) -> None:
    """It is not there, damaged, or larger than the RAM: it counts with what it takes on other boards."""
    if module is not None:
        board.put_file("smidgen.py", module)
    expected = module_memory("x64").heap
    path = tmp_path / "large.smg"
    path.write_bytes(make_blob(4, padding=60_000))
    assert push_to(board, path).transfer is not None
    path.write_bytes(make_blob(4, padding=_free(board) - expected))
    refuse_transfers(monkeypatch)
    size = path.stat().st_size
    numbers = f"{size + 8 + expected} bytes of RAM .the blob {size} bytes, its arena 8, smidgen itself about {expected}"
    with pytest.raises(BoardError, match=f"the model does not fit: it needs {numbers}"):
        push_to(board, path)


def _free(board: Board) -> int:
    """Bytes of RAM while nothing but the link is there."""
    board._start_link()
    return int(board.evaluate("_smg.memory()[0]"))


@pytest.mark.parametrize("ram", [True, False])
def test_a_damaged_blob_is_not_sent(board: Board, blob: Path, ram: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(blob.read_bytes())
    data[20_000] ^= 1
    blob.write_bytes(data)
    refuse_transfers(monkeypatch)
    with pytest.raises(BlobError, match="the blob is damaged: its CRC-32 is"):
        push_to(board, blob, ram=ram)


@pytest.mark.parametrize("name", ["/", "models/", "models/.."])
def test_a_folder_is_no_name(board: Board, blob: Path, name: str) -> None:
    with pytest.raises(InputError, match="names a folder"):
        push_to(board, blob, name=name)
    assert board.eval("__import__('os').listdir()") == []


def test_command(virtual_board: VirtualUnixBoard, blob: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["push", str(blob), "--port", virtual_board.port, *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    size = f"{blob.stat().st_size:,} B"
    assert run().startswith(f"{size} in the file kws.smg on {virtual_board.port}: sent in ")
    assert run() == f"{size} in the file kws.smg on {virtual_board.port}: there already, nothing was sent\n"
    document = json.loads(run("--ram", "--json"))
    assert (document["name"], document["in_ram"], document["skipped"]) == ("m", True, False)
    assert document["transfer"]["bytes"] == blob.stat().st_size
    refused = CliRunner().invoke(cli, ["push", str(blob), "--port", virtual_board.port, "--ram", "--as", "x"])
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("vid", "expected"),
    [
        (0x10C4, LineLimit(11_520, "a UART at 115200 baud", assumed=False)),
        (None, LineLimit(11_520, "a UART at 115200 baud", assumed=False)),
        (0x2E8A, LineLimit(150_000, "USB", assumed=True)),
    ],
)
def test_limit_of_the_line(vid: int | None, expected: LineLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "comports", lambda: [SimpleNamespace(device="/dev/ttyX", vid=vid)])
    assert line_limit("/dev/ttyX", 115200) == expected
    assert line_limit("/dev/pts/7", 115200) is None
    assert Transfer(22_000, 2.0, expected).share == 11_000 / expected.bytes_per_second
