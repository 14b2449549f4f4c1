"""Records that device/power/recorder.py makes: time, marker, registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.power.ina.settings import Register

_TICKS_PERIOD = 1 << 30  # of MicroPython's ticks_us; two records are less than that apart


@dataclass(frozen=True, eq=False)
class Records:
    """microseconds: without the wrapping of the board's clock. values: one array for every register, unsigned."""

    microseconds: NDArray[np.int64]
    markers: NDArray[np.uint8]
    values: tuple[NDArray[np.int64], ...]


def parse_records(data: bytes, registers: Sequence[Register]) -> Records:
    size = 5 + sum(register.size for register in registers)
    rows = np.frombuffer(data, np.uint8).reshape(-1, size)
    ticks = rows[:, :4].copy().view("<u4")[:, 0].astype(np.int64)
    steps = np.diff(ticks) % _TICKS_PERIOD
    values, start = [], 5
    for register in registers:
        columns = rows[:, start : start + register.size].astype(np.int64)
        values.append(columns @ (1 << 8 * np.arange(register.size - 1, -1, -1, dtype=np.int64)))
        start += register.size
    return Records(np.concatenate([ticks[:1], ticks[:1] + np.cumsum(steps)]), rows[:, 4].copy(), tuple(values))
