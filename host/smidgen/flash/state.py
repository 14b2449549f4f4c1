"""What state a board is in when flashing it failed."""

from __future__ import annotations

from enum import Enum

from smidgen.errors import BoardError


class FlashState(str, Enum):
    """Of the board's flash."""

    UNTOUCHED = "untouched"  # nothing was erased or written
    HALF_WRITTEN = "half-written"
    WRITTEN = "written"  # all of the firmware is in it


CONSEQUENCES = {
    FlashState.UNTOUCHED: "Nothing was written to the board: it has the firmware that it had.",
    FlashState.HALF_WRITTEN: (
        "The board is half written and will not start MicroPython, but its boot loader, which is in ROM, survives: "
        "run the same command again."
    ),
    FlashState.WRITTEN: "The firmware is written.",
}


class FlashError(BoardError):
    """Flashing failed; `state` says what that left behind, and the message says it too."""

    def __init__(self, reason: str, state: FlashState, advice: str = "") -> None:
        super().__init__(" ".join(part for part in (_sentence(reason), CONSEQUENCES[state], advice) if part))
        self.state = state


INTERRUPTED = f"Interrupted while writing. {CONSEQUENCES[FlashState.HALF_WRITTEN]}"


def _sentence(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if reason.endswith((".", "!", "?")) else reason + "."
