"""A session with a board: ask what it is, install smidgen on it, copy files, load and run models.

    with connect("sim:unix") as board:
        board.install()
        model = board.load("kws.smg")
        scores = model.run(samples)

The session uses one global name on the board, `_smg`. Code is run through the raw REPL; everything else goes over the
binary link (link.py, docs/link.md). Closing the session gives the board back with its prompt.
"""

from __future__ import annotations

import ast
import hashlib
import re
import secrets
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from smidgen.board_memory import module_memory
from smidgen.errors import BoardError, BoardReset, BoardTimeout, InputError
from smidgen.link import board_helper, natmod
from smidgen.link.board_heap import BoardHeap
from smidgen.link.board_model import BoardModel
from smidgen.link.layout import BlobLayout, read_layout
from smidgen.link.link import Link, LinkStatistics, Operation, Progress
from smidgen.link.speed import Transfer, line_limit
from smidgen.link.transport import Patience, RawRepl
from smidgen.link.virtual import (
    ProcessBoard,
    VirtualUnixBoard,
    create_virtual_board,
    is_virtual,
    slowness_behind,
)
from smidgen.ports.names import default_port, resolve

LIBRARY = natmod.LIBRARY

INCOMPATIBLE = "incompatible .mpy"  # what MicroPython says of a file for another architecture or version
NO_SUCH_FILE = re.compile(r"ENOENT|\b2\b")
TEMPORARY = ".part"  # behind the name of a file that is not complete
HELPER_IS_GONE = "NameError: name '_smg' isn't defined"

# Bytes that a board's standard input holds, by sys.platform.
INPUT_BUFFER_BYTES = {"rp2": 512, "qemu": 512, "linux": 4096}
SMALLEST_INPUT_BUFFER_BYTES = 256  # of the others


@dataclass(frozen=True)
class BoardInfo:
    """What a board says about itself."""

    version: str  # of MicroPython: "1.25.0", "1.29.0-preview"
    machine: str  # "Raspberry Pi Pico with RP2040"
    platform: str  # "rp2"
    natmod_arch: str | None  # architecture of native modules; None: this firmware loads none
    free_bytes: int  # of heap, after a collection, with smidgen imported if it is installed
    heap_bytes: int  # in all; where the heap can grow (ESP32), what it has now
    smidgen_version: str | None  # None: not installed, or `smidgen_problem` says why it cannot be imported
    smidgen_problem: str | None

    def __repr__(self) -> str:
        """A few lines, as a notebook shows them."""
        smidgen = self.smidgen_version or self.smidgen_problem or "not installed"
        return (
            f"{self.machine}, MicroPython {self.version}\n"
            f"  native modules  {self.natmod_arch or 'not loaded by this firmware'}\n"
            f"  heap            {self.free_bytes:,} of {self.heap_bytes:,} bytes free\n"
            f"  smidgen         {smidgen}"
        )


@dataclass(frozen=True)
class Removal:
    """What `Board.uninstall` did. folder: removed because it was empty; None if it stays.

    other_version: of a smidgen that can still be imported, because it lies elsewhere or is built into the firmware.
    """

    file: str
    removed: bool  # False: there was no such file
    folder: str | None
    other_version: str | None


def connect(
    port: str | None = None, *, timeout: float | None = None, baudrate: int = 115200, heap_bytes: int | None = None
) -> Board:
    """A session with the board on `port`, to be used in a `with` statement or closed.

    port: "auto" (the only board that is plugged in), "id:SERIAL" (the one with this USB serial number), the path of a
    serial port, an address (socket://HOST:PORT, rfc2217://HOST:PORT), or a virtual board ("sim:unix"). None: what the
    environment variable SMIDGEN_PORT says, else "auto".
    timeout: seconds without a byte from the board after which it counts as hung; None: 10 for a board on a cable, more
    for slow virtual boards. heap_bytes: size of sim:unix's heap. Whatever runs on the board is interrupted.
    Raises BoardError when the board cannot be reached, InputError when `port` cannot be a port or is not the only one.
    """
    port = default_port() if port is None else port
    if heap_bytes is not None and not is_virtual(port):
        raise InputError(f"a heap size (--heap) is for the virtual board {VirtualUnixBoard.name}, not for {port}")
    port = resolve(port)
    if not is_virtual(port):
        return _open(port, slowness_behind(port), timeout, baudrate, None)
    virtual = create_virtual_board(port, heap_bytes)
    virtual.start()
    try:
        return _open(virtual.port, virtual.slowness, timeout, baudrate, virtual)
    except BaseException:
        virtual.close()
        raise


