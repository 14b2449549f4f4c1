"""Firmware by version, fetched with the command line of the optional package mpflash."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

from smidgen.boards import BoardDescription, FlashMethod
from smidgen.errors import InputError
from smidgen.flash.system import Progress, never

STABLE = "stable"
PREVIEW = "preview"
FOLDER_VARIABLE = "MPFLASH_FIRMWARE"  # mpflash's own: where it puts what it downloads
TIMEOUT_SECONDS = 300.0

LOGGER = logging.getLogger(__name__)

_SUFFIXES = {FlashMethod.UF2: ".uf2", FlashMethod.ESPTOOL: ".bin"}
_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?)")
_IN_FILE_NAME = re.compile(r"\d+\.\d+(?:\.\d+)?(?:-preview(?:\.\d+)?)?")  # a preview with the number of its build
# mpflash has no `python -m`; this is what its console script runs.
_COMMAND = [sys.executable, "-c", "from mpflash.cli_main import mpflash; mpflash()", "--no-interactive", "download"]


def is_version(text: str) -> bool:
    """Whether this can be a version rather than a file: '1.25.0', 'v1.25.0', 'stable', 'preview'."""
    return text in (STABLE, PREVIEW) or _VERSION.fullmatch(text) is not None


def download(board: BoardDescription, version: str, progress: Progress = never) -> Path:
    """The firmware file of this version for `board`; one that was downloaded before is not fetched again.

    InputError if mpflash is not installed, or has not found it.
    """
    folder = _folder()
    exact = _VERSION.fullmatch(version)
    wanted = exact[1] if exact else None
    if wanted and (path := _find(folder, board, wanted)):
        return path
    if importlib.util.find_spec("mpflash") is None:
        raise InputError(
            f"MicroPython {version} would have to be downloaded, and mpflash, which does that, is not installed: "
            f"pip install 'smidgen[download]', or fetch the file for {board.micropython_board} from "
            "micropython.org/download yourself and give --firmware FILE"
        )
    progress("downloading", 0, 1)
    said = _run(folder, board, wanted or version)
    LOGGER.info("mpflash: %s", said)
    progress("downloading", 1, 1)
    path = _find(folder, board, wanted, preview=version == PREVIEW)
    if path is None:
        raise InputError(
            f"mpflash did not find MicroPython {version} for {board.micropython_board}; it says: {said or 'nothing'}"
        )
    return path


def _folder() -> Path:
    """mpflash's folder where the user has set one, else smidgen's own."""
    if named := os.environ.get(FOLDER_VARIABLE):
        folder = Path(named).expanduser()
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "smidgen" / "firmware"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smidgen" / "firmware"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder for firmware, {folder}, cannot be made: {error.strerror}; let {FOLDER_VARIABLE} name another"
        ) from error
    return folder


def _run(folder: Path, board: BoardDescription, version: str) -> str:
    """The last lines that mpflash wrote. Its exit code says nothing: it is 0 even if nothing could be downloaded."""
    command = [*_COMMAND, "--board", str(board.micropython_board), "--version", version]
    environment = {**os.environ, FOLDER_VARIABLE: str(folder), "NO_COLOR": "1"}
    try:
        result = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InputError(f"mpflash has not downloaded MicroPython {version} in {TIMEOUT_SECONDS:.0f} s") from error
    lines = [" ".join(line.split()) for line in result.stdout.decode(errors="replace").splitlines()]
    return " / ".join([line for line in lines if line][-2:])


def _find(folder: Path, board: BoardDescription, version: str | None, preview: bool = False) -> Path | None:
    """The file of this version; None: the highest one, among previews or among releases."""
    prefix, suffix = f"{board.micropython_board}-v", _SUFFIXES[board.flashing.method]
    found: dict[tuple[int, ...], Path] = {}
    for path in sorted(folder.glob(f"*/{prefix}*{suffix}")):
        text = path.name[len(prefix) : -len(suffix)]
        wanted = text == version if version else (PREVIEW in text) == preview
        if wanted and _IN_FILE_NAME.fullmatch(text):
            found[tuple(int(number) for number in re.findall(r"\d+", text))] = path
    return found[max(found)] if found else None
