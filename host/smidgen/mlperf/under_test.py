"""Makes a board a device under test, and the board again that it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from smidgen.errors import BoardError, InputError
from smidgen.link.session import Board, connect
from smidgen.link.transport import RawRepl
from smidgen.link.virtual import ProcessBoard, create_virtual_board, is_virtual, slowness_behind
from smidgen.mlperf.candidate import Candidate
from smidgen.mlperf.protocol import LINE_END, READY
from smidgen.ports import resolve
from smidgen.power.device_code import device_code, remove_code

Progress = Callable[[int, int], None]  # bytes done, bytes in all
_WAIT_SECONDS = 0.2
_MODEL, _DUT = "SmidgenModel", "SmidgenUnderTest"  # global names on the board


@dataclass(frozen=True)
class DeviceUnderTest:
    """A board that waits for the commands of a runner. Its port is free.

    port: path or address. slowness: how many times longer than a board on a cable it takes.
    """

    port: str
    slowness: float
    virtual: ProcessBoard | None

    def wait(self) -> None:
        """Until Ctrl-C. Raises BoardError when a virtual board fails."""
        if self.virtual:
            self.virtual.wait()
        while True:
            time.sleep(_WAIT_SECONDS)


@contextmanager
def device_under_test(
    candidate: Candidate, port: str, *, heap_bytes: int | None = None, progress: Progress | None = None
) -> Iterator[DeviceUnderTest]:
    """The board on `port`, or a virtual one, with smidgen and the model, waiting for a runner.

    At the end it shows its prompt again and its memory is free; what was installed stays. Raises BoardError and
    InputError.
    """
    with _reachable(port, heap_bytes) as (path, virtual):
        _start(path, candidate, progress)
        try:
            yield DeviceUnderTest(path, virtual.slowness if virtual else slowness_behind(path), virtual)
        except BaseException:
            with suppress(BoardError):  # the board may be gone, and that is reported already
                _end(path)
            raise
        _end(path)


@contextmanager
def _reachable(port: str, heap_bytes: int | None) -> Iterator[tuple[str, ProcessBoard | None]]:
    if heap_bytes is not None and not is_virtual(port):
        raise InputError(f"a heap size (--heap) is for the virtual board sim:unix, not for {port}")
    port = resolve(port)
    if not is_virtual(port):
        yield port, None
        return
    with create_virtual_board(port, heap_bytes) as virtual:
        yield virtual.port, virtual


def _start(path: str, candidate: Candidate, progress: Progress | None) -> None:
    benchmark = candidate.benchmark
    with connect(path) as board:
        board.install()
        board.release(board.load(candidate.path, progress=progress), _MODEL)
        try:
            board.exec(device_code("dut", "mlperf"))
            arguments = f"{benchmark.name!r}, {benchmark.encoding.value!r}"
            board.exec(f"{_DUT} = SmidgenDut(globals().pop({_MODEL!r}), {arguments})")
            _serve(board)
        except BaseException:
            with suppress(BoardError):  # the board may be gone, and that is reported already
                board.exec(remove_code())
            raise


def _serve(board: Board) -> None:
    """Returns when the board waits for commands; the session is over then."""
    prompt = board.friendly_prompt()
    prompt.send(f"{_DUT}.serve()\r".encode())
    _wait_for(prompt, (READY + LINE_END).encode())
    board.detach()


def _wait_for(prompt: RawRepl, ending: bytes) -> None:
    received = b""
    deadline = time.monotonic() + prompt.timeout
    while ending not in received:
        data = prompt.receive()
        received += data
        if data:
            deadline = time.monotonic() + prompt.timeout
        elif time.monotonic() > deadline:
            raise prompt.silence_error(prompt.timeout, received)


def _end(path: str) -> None:
    with connect(path) as board:
        board.exec(remove_code())
