"""Writing firmware to an Espressif chip through its boot ROM, with esptool."""

from __future__ import annotations

import errno
import logging
import struct
from typing import Any

from smidgen.boards import BoardDescription
from smidgen.flash.esp_image import EspImage, chip_name
from smidgen.flash.esptool_package import esptool_messages
from smidgen.flash.state import INTERRUPTED, FlashError, FlashState
from smidgen.flash.system import Progress

LOGGER = logging.getLogger(__name__)

DEFAULT_BAUD = 460800  # what MicroPython's own instructions use
CONNECT_ATTEMPTS = 3
BY_HAND = "If the chip does not answer: hold the BOOT button, press and release RESET, let go of BOOT, and try again."
_OPENING: dict[int | None, str] = {  # by the error of the operating system
    errno.EACCES: "You may not use it: on Linux, add yourself to its group (often dialout) and log in again.",
    errno.EAGAIN: "Another program has it open: close that one first.",
    errno.EBUSY: "Another program has it open: close that one first.",
}
# What esptool raises when a chip or a cable fails: its FatalError is a RuntimeError, serial.SerialException an OSError.
_ESPTOOL_ERRORS = (RuntimeError, OSError, struct.error)
_WRITING = ("erase_flash", "flash_begin", "flash_defl_begin")  # methods of esptool with which writing begins


def write_image(
    image: EspImage, board: BoardDescription, port: str, baud: int, erase: bool, progress: Progress
) -> bool:
    """Check chip and flash, then write, verify (MD5 computed by the chip) and restart. False if it was there already.

    baud: for the transfer, on ports that have a speed. erase: all of the flash first. FlashError says what state the
    board is in; where nothing was written, the chip is restarted with the firmware it has.
    """
    with esptool_messages(progress):
        chip = _connect(port)
        wrote = _WriteWatch()
        try:
            _check_chip(chip, board, port)
            chip = _prepare(chip, baud)
            _check_flash(chip, image, board)
            wrote.watch(chip)
            _write(chip, image, erase)
        except _ESPTOOL_ERRORS as error:
            state = FlashState.HALF_WRITTEN if wrote.begun else FlashState.UNTOUCHED
            raise FlashError(f"esptool stopped on {port}: {error}", state, BY_HAND) from error
        except KeyboardInterrupt:
            if wrote.begun:
                LOGGER.warning(INTERRUPTED)
            raise
        finally:
            _restart(chip)
        return wrote.begun


class _WriteWatch:
    """Knows whether esptool has begun to erase or to write."""

    def __init__(self) -> None:
        self.begun = False

    def watch(self, chip: Any) -> None:
        for name in _WRITING:
            setattr(chip, name, self._noting(getattr(chip, name)))

    def _noting(self, method: Any) -> Any:
        def noting(*args: Any, **kwargs: Any) -> Any:
            self.begun = True
            return method(*args, **kwargs)

        return noting


def _connect(port: str) -> Any:
    """esptool's loader for the chip on `port`, whichever it is; it is in its boot ROM then."""
    from esptool.cmds import detect_chip

    try:
        return detect_chip(port, connect_attempts=CONNECT_ATTEMPTS)
    except _ESPTOOL_ERRORS as error:
        advice = _OPENING.get(getattr(error.__context__, "errno", None))
        reason = f"{port} cannot be opened" if advice else f"no boot ROM answered on {port}: {error}"
        raise FlashError(reason, FlashState.UNTOUCHED, advice or BY_HAND) from error


def _check_chip(chip: Any, board: BoardDescription, port: str) -> None:
    wanted = chip_name(board)
    if wanted != chip.CHIP_NAME:
        raise FlashError(
            f"the chip on {port} is {chip.CHIP_NAME}, and {board.name} has {wanted}: name the right board or port",
            FlashState.UNTOUCHED,
        )


def _prepare(chip: Any, baud: int) -> Any:
    """esptool's helper program runs in the chip's RAM, and the flash is attached."""
    from esptool.cmds import attach_flash, run_stub

    chip = run_stub(chip)
    if chip.IS_STUB and baud != chip.ESP_ROM_BAUD:
        chip.change_baud(baud)
    attach_flash(chip)
    return chip


def _check_flash(chip: Any, image: EspImage, board: BoardDescription) -> None:
    from esptool.cmds import detect_flash_size
    from esptool.util import flash_size_bytes

    if chip.secure_download_mode:
        raise FlashError(
            f"the {chip.CHIP_NAME} is locked (secure download mode) and takes only its maker's firmware",
            FlashState.UNTOUCHED,
        )
    size = flash_size_bytes(detect_flash_size(chip))
    if size is None:
        raise FlashError("the flash chip does not say how large it is", FlashState.UNTOUCHED, BY_HAND)
    if size < image.flash_bytes:
        raise FlashError(
            f"the flash of this board has {size:,} bytes, and the firmware needs {image.flash_bytes:,}: take one for "
            f"{board.chip} with {size >> 20} MB",
            FlashState.UNTOUCHED,
        )


def _write(chip: Any, image: EspImage, erase: bool) -> None:
    from esptool.cmds import write_flash

    write_flash(chip, [(image.offset, image.data)], erase_all=erase, skip_flashed=not erase)


def _restart(chip: Any) -> None:
    """Best effort: the error that matters has been raised, or else the board's silence will be noticed."""
    from esptool.cmds import reset_chip

    try:
        reset_chip(chip, "hard-reset")
    except _ESPTOOL_ERRORS as error:
        LOGGER.debug("the chip could not be reset: %s", error)
    finally:
        try:
            chip._port.close()
        except _ESPTOOL_ERRORS as error:
            LOGGER.debug("the port could not be closed: %s", error)
