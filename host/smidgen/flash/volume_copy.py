"""Copying firmware to the volume of a boot ROM, which is no disk: it programs what it gets, and goes when done."""

from __future__ import annotations

import errno
import logging
import os
import shutil

from smidgen.flash.state import INTERRUPTED, FlashError, FlashState
from smidgen.flash.system import Progress
from smidgen.flash.uf2 import Uf2Image
from smidgen.flash.volume import Volume

LOGGER = logging.getLogger(__name__)

FILE_NAME = "FIRMWARE.UF2"
CHUNK_BYTES = 64 * 1024  # written and flushed at once, so that progress and errors are those of the board
WHAT = "writing"


def copy_image(image: Uf2Image, volume: Volume, progress: Progress, chunk_bytes: int = CHUNK_BYTES) -> None:
    """Write the file, up to the last block for this chip. FlashError if the volume fails or vanishes before that.

    Whether the boot ROM is content shows afterwards: it takes the volume away.

    Only data is written: boot ROMs ignore names and dates, and need not be told of them.
    """
    _require_room(image, volume)
    done = 0
    try:
        descriptor = _create(volume)
    except OSError as error:
        raise FlashError(f"{volume.path} cannot be written to: {error.strerror}", FlashState.UNTOUCHED) from error
    try:
        while done < len(image.data):
            end = min(done + chunk_bytes, len(image.data))
            reason = _write(descriptor, image.data[done:end])
            if end >= image.complete_at and (reason is None or reason.errno != errno.ENOSPC):
                break  # the boot ROM may have gone, which a system that remembers the drive reports as an error
            if not volume.is_there:
                raise _vanished(volume, done, image)
            if reason is not None:
                raise _failed(volume, done, image, reason)
            done = end
            progress(WHAT, done, len(image.data))
    except KeyboardInterrupt:
        LOGGER.warning(INTERRUPTED)
        raise
    finally:
        _close(descriptor)
    progress(WHAT, len(image.data), len(image.data))


def _create(volume: Volume) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    return os.open(volume.path / FILE_NAME, flags, 0o644)


def _write(descriptor: int, data: bytes) -> OSError | None:
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError as error:
        return error
    return None


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        pass  # of a volume that is gone; all that counts was flushed before


def _require_room(image: Uf2Image, volume: Volume) -> None:
    try:
        free = shutil.disk_usage(volume.path).free
    except OSError as error:
        raise FlashError(f"{volume.path} cannot be read: {error.strerror}", FlashState.UNTOUCHED) from error
    if free < len(image.data):
        raise FlashError(
            f"{volume.path} has {free:,} bytes free, and the file has {len(image.data):,}", FlashState.UNTOUCHED,
            "Unplug the board, plug it in again with BOOTSEL held, and run the same command again.",
        )  # fmt: skip


def _vanished(volume: Volume, done: int, image: Uf2Image) -> FlashError:
    return FlashError(
        f"{volume.path} vanished after {done:,} of {len(image.data):,} bytes: was the cable pulled?",
        FlashState.HALF_WRITTEN,
        REVIVE,
    )


def _failed(volume: Volume, done: int, image: Uf2Image, reason: OSError) -> FlashError:
    what = "is full" if reason.errno == errno.ENOSPC else f"did not take the file ({reason.strerror})"
    return FlashError(
        f"{volume.path} {what} after {done:,} of {len(image.data):,} bytes",
        FlashState.HALF_WRITTEN,
        REVIVE,
    )


REVIVE = "Hold BOOTSEL while you plug the board in, so that its drive appears."
