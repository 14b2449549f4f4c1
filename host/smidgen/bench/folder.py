"""The folder of a session: sessions/DATE_NAME/."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from smidgen.errors import InputError
from smidgen.packer import save

SESSIONS = Path("sessions")
RESULTS, REPORT, LOG = "results.json", "report.html", "log.txt"
_MOST_SESSIONS_A_SECOND = 1000


class SessionFolder:
    """Files are written whole or not at all, but the log, which grows line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, line: str) -> None:
        stamp = datetime.now().astimezone().strftime("%H:%M:%S")
        try:
            with open(self.path / LOG, "a", encoding="utf-8") as file:
                file.write(f"{stamp} {line}\n")
        except OSError as error:
            raise InputError(f"cannot write {self.path / LOG}: {error.strerror}") from error

    def write(self, name: str, data: bytes) -> None:
        save(data, self.path / name)

    def write_results(self, document: dict[str, Any]) -> None:
        self.write(RESULTS, (json.dumps(document, indent=1) + "\n").encode())


def create_session(name: str, started: datetime, path: Path | None = None) -> SessionFolder:
    """A new folder. path: None for sessions/DATE_NAME, with a number behind it if there is one already.

    InputError if `path` has something in it, or a folder cannot be made.
    """
    try:
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
            require_empty(path)
            return SessionFolder(path)
        return SessionFolder(_unused(SESSIONS / f"{started:%Y-%m-%d_%H-%M-%S}_{_plain(name)}"))
    except OSError as error:
        raise InputError(f"cannot make the folder {error.filename or path}: {error.strerror}") from error


def require_empty(path: Path) -> None:
    """Raise InputError if there is a folder with something in it, or a file; nothing is made."""
    try:
        if path.exists() and any(path.iterdir()):
            raise InputError(f"{path} is not empty: a session needs a folder of its own, so that it replaces nothing")
    except OSError as error:
        raise InputError(f"cannot use the folder {path}: {error.strerror}") from error


def _unused(wanted: Path) -> Path:
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, _MOST_SESSIONS_A_SECOND):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise InputError(f"there are {_MOST_SESSIONS_A_SECOND - 1} sessions called {wanted} already")


def _plain(name: str) -> str:
    """Characters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:60].strip("-.") or "model"
