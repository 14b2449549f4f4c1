"""Writes what a stream saw and answered, as it goes: .jsonl or .npz. A file is valid at any time."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

import numpy as np

from smidgen.errors import InputError
from smidgen.packer import require_writable, save
from smidgen.stream.run import LiveWindow

_FIRST_SAVE_WINDOWS = 16
_LINES, _ARRAYS = ".jsonl", ".npz"


class Recorder(Protocol):
    """A context manager. Unless `complete` is called before its end, the file says that it is partial."""

    def add(self, window: LiveWindow) -> None: ...

    def complete(self) -> None: ...

    def __enter__(self) -> Recorder: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_recorder(path: Path, about: dict[str, Any], *, windows: bool) -> Recorder:
    """about: blob, source and the like, for the file's beginning. windows: with the int8 inputs. Raises InputError."""
    if _suffix(path) == _LINES:
        return LineRecorder(path, about, windows=windows)
    return ArrayRecorder(path, about, windows=windows)


def require_recordable(path: Path) -> None:
    """Raise the InputError with which `open_recorder` would fail, and leave what is there as it is."""
    if _suffix(path) == _ARRAYS or not path.exists():
        require_writable(path)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (_LINES, _ARRAYS):
        raise InputError(f"{path}: recordings are {_LINES} or {_ARRAYS}")
    return suffix


class LineRecorder:
    """One JSON document a line: about the stream, then the windows, then the end. Without an end it is partial."""

    def __init__(self, path: Path, about: dict[str, Any], *, windows: bool) -> None:
        self._windows = windows
        self._count = 0
        self._partial = True
        self._path = path
        try:
            self._file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error
        self._write({"stream": about})

    def add(self, window: LiveWindow) -> None:
        answer = window.answer
        document = {
            "window": answer.number,
            "label": window.label,
            "scores": [round(score, 6) for score in window.scores],
            "outputs": [output.reshape(-1).tolist() for output in answer.outputs],
            "microseconds": answer.microseconds,
            "latency_ms": None if answer.latency is None else round(1000 * answer.latency, 3),
            "dropped": answer.dropped,
        }
        self._write({**document, "input": answer.rows.tolist()} if self._windows else document)
        self._count += 1

    def complete(self) -> None:
        self._partial = False

    def __enter__(self) -> LineRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._write({"end": {"windows": self._count, "partial": self._partial}})

    def _write(self, document: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(document) + "\n")
            self._file.flush()
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror}") from error


class ArrayRecorder:
    """Arrays with a row for each window; written anew each time that their number has doubled, and at the end.

    number, output (output_0, ... where there are several), scores, microseconds, latency_ms (NaN: none), dropped, input
    (with windows), about (JSON), partial.
    """

    def __init__(self, path: Path, about: dict[str, Any], *, windows: bool) -> None:
        self._path = path
        self._about = about
        self._keeps_windows = windows
        self._seen: list[LiveWindow] = []
        self._save_at = _FIRST_SAVE_WINDOWS
        self._partial = True
        self._save()  # a file that cannot be written is an error before the stream

    def add(self, window: LiveWindow) -> None:
        self._seen.append(window)
        if len(self._seen) >= self._save_at:
            self._save()
            self._save_at *= 2

    def complete(self) -> None:
        self._partial = False

    def __enter__(self) -> ArrayRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._save()

    def _save(self) -> None:
        answers = [window.answer for window in self._seen]
        latencies = [np.nan if answer.latency is None else 1000 * answer.latency for answer in answers]
        arrays: dict[str, Any] = {
            "number": np.array([answer.number for answer in answers], np.int64),
            "scores": np.array([window.scores for window in self._seen], np.float32),
            "microseconds": np.array([answer.microseconds for answer in answers], np.int64),
            "latency_ms": np.array(latencies, np.float64),
            "dropped": np.array([answer.dropped for answer in answers], np.int64),
            "about": np.array(json.dumps(self._about)),
            "partial": np.array(self._partial),
        }
        outputs = list(zip(*(answer.outputs for answer in answers), strict=True))
        for index, column in enumerate(outputs):
            arrays["output" if len(outputs) == 1 else f"output_{index}"] = np.stack(column)
        if self._keeps_windows and answers:
            arrays["input"] = np.stack([answer.rows for answer in answers])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        save(buffer.getvalue(), self._path)
