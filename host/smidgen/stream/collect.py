"""Collects labelled samples into a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.errors import InputError
from smidgen.link.session import connect
from smidgen.packer import require_writable
from smidgen.stream.dataset import Dataset, FloatArray, load_dataset, save_dataset
from smidgen.stream.sensor import BoardSensor, is_board_source, parse_sensor
from smidgen.stream.source import Source
from smidgen.stream.specification import open_source

_BLOCK_SAMPLES = 256
_LONGEST_SECONDS = 1e9  # for no more than that the number of samples is not infinite
_SAVE_SECONDS = 5.0  # after so long, what has come is saved

Progress = Callable[[int, int], None]  # samples so far, samples wanted (0: until the source ends)


@dataclass(frozen=True)
class Collection:
    """What `collect` did. samples: added. lost: see Source. recordings: in the file now, by label."""

    file: str
    label: str
    samples: int
    seconds: float | None
    lost: int
    recordings: dict[str, int]
    partial: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def collect(
    source: str,
    label: str,
    path: Path,
    *,
    port: str | None = None,
    samples: int | None = None,
    seconds: float | None = None,
    rate: float | None = None,
    encoding: str = "int16",
    channels: int = 1,
    progress: Progress | None = None,
) -> Collection:
    """Add one recording with this label to the data set at `path`, which is made if need be.

    source: as for `run_stream`; if it has several recordings, so many are added. samples or seconds: how much; None:
    until the source ends, or Ctrl-C, after which what has come is kept and `partial` set. Raises InputError or
    BoardError; what has come is kept then, too.
    """
    if path.suffix.lower() != ".npz":
        raise InputError(f"{path}: a data set is a .npz file")
    if not label.strip():
        raise InputError("a label has at least one character")
    if seconds is not None and not 0 < seconds <= _LONGEST_SECONDS:
        raise InputError(f"a recording lasts more than 0 s and at most {_LONGEST_SECONDS:.0f} s, not {seconds:g} s")
    require_writable(path)
    with _opened(source, port, rate, encoding, channels) as opened:
        if samples is None and seconds is not None:
            if opened.rate is None:
                raise InputError(f"{opened.name} does not say how many samples a second it has: give --rate")
            samples = max(1, round(seconds * opened.rate))
        return _collect(opened, label, path, samples, progress)


@contextmanager
def _opened(source: str, port: str | None, rate: float | None, encoding: str, channels: int) -> Iterator[Source]:
    if not is_board_source(source):
        opened = open_source(source, rate, encoding, channels)
        try:
            yield opened
        finally:
            opened.close()
        return
    parse_sensor(source)  # before the board is bothered
    with connect(port) as board:
        sensor = BoardSensor(board, source)
        try:
            yield sensor
        finally:
            sensor.close()


def _collect(source: Source, label: str, path: Path, wanted: int | None, progress: Progress | None) -> Collection:
    before = load_dataset(path, source.channels, source.rate)
    blocks = [np.zeros((0, source.channels), np.float32)]
    count = 0
    partial = False
    saved_at = time.monotonic()
    try:
        while wanted is None or count < wanted:
            block = source.read(min(_BLOCK_SAMPLES, wanted - count) if wanted else _BLOCK_SAMPLES)
            if not len(block):
                if not source.next_recording():
                    break
                before, blocks = _with_recording(before, blocks, label), blocks[:1]
                continue
            blocks.append(block[: wanted - count if wanted else None])
            count += len(blocks[-1])
            if progress is not None:
                progress(count, wanted or 0)
            if time.monotonic() - saved_at >= _SAVE_SECONDS:
                save_dataset(_with_recording(before, blocks, label), path)
                saved_at = time.monotonic()
    except KeyboardInterrupt:
        partial = True
    finally:
        after = _with_recording(before, blocks, label)
        if count:
            save_dataset(after, path)
    recordings = {name: int(np.sum(after.labels == index)) for index, name in enumerate(after.names)}
    length = count / source.rate if source.rate else None
    return Collection(str(path), label, count, length, source.lost, recordings, partial)


def _with_recording(dataset: Dataset, blocks: list[FloatArray], label: str) -> Dataset:
    """With what has come of the recording, if that is anything."""
    samples = np.concatenate(blocks)
    return dataset.added(samples, label) if len(samples) else dataset
