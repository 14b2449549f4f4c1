"""The errors smidgen raises on purpose. Each kind has the exit code that the command line ends with.

Catch `SmidgenError` to catch all of them. A message says what was wrong, with both numbers where two
numbers disagree, and what to do next. Exit code 2 is left to the command line parser (usage errors),
and any other exception is a bug in smidgen.
"""

from __future__ import annotations

from typing import ClassVar


class SmidgenError(Exception):
    """Base of all errors that are not bugs."""

    exit_code: ClassVar[int] = 1


class MismatchError(SmidgenError):
    """Two results that must be equal bit for bit are not."""

    exit_code = 1


class ModelError(SmidgenError):
    """A model file is damaged, or uses something smidgen does not support."""

    exit_code = 3


class BlobError(SmidgenError):
    """A .smg file is damaged or breaks a rule of the format."""

    exit_code = 4


class BoardError(SmidgenError):
    """The board raised an exception, died, or cannot be reached.

    `traceback` is what the board printed besides the exception's last line, empty if it was not the board
    that complained.
    """

    exit_code = 5

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class BoardTimeout(BoardError):
    """The board did not answer in time. `last_output` is what it sent before it went silent."""

    def __init__(self, message: str, last_output: str = "") -> None:
        super().__init__(message)
        self.last_output = last_output


class BoardReset(BoardError):
    """The board was reset while a session was using it: what that had put into its memory is gone."""


class InputError(SmidgenError, ValueError):
    """Something the caller handed over is missing or of the wrong kind: a file, samples, a port name."""

    exit_code = 6