def _is_pty(port: str) -> bool:
    return port.startswith("/dev/pts/")


def _patience(slowness: float, timeout: float | None) -> Patience:
    patience = Patience().scaled(slowness)
    return patience if timeout is None else replace(patience, silence=timeout)


def _open(port: str, slowness: float, timeout: float | None, baudrate: int, virtual: ProcessBoard | None) -> Board:
    repl = RawRepl(port, _patience(slowness, timeout), baudrate, lambda: virtual.failure if virtual else None)
    try:
        repl.enter()
    except BaseException:
        repl.close()
        raise
    return Board(repl, virtual, slowness)


class Board:
    """Made by `connect`. A context manager; `close` may be called twice."""

    def __init__(self, repl: RawRepl, virtual: ProcessBoard | None = None, slowness: float = 1.0) -> None:
        self._repl = repl
        self._slowness = slowness
        self._virtual = virtual
        self._link: Link | None = None  # None: `_smg` is not on the board
        self._models = 0  # loaded so far
        self._lost_models = 0  # of them, before the last reset
        self._last_transfer: Transfer | None = None
        self._closed = False
        self._heap = BoardHeap(self)

    @property
    def port(self) -> str:
        """Path of the serial port; of the PTY for a virtual board."""
        return self._repl.port

    def __repr__(self) -> str:
        name = f"{self._virtual.name} on {self.port}" if self._virtual else self.port
        return f"<Board {name}{', closed' if self._closed else ''}>"

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the board back with its prompt showing, and its memory free. Never raises: the board may be gone.

        A hung board is told to return to its prompt, and not waited for. A virtual board of this session ends.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if not self._virtual:
                self._hand_back()
        except BoardError:
            pass
        finally:
            self._repl.close()
            if self._virtual:
                self._virtual.close()

    def _hand_back(self) -> None:
        try:
            if not self._repl.hung:
                self._end_service()
                self._repl.execute(board_helper.REMOVE, min(self._repl.patience.closing, self._repl.timeout))
        finally:
            self._repl.leave()

    def exec(self, code: str, timeout: float | None = None) -> str:
        """Run code on the board; what it printed, with plain line ends. Raises BoardError, BoardTimeout, BoardReset."""
        self._require_open()
        try:
            self._end_service()
            output = self._repl.execute(code, timeout)
        except BoardReset:
            self._note_reset()
            raise
        except BoardError as error:
            if self._link and str(error) == HELPER_IS_GONE:
                self._note_reset()
                raise BoardReset(f"the board on {self.port} was reset: load the model again") from error
            raise
        return output.decode(errors="replace").replace("\r\n", "\n")

    def eval(self, expression: str, timeout: float | None = None) -> Any:
        """Value of an expression made of literals: numbers, strings, bytes, lists, tuples, dicts, None, booleans."""
        return _literal(expression, self.exec(f"print(repr({expression}))", timeout))

    def request(
        self,
        operation: Operation,
        body: bytes = b"",
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """One request over the binary link, which is started if need be: the result. See docs/link.md, section 5."""
        self._require_open()
        link = self._start_link()
        try:
            return link.request(operation, body, timeout, progress)
        except BoardReset:
            self._note_reset()
            raise

    def _note_reset(self) -> None:
        self._link = None
        self._lost_models = self._models

    def require_model(self, key: int) -> None:
        """Raises BoardReset if the board was reset since the model with this key was loaded."""
        if key < self._lost_models:
            raise BoardReset(f"the board on {self.port} was reset: load the model again")

    def evaluate(self, expression: str, timeout: float | None = None) -> Any:
        """What `eval` does, over the binary link; what the expression prints is lost."""
        text = self.request(Operation.EVALUATE, expression.encode(), timeout)
        return _literal(expression, text.decode(errors="replace"))

    @property
    def memory_advice(self) -> str:
        """What to do when the board has not enough RAM."""
        if self._virtual:
            return self._virtual.memory_advice
        if _is_pty(self.port):
            return "reset the board, or serve one with a larger heap (smidgen sim unix --heap ...)"
        return "reset the board, take a smaller model, or put the blob into memory-mapped flash"

    @property
    def has_running_service(self) -> bool:
        """Whether requests are answered without anything being sent to the board first."""
        return self._link is not None and self._link.running

    @property
    def last_transfer(self) -> Transfer | None:
        """The last blob or file that was sent."""
        return self._last_transfer

    @property
    def link_statistics(self) -> LinkStatistics:
        """Of the binary link; zeros if it was not used."""
        return self._link.statistics if self._link else LinkStatistics()

    def hello(self) -> BoardInfo:
        self._heap.collect()
        text = self.exec(board_helper.HELLO)
        version, machine, platform, mpy, free_bytes, used_bytes, smidgen_version, problem = ast.literal_eval(text)
        return BoardInfo(
            version=natmod.version_text(version),
            machine=machine,
            platform=platform,
            natmod_arch=natmod.architecture(mpy),
            free_bytes=free_bytes,
            heap_bytes=free_bytes + used_bytes,
            smidgen_version=smidgen_version,
            smidgen_problem=problem,
        )

    def put_file(self, name: str, data: bytes, progress: Progress | None = None) -> bool:
        """Write a file on the board; False if it was there already, byte for byte.

        What was there before stays until the new file is complete and its hash is right. Folders are made as needed.
        """
        with self._heap.enough_for(f"copy {name}"):
            return self._put_file(name, data, progress)

    def _put_file(self, name: str, data: bytes, progress: Progress | None) -> bool:
        if self._holds(name, data):
            return False
        self._require_storage(name, len(data))
        temporary = name + TEMPORARY
        try:
            self.evaluate(f"_smg.create({temporary!r})")
            self._transfer(Operation.APPEND, data, progress)
            self.evaluate("_smg.finish()")
            if not self._matches(self.evaluate(f"_smg.file_digest({temporary!r})"), data):
                raise BoardError(f"{name} did not arrive intact on the board: its hash is wrong; try again")
            self.evaluate(f"_smg.os.rename({temporary!r},{name!r})")
        except BaseException:  # a Ctrl-C leaves no half a file either
            self._try(f"_smg.abandon({temporary!r})")
            raise
        return True

    def _holds(self, name: str, data: bytes) -> bool:
        """Whether the board has this file, byte for byte. What was left of it when a process was killed is removed."""
        digest = self.evaluate(f"(_smg.abandon({name + TEMPORARY!r}), _smg.file_digest({name!r}))[1]")
        return self._matches(digest, data)

    def _transfer(self, operation: Operation, data: bytes, progress: Progress | None) -> None:
        start = time.perf_counter()
        self.request(operation, data, progress=progress)
        seconds = time.perf_counter() - start
        self._last_transfer = Transfer(len(data), seconds, line_limit(self.port, self._repl.baudrate))

    def put_blob(self, name: str, data: bytes, progress: Progress | None = None) -> bool:
        """`put_file` for a model. Raises BoardError, too, when the board has not the RAM to run it.

        smidgen is imported for that if it is there; else the RAM that it will take counts too.
        """
        layout = read_layout(data)
        with self._heap.enough_for(f"copy {name}"):
            self._start_link()
            if self._holds(name, data):
                return False
        self._heap.require(data, layout, module_bytes=self._missing_module_bytes())
        return self.put_file(name, data, progress)

    def put_model(self, data: bytes, name: str, progress: Progress | None = None) -> bool:
        """Load a blob into RAM as the global `name` of the board's prompt, where it stays when the session ends.

        False if it holds the same blob already. Another model there is freed first when there is no room for both.
        """
        with self._heap.enough_for("load a model"):
            self._start_link()
        if self._matches(self.evaluate(f"_smg.resident({name!r})"), data):
            return False
        model = self._load(data, read_layout(data), None, progress, f"_smg.discard({name!r})")
        self.evaluate(f"_smg.publish({model}, {name!r})")
        return True

    def install(self, mpy_path: str | Path | None = None, progress: Progress | None = None) -> bool:
        """Put the smidgen.mpy for this board's architecture on it; False if the same one is there already."""
        # Not from hello(): that imports the smidgen that is there, and the reason to install may be that it is broken.
        arch = natmod.required_architecture(*self.eval(natmod.IDENTITY))
        path = natmod.find(arch) if mpy_path is None else Path(mpy_path)
        data = read_file(path)
        built_for = natmod.file_architecture(data, str(path))
        if built_for is not None and built_for not in natmod.accepted(arch):
            raise InputError(f"{path} is for {built_for}, the board on {self.port} is {arch}")
        with self._heap.enough_for("install smidgen"):
            written = self._put_file(LIBRARY + natmod.FILE_NAME, data, progress)
            self._refuse_shadows()
            if written:
                # A version imported before would be used on. Its native code stays in memory until the board is reset.
                self.evaluate("_smg.forget()")
        return written

    def uninstall(self) -> Removal:
        """Remove the smidgen.mpy that `install` puts on a board, and its folder if that is empty then.

        A model that is loaded keeps its memory until the session ends; no other can be loaded after this.
        """
        with self._heap.enough_for("uninstall smidgen"):
            folder = LIBRARY.rstrip("/")
            removed = self._removed(f"__import__('os').remove({natmod.BOARD_FILE!r})")
            empty = removed and not self.eval(f"__import__('os').listdir({folder!r})")
            if empty:
                self.exec(f"__import__('os').rmdir({folder!r})")
            self.exec("__import__('sys').modules.pop('smidgen', None)")
            return Removal(natmod.BOARD_FILE, removed, folder if empty else None, self.hello().smidgen_version)

    def _removed(self, code: str) -> bool:
        """Run code that removes a file; False if there was none."""
        try:
            self.exec(code)
        except BoardError as error:
            if not str(error).startswith("OSError") or not NO_SUCH_FILE.search(str(error)):
                raise
            return False
        return True

    def load(
        self,
        blob: bytes | str | Path,
        ram: bool = True,
        name: str = "model.smg",
        progress: Progress | None = None,
        replaces: BoardModel | None = None,
    ) -> BoardModel:
        """Load a blob, given as bytes or as a file here: into the board's RAM, or (ram=False) into its file `name`.

        replaces: a model that is not needed any more; it is freed first if there is no room for both, else afterwards.
        Raises BoardError before any of it is sent when it does not fit. A file takes RAM as well, unless the board's
        file system is memory-mapped (ROMFS) and the file is there already.
        """
        data = blob if isinstance(blob, bytes) else read_file(Path(blob))
        layout = read_layout(data)
        discard = replaces.freeing if replaces else None
        return BoardModel(self, self._load(data, layout, None if ram else name, progress, discard), layout)

    def _load(
        self, data: bytes, layout: BlobLayout, name: str | None, progress: Progress | None, discard: str | None
    ) -> int:
        """The key in `_smg.models`. name: of a file, or None. discard: expression that frees the model before it."""
        with self._heap.enough_for("load a model"):
            self._start_link()
        self._require_smidgen()
        if name is not None:
            self._heap.require(data, layout, self._is_mapped(name, data), discard)
            self.put_file(name, data, progress)
        key = self._models
        self._models += 1
        with self._heap.room_for(data, layout):
            if name is None:
                self._heap.require(data, layout, False, discard)
                self._fill_buffer(data, progress)
            self._heap.collect()
            self.evaluate(f"_smg.load({key}{'' if name is None else ', ' + repr(name)})")
        if discard:
            self.evaluate(discard)
        return key

    def release(self, model: BoardModel, name: str) -> None:
        """Leave `model` on the board as its global `name`, and nothing else of this session. `model` is closed then."""
        self.exec(f"{name} = _smg.models.pop({model.key})")
        self.exec(board_helper.REMOVE)
        self._link = None

    def friendly_prompt(self) -> RawRepl:
        """The line with the board's friendly prompt showing, to receive from and send to; ends with the next `exec`."""
        self._end_service()
        self._repl.lend()
        return self._repl

    def detach(self) -> None:
        """Close the session and its port, and leave the board to what was started at the prompt that was lent.

        That must not need anything of this session. A virtual board of this session ends nevertheless.
        """
        if self._virtual:
            self.close()
        self._closed = True
        self._repl.close()

    def _fill_buffer(self, data: bytes, progress: Progress | None) -> None:
        self._heap.collect()
        self.evaluate(f"_smg.allocate({len(data)})")
        self._transfer(Operation.FILL, data, progress)
        if not self._matches(self.evaluate("_smg.digest((_smg.buffer,))"), data):
            raise BoardError("the blob did not arrive intact on the board: its hash is wrong; try again")

    def _is_mapped(self, name: str, data: bytes) -> bool:
        """Whether the board has this file already, in memory-mapped flash."""
        try:
            mapped = bool(self.evaluate(f"_smg.mapped({name!r})"))
        except BoardError:
            return False  # no such file
        return mapped and self._matches(self.evaluate(f"_smg.file_digest({name!r})"), data)

    def _require_storage(self, name: str, size: int) -> None:
        free = self.evaluate(f"_smg.storage({name!r})")
        if free is not None and size > free:
            raise BoardError(
                f"{name} does not fit on the board: it has {size} bytes, and the file system {free} bytes free "
                f"(a file that it replaces stays until it is complete): remove some files"
            )

    def _start_link(self) -> Link:
        """The service is sent to the board once; it is started when it has the first request."""
        if not self._link:
            self._heap.collect()
            self.exec(board_helper.INSTALL)
            for code in board_helper.service_source():
                self.exec(code)
            nonce = secrets.randbits(32)
            platform = self._create_service(nonce)
            buffer = INPUT_BUFFER_BYTES.get(platform, SMALLEST_INPUT_BUFFER_BYTES)
            self._link = Link(self._repl, nonce, buffer, self._slowness)
        return self._link

    def _create_service(self, nonce: int) -> str:
        """The board's sys.platform."""
        try:
            return self.exec(board_helper.create_service(nonce)).strip()
        except BoardError as error:
            if not str(error).startswith(("AttributeError", "ImportError")):
                raise
            raise BoardError(
                f"the firmware of the board on {self.port} lacks what smidgen needs to send it data ({error}): "
                f"put a firmware on it that has sys.stdin.buffer, select.poll and micropython.kbd_intr"
            ) from error

    def _require_open(self) -> None:
        if self._closed:
            raise BoardError(f"the session with the board on {self.port} is closed: connect again, and load the model")

    def _end_service(self) -> None:
        if self._link:
            self._link.leave()

    def _require_smidgen(self) -> None:
        self._heap.collect()
        try:
            with self._heap.enough_for("import smidgen"):
                self.evaluate("bool(_smg.module())")
        except BoardError as error:
            if str(error).startswith("ImportError"):
                raise BoardError(f"smidgen is not installed on the board on {self.port}: install it first") from error
            if INCOMPATIBLE in str(error):
                raise BoardError(
                    f"the smidgen.mpy on the board on {self.port} is for another architecture or version of "
                    f"MicroPython ({error}): install it again"
                ) from error
            raise

    def _missing_module_bytes(self) -> int:
        """RAM that smidgen takes once it is imported; 0 if it is now, or if this firmware has no smidgen to load."""
        self._heap.collect()
        try:
            self.evaluate("bool(_smg.module())")
            return 0
        except (BoardReset, BoardTimeout):
            raise
        except BoardError:  # it is not there, does not load, or has not the RAM
            _, mpy = self.eval(natmod.IDENTITY)
            arch = natmod.architecture(mpy)
            return 0 if arch is None else module_memory(arch).heap

    def _refuse_shadows(self) -> None:
        """A smidgen in the root would be imported instead of the one in lib/."""
        present = self.evaluate("_smg.os.listdir()")
        for shadow in ("smidgen.py", "smidgen.mpy", "smidgen"):
            if shadow in present:
                raise BoardError(f"the board's own {shadow} hides {LIBRARY}{natmod.FILE_NAME}: remove it")
        if "smidgen.py" in self.evaluate(f"_smg.os.listdir({str(PurePosixPath(LIBRARY))!r})"):
            raise BoardError(f"the board's own {LIBRARY}smidgen.py hides {LIBRARY}{natmod.FILE_NAME}: remove it")

    def _matches(self, digest: str | int | None, data: bytes) -> bool:
        """Boards give SHA-256, or a CRC-32 where the firmware has no hashlib."""
        if isinstance(digest, int):
            return digest & 0xFFFFFFFF == zlib.crc32(data)
        return digest == hashlib.sha256(data).hexdigest()

    def _try(self, expression: str) -> None:
        try:
            self.evaluate(expression)
        except BoardError:
            pass  # cleaning up after an error that is reported already


def _literal(expression: str, text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        raise InputError(f"the value of {expression} on the board is no literal: {text.strip()}") from None


def read_file(path: Path) -> bytes:
    """Contents of a file here; InputError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
