"""Files in the folder of a run from which it goes on after an interruption."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from smidgen.errors import InputError
from smidgen.packer import save

_SUFFIX = ".pt"
CURRENT = "current"


class Checkpoints:
    """States by name: one for each finished stage, and "current" for the one at work.

    A file is written whole or not at all. Each says by `digest` which configuration and seed it belongs to.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Put a state, of tensors and plain values, in place of what was there."""
        buffer = io.BytesIO()
        torch.save({"digest": self.digest, **state}, buffer)
        save(buffer.getvalue(), self._path(name))

    def read(self, name: str) -> dict[str, Any] | None:
        """A state, or None if there is none. Raises InputError if it is damaged or of another configuration."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            state = torch.load(path, weights_only=True)  # tensors and plain values: nothing in the file is run
        except Exception as error:  # what torch.load raises on damage is not documented
            raise InputError(f"the checkpoint {path} is damaged; --restart starts again without it") from error
        if not isinstance(state, dict) or state.get("digest") != self.digest:
            raise InputError(
                f"the checkpoint {path} is of another configuration or other Python files; "
                "--restart throws it away and starts again, --output keeps it and works elsewhere"
            )
        return state

    def remove(self, name: str) -> None:
        """Remove a state, if it is there."""
        self._path(name).unlink(missing_ok=True)

    @staticmethod
    def clear(folder: Path) -> None:
        """Remove all checkpoints in a folder, and nothing else."""
        for path in folder.glob(f"*{_SUFFIX}"):
            path.unlink()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"
