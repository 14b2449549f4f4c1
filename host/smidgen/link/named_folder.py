"""Folders that the user names in environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from smidgen.errors import InputError


def named_folder(variable: str) -> Path | None:
    """The folder that `variable` names; None if it is not set. InputError if there is no such folder."""
    named = os.environ.get(variable)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise InputError(f"{variable} names {named!r}, which is not a folder")
    return folder
