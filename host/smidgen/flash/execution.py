"""Doing what a plan says, and finding out what runs afterwards."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.errors import BoardError, BoardTimeout
from smidgen.flash.bootsel import check_chip, enter_bootloader, flash_digest, wait_for_volume
from smidgen.flash.comeback import port_of, wait_for_board
from smidgen.flash.esp_flash import write_image
from smidgen.flash.esp_image import EspImage
from smidgen.flash.firmware import release
from smidgen.flash.plan import FlashPlan
from smidgen.flash.state import FlashError, FlashState
from smidgen.flash.system import Progress, System, never
from smidgen.flash.uf2 import Uf2Image
from smidgen.flash.volume import Volume
from smidgen.flash.volume_copy import REVIVE, copy_image
from smidgen.link.session import Board, BoardInfo

LOGGER = logging.getLogger(__name__)

RESTART_SECONDS = 15.0  # for a boot ROM that has every block to take its drive away
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class FlashResult:
    """`written` is False if exactly this firmware was there already. `warning` is empty if all is as it should be."""

    board: str
    port: str
    written: bool
    info: BoardInfo
    warning: str

    @property
    def sentence(self) -> str:
        """'pico on /dev/ttyACM0 runs MicroPython 1.25.0 (Raspberry Pi Pico with RP2040)'."""
        already = "" if self.written else "; this firmware was there already, so nothing was written"
        return f"{self.board} on {self.port} runs MicroPython {self.info.version} ({self.info.machine}){already}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "board": self.board,
            "port": self.port,
            "written": self.written,
            "info": asdict(self.info),
            "warning": self.warning or None,
        }


def execute(plan: FlashPlan, progress: Progress | None = None, system: System | None = None) -> FlashResult:
    """Flash the board, wait until it is back, and ask it what it runs. FlashError says what state it is in.

    Firmware that is there already, byte for byte, is not written again, unless all of the flash is to be erased.
    progress: called with (what, done, total), bytes or seconds.
    """
    system, progress = system or System(), progress or never
    if plan.command:
        LOGGER.info("the same by hand: %s", plan.command)
    if isinstance(plan.image, EspImage):
        if plan.target.port is None:
            raise ValueError("a plan for esptool has a port")
        written = write_image(plan.image, plan.board, plan.target.port, plan.baud, plan.erase, progress)
    else:
        written = _flash_uf2(plan, plan.image, progress, system)
    port, info = wait_for_board(plan.board, plan.target, system, progress)
    return FlashResult(plan.board.name, port, written, info, _warning(plan, info))


def _flash_uf2(plan: FlashPlan, image: Uf2Image, progress: Progress, system: System) -> bool:
    volume = plan.target.volume
    if volume is None:
        volume = _leave_micropython(plan, image, progress, system)
        if volume is None:
            return False
    copy_image(image, volume, progress)
    _wait_for_restart(plan, volume, progress, system)
    return True


def _leave_micropython(plan: FlashPlan, image: Uf2Image, progress: Progress, system: System) -> Volume | None:
    """The drive of the board on the plan's port; None if its flash has this firmware already."""
    before = system.volumes()
    port = str(plan.target.port)
    try:
        session = system.connect(port)
    except BoardError as error:
        raise FlashError(
            f"no MicroPython answers on {port}: {error}",
            FlashState.UNTOUCHED,
            "Hold BOOTSEL while you plug the board in, and run the command again without --port.",
        ) from error
    with session:
        check_chip(session, plan.board)
        if not plan.erase and _is_there(session, image):
            return None
        enter_bootloader(session)
    return wait_for_volume(plan.board, before, system, progress)


def _is_there(session: Board, image: Uf2Image) -> bool:
    try:
        return flash_digest(session, image) == hashlib.sha256(image.payload).hexdigest()
    except BoardTimeout:
        raise
    except BoardError as error:
        LOGGER.debug("the board cannot say what is in its flash: %s", error)
        return False


def _wait_for_restart(plan: FlashPlan, volume: Volume, progress: Progress, system: System) -> None:
    """Until the volume is gone, or the board is back: a volume that was mounted by hand may seem to stay."""
    is_on_usb = plan.target.port is None or plan.target.usb is not None
    deadline = system.monotonic() + RESTART_SECONDS
    while volume.is_there:
        if is_on_usb and port_of(plan.board, plan.target, system.usb_ports()) is not None:
            return
        left = deadline - system.monotonic()
        if left <= 0:
            raise FlashError(
                f"{volume.path} took the file and is still there after {RESTART_SECONDS:.0f} s: the boot ROM misses a "
                "part of it",
                FlashState.HALF_WRITTEN,
                REVIVE,
            )
        progress("waiting for the restart", int(RESTART_SECONDS - left), int(RESTART_SECONDS))
        system.sleep(POLL_SECONDS)


def _warning(plan: FlashPlan, info: BoardInfo) -> str:
    if plan.version is not None and release(plan.version) != release(info.version):
        return (
            f"{plan.firmware.path.name} is MicroPython {plan.version}, and the board says that it runs {info.version}: "
            "is this the board that was flashed?"
        )
    return ""
