"""The RAM of a board: whether a model fits, and sentences in bytes where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from smidgen.errors import BoardError
from smidgen.link.layout import BlobLayout


class Session(Protocol):
    """What is needed of a session with a board."""

    @property
    def memory_advice(self) -> str: ...

    @property
    def has_running_service(self) -> bool: ...

    def exec(self, code: str, timeout: float | None = None) -> str: ...

    def eval(self, expression: str, timeout: float | None = None) -> Any: ...

    def evaluate(self, expression: str, timeout: float | None = None) -> Any: ...


class BoardHeap:
    """The heap of the board behind `session`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def require(
        self,
        data: bytes,
        layout: BlobLayout,
        mapped: bool = False,
        discard: str | None = None,
        module_bytes: int = 0,
    ) -> None:
        """Refuse a model that the board has no memory for, even without the one that it may discard.

        mapped: the blob stays where it is. module_bytes: what smidgen will take.
        """
        blob_bytes = 0 if mapped else len(data)
        sizes = [size for size in (module_bytes, blob_bytes, layout.arena_bytes) if size]
        free, fits = self._session.evaluate(f"_smg.memory(*{sizes})")
        if not fits and discard:
            self._session.evaluate(discard)
            free, fits = self._session.evaluate(f"_smg.memory(*{sizes})")
        if not fits:
            raise BoardError(self._does_not_fit(blob_bytes, layout, free, module_bytes))

    @contextmanager
    def room_for(self, data: bytes, layout: BlobLayout) -> Iterator[None]:
        """Loading: what was allocated is freed when that fails, and a lack of memory is told in bytes."""
        try:
            yield
        except BaseException as error:
            self._drop()
            if not _is_memory_error(error):
                raise
            raise BoardError(self._does_not_fit(len(data), layout, self._free_bytes())) from error

    def _does_not_fit(self, blob_bytes: int, layout: BlobLayout, free: int, module_bytes: int = 0) -> str:
        needed = blob_bytes + layout.arena_bytes + module_bytes
        module = f", smidgen itself about {module_bytes}" if module_bytes else ""
        return (
            f"the model does not fit: it needs {needed} bytes of RAM (the blob {blob_bytes} bytes, its arena "
            f"{layout.arena_bytes}{module}), and the board has {free} bytes of RAM free"
            f"{', but not in one piece' if needed <= free else ''}: {self._session.memory_advice}"
        )

    @contextmanager
    def enough_for(self, purpose: str) -> Iterator[None]:
        """For what has no size known beforehand."""
        try:
            yield
        except BoardError as error:
            if not _is_memory_error(error):
                raise
            raise BoardError(
                f"the board has {self._free_bytes()} bytes of RAM free, too few in one piece to {purpose}: "
                f"{self._session.memory_advice}"
            ) from error

    def _free_bytes(self) -> int:
        """Of the board's RAM; 0 if that is not even enough to tell."""
        try:
            self.collect()
            return int(self._session.eval("__import__('gc').mem_free()"))
        except BoardError:
            return 0

    def collect(self) -> None:
        """To be called before the board allocates what stays, in a request of its own: without it that lands behind
        all garbage of the session so far, in the middle of the heap, and leaves no large piece free."""
        if self._session.has_running_service:
            self._session.evaluate("_smg.gc.collect()")
        else:
            self._session.exec("__import__('gc').collect()")

    def _drop(self) -> None:
        try:
            self._session.evaluate("_smg.drop()")
        except BoardError:
            pass  # cleaning up after an error that is reported already


def _is_memory_error(error: BaseException) -> bool:
    """Whether it is the board's; smidgen's own sentences do not begin so."""
    return isinstance(error, BoardError) and str(error).startswith("MemoryError")
