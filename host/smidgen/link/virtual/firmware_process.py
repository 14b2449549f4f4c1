"""The process that runs a virtual board's firmware: its console is standard input and output."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

EXIT_WAIT = 2.0  # seconds between the end of the output and the end of the process


class FirmwareProcess:
    """From boot to death. Pipes, not a PTY: their end says at once that the process has died."""

    def __init__(self, command: list[str], directory: Path, environment: Mapping[str, str] | None = None) -> None:
        if environment is None:
            # No HOME: MicroPython's unix port would keep a history file there.
            environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        # Its own session: Ctrl-C in the user's terminal is for the host program, not for the board.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        self.input = self._process.stdin.fileno()
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.input, False)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        try:
            code = self._process.wait(EXIT_WAIT)
        except subprocess.TimeoutExpired:  # it closed its output but runs on
            self._process.kill()
            code = self._process.wait()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        return code


def cause_of_death(code: int) -> str:
    """What an exit code says: "exit code 1", or the signal's name."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
