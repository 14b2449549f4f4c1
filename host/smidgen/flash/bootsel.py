"""From a running MicroPython to the drive of the boot ROM, on RP2040 and RP2350."""

from __future__ import annotations

import logging

from smidgen.boards import BoardDescription
from smidgen.errors import BoardError, BoardTimeout
from smidgen.flash.state import FlashError, FlashState
from smidgen.flash.system import Progress, System
from smidgen.flash.uf2 import Uf2Image
from smidgen.flash.volume import Volume
from smidgen.link.session import Board

LOGGER = logging.getLogger(__name__)

VOLUME_SECONDS = 20.0  # for the drive to appear; a desktop mounts it in one to five
POLL_SECONDS = 0.2
WHAT = "waiting for the drive"
LEAVING_SECONDS = 2.0  # of silence after which a board has left for its boot loader

# Reads the flash where the processor sees it, in pieces that any heap has room for.
_DIGEST = """
def _smg_digest(ranges):
    import binascii, hashlib, uctypes
    check = hashlib.sha256()
    for start, end in ranges:
        for address in range(start, end, 65536):
            check.update(uctypes.bytearray_at(address, min(65536, end - address)))
    return binascii.hexlify(check.digest())
"""


def flash_digest(session: Board, image: Uf2Image) -> str:
    """SHA-256 of what a board has in its flash where `image` would go. BoardError if its MicroPython cannot tell."""
    session.exec(_DIGEST)
    try:
        return bytes(session.eval(f"_smg_digest({image.ranges!r})")).decode()
    finally:
        session.exec("del _smg_digest")


def check_chip(session: Board, board: BoardDescription) -> None:
    """FlashError if the MicroPython that answers runs on another chip. Another board with the chip is logged."""
    machine = session.hello().machine
    if board.chip.lower() not in machine.lower():
        raise FlashError(
            f"the board on {session.port} is a {machine}, and {board.name} has {board.chip}", FlashState.UNTOUCHED
        )
    if not machine.startswith(f"{board.title} with "):
        LOGGER.warning("the board on %s calls itself %s; this is firmware for %s", session.port, machine, board.title)


def enter_bootloader(session: Board) -> None:
    """Restart into the boot ROM. Returns when the board no longer answers; FlashError if its firmware cannot."""
    if not session.eval("hasattr(__import__('machine'), 'bootloader')"):
        raise FlashError(
            f"the MicroPython on {session.port} has no machine.bootloader()",
            FlashState.UNTOUCHED,
            "Hold BOOTSEL while you plug the board in, and run the command again without --port.",
        )
    try:
        session.exec("__import__('machine').bootloader()", LEAVING_SECONDS)
    except BoardTimeout:
        pass  # its port is still there, and nobody behind it
    except BoardError as error:
        if error.traceback:
            raise
        # The port is gone, as it should be.


def wait_for_volume(board: BoardDescription, before: list[Volume], system: System, progress: Progress) -> Volume:
    """The volume of the board that has just left for its boot loader. FlashError if none comes, or several do."""
    known = {volume.path for volume in before}
    deadline = system.monotonic() + VOLUME_SECONDS
    while True:
        fresh = [volume for volume in system.volumes() if volume.path not in known and volume.chip == board.chip]
        if len(fresh) == 1:
            return fresh[0]
        if fresh:
            listed = ", ".join(str(volume.path) for volume in fresh)
            raise FlashError(
                f"{len(fresh)} drives appeared at once: {listed}; unplug all boards but one", FlashState.UNTOUCHED
            )
        left = deadline - system.monotonic()
        if left <= 0:
            raise FlashError(
                f"the board went to its boot loader, and no drive was mounted within {VOLUME_SECONDS:.0f} s",
                FlashState.UNTOUCHED,
                "Mount the drive (on a system without a desktop: `udisksctl mount -b /dev/sdX1`) and run the command "
                "again with --volume FOLDER; unplugging the board brings its old firmware back.",
            )
        progress(WHAT, int(VOLUME_SECONDS - left), int(VOLUME_SECONDS))
        system.sleep(POLL_SECONDS)
