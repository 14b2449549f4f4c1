"""A TOML table that is read key by key and refuses what nobody asked for."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from smidgen.errors import InputError

Choice = TypeVar("Choice", bound=Enum)


class StrictTable:
    """Each method takes one key: InputError if it is missing, has another type, or lies outside its range.

    `finish` refuses keys that were never taken. Errors name the file, the key, what was found and what is allowed.
    """

    def __init__(self, file: Path, values: dict[str, Any], path: str = "") -> None:
        self._file = file
        self._values = values
        self._path = path
        self._taken: dict[str, None] = {}  # a set in the order of asking

    def has(self, key: str) -> bool:
        """Whether an optional key is there; counts as a question for it."""
        self._taken[key] = None
        return key in self._values

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"is {value!r}, must be text that is not empty")
        return value

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._take(key)
        if value not in allowed:
            raise self.error(key, f"is {value!r}, must be one of: {', '.join(allowed)}")
        return str(value)

    def choice(self, key: str, kind: type[Choice]) -> Choice:
        return kind(self.one_of(key, tuple(member.value for member in kind)))

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise self.error(key, f"is {value!r}, must be true or false")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, f"is {value!r}, must be a whole number from {low:,} to {high:,}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        value = self._take(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, f"is {value!r}, must be a number from {low:g} to {high:g}")
        return float(value)

    def table(self, key: str) -> StrictTable:
        return self._sub_table(key, self._take(key))

    def tables(self, key: str) -> list[StrictTable]:
        """An array of tables."""
        value = self._take(key)
        if not isinstance(value, list):
            raise self.error(key, f"is {value!r}, must be an array of tables")
        return [self._sub_table(f"{key}[{index}]", entry) for index, entry in enumerate(value)]

    def finish(self) -> None:
        unknown = [key for key in self._values if key not in self._taken]
        if unknown:
            raise self.error(unknown[0], f"is not known here; known are: {', '.join(self._taken)}")

    def error(self, key: str, complaint: str) -> InputError:
        return InputError(f"{self._file}: {self._path}{key} {complaint}")

    def _take(self, key: str) -> Any:
        self._taken[key] = None
        if key not in self._values:
            raise self.error(key, f"is missing; found here: {', '.join(self._values) or 'nothing'}")
        return self._values[key]

    def _sub_table(self, key: str, value: Any) -> StrictTable:
        if not isinstance(value, dict):
            raise self.error(key, f"is {value!r}, must be a table")
        return StrictTable(self._file, value, f"{self._path}{key}.")
