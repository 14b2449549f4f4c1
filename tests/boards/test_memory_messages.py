"""What a session says when the board's memory is too small."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from smidgen.errors import BoardError
from smidgen.link.link import Operation
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualUnixBoard
from test_session import change_storing, fake_natmod, make_blob, put_stand_in

NUMBERS = re.compile(r"needs (\d+) bytes of RAM \(the blob (\d+) bytes, .* has (\d+) bytes of RAM free")


def refusal(board: Board, blob: bytes, ram: bool = True) -> tuple[str, int, int]:
    """What `load` says, and its two numbers: bytes needed and bytes free."""
    with pytest.raises(BoardError) as caught:
        board.load(blob, ram=ram)
    found = NUMBERS.search(str(caught.value))
    assert found, caught.value
    needed, size, free = map(int, found.groups())
    assert size == len(blob)
    return str(caught.value), needed, free


def refuse_transfers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when the contents of a blob or file are sent."""
    request = Board.request

    def checked(board: Board, operation: Operation, *arguments: Any, **options: Any) -> bytes:
        assert operation not in (Operation.FILL, Operation.APPEND), "a part of it was sent"
        return request(board, operation, *arguments, **options)

    monkeypatch.setattr(Board, "request", checked)


@pytest.mark.parametrize("ram", [True, False])
def test_blob_larger_than_the_memory(board: Board, ram: bool) -> None:
    put_stand_in(board, 4)
    text, needed, free = refusal(board, make_blob(4, padding=300_000), ram)
    assert needed == 300_156 + 8  # two tensors of four bytes
    assert 200_000 < free < 245_760
    assert "one piece" not in text
    assert "ram=False" not in text
    assert "heap_bytes=" in text and "--heap" in text


def test_blob_larger_than_any_free_piece(board: Board) -> None:
    put_stand_in(board, 4)
    board.exec("kept = [bytearray(30_000) for n in range(6)]\nkept = kept[::2]")
    text, needed, free = refusal(board, make_blob(4, padding=100_000))
    assert needed < free
    assert f"{free} bytes of RAM free, but not in one piece: " in text


def test_no_room_for_the_arena(board: Board) -> None:
    """The numbers are those before loading, and the blob's memory is free again."""
    code = "class Model:\n def __init__(self, blob):\n  self.arena = bytearray(90_000)\n"
    board.put_file("smidgen.py", code.encode())
    before = board.hello().free_bytes
    _, _, free = refusal(board, make_blob(4, padding=170_000))
    assert free > before - 5_000


def test_no_room_while_the_blob_arrives(board: Board) -> None:
    put_stand_in(board, 4)
    change_storing(board, Operation.FILL, "bytearray(10_000_000)")
    refusal(board, make_blob(4))


def test_no_room_to_install(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "smidgen.mpy"
    path.write_bytes(fake_natmod("x64"))
    change_storing(board, Operation.APPEND, "bytearray(10_000_000)")
    with pytest.raises(BoardError, match=r"^the board has \d+ bytes of RAM free, too few .* install smidgen: .*heap"):
        board.install(path)


def test_no_room_to_import_smidgen(board: Board) -> None:
    board.put_file("smidgen.py", b"bytearray(10_000_000)\n")
    with pytest.raises(BoardError, match=r"^the board has \d+ bytes of RAM free, too few .* import smidgen: .*heap"):
        board.load(make_blob(4))


def test_advice_for_boards_on_a_cable(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    put_stand_in(board, 4)
    monkeypatch.setattr(Board, "port", "/dev/ttyACM0")
    monkeypatch.setattr(board, "_virtual", None)
    text, *_ = refusal(board, make_blob(4, padding=300_000))
    assert "reset the board, take a smaller model, or put the blob into memory-mapped flash" in text
    assert "heap" not in text


def test_advice_for_a_virtual_board_that_is_served(virtual_board: VirtualUnixBoard) -> None:
    with connect(virtual_board.port, timeout=5) as board:
        put_stand_in(board, 4)
        text, *_ = refusal(board, make_blob(4, padding=300_000))
    assert "larger heap" in text


@pytest.mark.parametrize("ram", [True, False])
@pytest.mark.parametrize("board_name", ["sim:unix", "sim:riscv"], indirect=True)
def test_nothing_of_a_model_that_does_not_fit_is_sent(
    board_name: str, ram: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_transfers(monkeypatch)
    with connect(board_name) as board:
        board.exec("import sys\nclass smidgen: pass\nsys.modules['smidgen'] = smidgen")
        text, needed, free = refusal(board, make_blob(4, padding=400_000), ram)
        assert needed > free
        assert ("--heap" in text) == (board_name == "sim:unix")
        assert board.eval("__import__('os').listdir()") == []


def test_the_arena_counts_too(board: Board) -> None:
    put_stand_in(board, 4)
    blob = bytearray(make_blob(4))
    blob[16:20] = (300_000).to_bytes(4, "little")
    text, needed, _ = refusal(board, bytes(blob))
    assert needed == 300_156
    assert "its arena 300000)" in text


def test_a_file_needs_room_in_the_file_system(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board._start_link()
    board.exec("_smg.storage = lambda name: 1000")
    refuse_transfers(monkeypatch)
    with pytest.raises(BoardError, match=r"data.bin does not fit on the board: it has 1001 bytes, .* 1000 bytes free"):
        board.put_file("data.bin", bytes(1001))
    assert board.eval("__import__('os').listdir()") == []
