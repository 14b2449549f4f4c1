"""Options of a power source: `key=value` pairs, with commas between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from smidgen.errors import InputError


class Options:
    """Reads the options of source `name`. positional: what may stand first without a key, None if nothing may."""

    def __init__(self, name: str, text: str, keys: Sequence[str], positional: str | None = None) -> None:
        self._name = name
        self._values: dict[str, str] = {}
        self.positional: str | None = None
        parts = text.split(",") if text else []
        for number, part in enumerate(parts):
            key, equals, value = part.partition("=")
            if not equals and number == 0 and positional and part:
                self.positional = part
                continue
            if not equals or key not in keys or not value:
                first = f"{positional}, then " if positional else ""
                raise InputError(f"{name} takes {first}{', '.join(f'{k}=...' for k in keys)}; it got {part!r}")
            if key in self._values:
                raise InputError(f"{name}: {key}= is given twice, {self._values[key]!r} and {value!r}")
            self._values[key] = value

    def has(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str) -> str | None:
        return self._values.get(key)

    def integer(self, key: str, default: int, least: int, most: int, base: int = 10) -> int:
        """base 0: as in Python, so that 0x40 is hexadecimal."""
        if key not in self._values:
            return default
        try:
            value = int(self._values[key], base)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            limits = f"{least:#x} to {most:#x}" if base == 0 else f"{least} to {most}"
            raise InputError(f"{self._name}: {key}= is {self._values[key]!r}, it must be a whole number from {limits}")
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        if key not in self._values:
            return default
        try:
            value = float(self._values[key])
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise InputError(
                f"{self._name}: {key}= is {self._values[key]!r}, it must be a number from {least:g} to {most:g}"
            )
        return value
