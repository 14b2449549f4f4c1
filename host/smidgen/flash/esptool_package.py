"""The optional package esptool: imported when it is needed, and quiet.

esptool is under the GPL, so it is an extra and nothing of it is in smidgen.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smidgen.errors import InputError
from smidgen.flash.system import Progress, never

LOGGER = logging.getLogger(__name__)
_MARKUP = re.compile(r"\[/?[a-z ]+\]")  # of the library that esptool prints with


def require_esptool() -> None:
    """InputError, with how to install it, if esptool is not there."""
    if importlib.util.find_spec("esptool") is None:
        raise InputError("flashing this board takes esptool, which is not installed: pip install 'smidgen[flash]'")


@contextmanager
def esptool_messages(progress: Progress = never) -> Iterator[None]:
    """While it lasts, what esptool says goes to the log, and what it has written to `progress`; nothing is printed."""
    from esp_pylib.logger import EspLog
    from esptool.logger import TemplateLogger, log

    class Messages(TemplateLogger):  # type: ignore[misc] # esptool has no types
        def print(self, *args: Any, **kwargs: Any) -> None:
            LOGGER.debug("esptool: %s", _plain(*args))

        def note(self, message: str) -> None:
            LOGGER.debug("esptool: %s", _plain(message))

        def warning(self, message: str) -> None:
            LOGGER.warning("esptool: %s", _plain(message))

        def error(self, message: str) -> None:
            LOGGER.warning("esptool: %s", _plain(message))

        def stage(self, finish: bool = False) -> None:
            pass

        def set_verbosity(self, verbosity: str) -> None:
            pass

        def progress_bar(
            self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
        ) -> None:
            progress("writing", cur_iter, total_iters)

    before = EspLog.instance
    log.set_logger(Messages())
    try:
        yield
    finally:
        EspLog.instance = before


def _plain(*args: Any) -> str:
    return " ".join(_MARKUP.sub("", " ".join(map(str, args))).split())
