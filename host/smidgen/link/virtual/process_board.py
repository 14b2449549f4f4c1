"""What virtual boards have in common: a process, a PTY, a private folder, and that nothing of them is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import tty
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from smidgen.errors import BoardError
from smidgen.link.virtual.relay import Relay

BOOT_TIMEOUT = 20.0  # seconds until the first prompt; a board without load takes less than one

# Ends the firmware, which a busy loop keeps from noticing that its computer is gone, and removes its files.
# The firmware is known by its working directory.
JANITOR_CODE = """\
trap '' HUP INT TERM
read -r _
for process in /proc/[0-9]*; do
    if [ "$process/cwd" -ef "$1" ]; then kill -9 "${process#/proc/}"; fi
done
rm -rf -- "$1"
"""

Board = TypeVar("Board", bound="ProcessBoard")
CreateRelay = Callable[[int, int, Path], Relay[Any]]  # of the two ends of a PTY and a working directory


class ProcessBoard(ABC):
    """A board that is a process. Use it as a context manager, or call `start` and `close`.

    `port` is the path of its PTY, `directory` the working directory of its process; both exist between start and
    close. The bytes are carried by a thread of this process, and the board dies with it.
    """

    name: str  # "sim:unix"
    slowness = 1.0  # how many times longer than a real board it takes; time limits are scaled with it
    memory_advice = "take a smaller model"  # for one who needs more RAM than it has

    def __init__(self) -> None:
        self._relay: Relay[Any] | None = None
        self._thread: threading.Thread | None = None
        self._port = ""
        self._directory = Path()
        self._closed = threading.Event()
        self._release: Callable[[], object] | None = None

    @property
    def port(self) -> str:
        return self._port

    @property
    def directory(self) -> Path:
        return self._directory

    @property
    def failure(self) -> str | None:
        return self._relay.failure if self._relay else None

    @abstractmethod
    def _prepare(self) -> CreateRelay:
        """Find what the board needs, or raise BoardError. What it returns must not hold on to this board."""

    def missing(self) -> str | None:
        """What this computer lacks to run the board, and how to get it; None if it can be started."""
        try:
            self._prepare()
        except BoardError as error:
            return str(error)
        return None

    def start(self) -> None:
        if self._relay:
            raise RuntimeError("the virtual board has been started already")
        create_relay = self._prepare()
        self._directory = Path(tempfile.mkdtemp(prefix="smidgen-board-"))
        master, slave = os.openpty()
        # Raw, so that Ctrl-C and line ends pass unchanged; it also holds for tools that do not set it themselves.
        tty.setraw(slave)
        self._port = os.ttyname(slave)
        relay = create_relay(master, slave, self._directory)
        thread = threading.Thread(target=relay.run, name=f"smidgen {self._port}", daemon=True)
        self._relay, self._thread = relay, thread
        # Runs on close, when the board is garbage, and at exit: no process and no directory is left behind.
        directory = str(self._directory)
        self._release = weakref.finalize(
            self, _release, relay, thread, [master, slave], directory, _start_janitor(directory)
        )
        thread.start()
        if not relay.ready.wait(BOOT_TIMEOUT) or relay.failure:
            reason = relay.failure or f"no prompt within {BOOT_TIMEOUT:.0f} s"
            self.close()
            raise BoardError(f"{self.name} did not boot: {reason}")

    def wait(self) -> None:
        while not self._closed.wait(0.1):
            if self.failure and self._thread:
                self._thread.join()  # until whoever has the port open has read about it
                raise BoardError(self.failure)

    def close(self) -> None:
        self._closed.set()
        if self._release:
            self._release()

    def __enter__(self: Board) -> Board:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _start_janitor(directory: str) -> subprocess.Popen[bytes]:
    """What cleans up when this process ends without a chance to: killed, or by a signal nobody handles.

    It waits for the end of its standard input. In its own session, so that it outlives the terminal.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", JANITOR_CODE, "smidgen-janitor", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def _release(
    relay: Relay[Any],
    thread: threading.Thread,
    descriptors: list[int],
    directory: str,
    janitor: subprocess.Popen[bytes],
) -> None:
    relay.stop()
    thread.join()
    relay.close()
    for descriptor in descriptors:
        os.close(descriptor)
    shutil.rmtree(directory, ignore_errors=True)
    janitor.kill()
    janitor.wait()
    assert janitor.stdin
    janitor.stdin.close()
