"""The Joulescope, with a stand-in for its driver: blocks of samples, numbered at the instrument's rate."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from smidgen.errors import BoardError, InputError
from smidgen.power import TimedRound, create_source

INSTRUMENT_HZ = 1_000_000
FACTOR = 10  # current and voltage arrive at 100 kHz, the input at the full rate, eight levels in a byte
FIRST = 4_000_000
IDLE, ACTIVE, VOLTS = 0.004, 0.025, 3.3


class Driver:
    """The methods that smidgen uses, with the names and arguments of the real one."""

    devices: tuple[str, ...] = ("u/js220/000415",)
    lose_block: int | None = None
    log: list[tuple[str, object]]

    def __init__(self) -> None:
        self.log = []
        Driver.last = self
        self._receivers: dict[str, Callable[[str, Any], None]] = {}

    last: Driver

    def device_paths(self, timeout: float | None = None) -> list[str]:
        return [*self.devices, "l/jsdrv/1"]

    def open(self, device_prefix: str, mode: str | None = None, timeout: float | None = None) -> None:
        self.log.append(("open", device_prefix))

    def close(self, device_prefix: str, timeout: float | None = None) -> None:
        self.log.append(("close", device_prefix))

    def finalize(self, timeout: float | None = None) -> None:
        self.log.append(("finalize", None))

    def subscribe(
        self, topic: str, flags: list[str], fn: Callable[[str, Any], None], timeout: float | None = None
    ) -> None:
        self._receivers[topic] = fn

    def unsubscribe(self, topic: str, fn: Callable[[str, Any], None], timeout: float | None = None) -> None:
        assert self._receivers.pop(topic) is fn

    def publish(self, topic: str, value: object, timeout: float | None = None) -> None:
        self.log.append((topic, value))
        if topic.endswith("s/gpi/0/ctrl") and value == 1:  # the last of the three
            self._play()

    def _play(self) -> None:
        """Waits 50 ms, active 40 ms, waits 20 ms."""
        instants = np.arange(110_000)
        active = (instants >= 50_000) & (instants < 90_000)
        currents = np.where(active, ACTIVE, IDLE)[::FACTOR].astype(np.float32)
        for number, start in enumerate(range(0, len(currents), 1000)):
            if number == self.lose_block:
                continue
            block = currents[start : start + 1000]
            self._send("s/i", FIRST + start * FACTOR, FACTOR, block)
            self._send("s/v", FIRST + start * FACTOR, FACTOR, np.full(len(block), VOLTS, np.float32))
        for start in range(0, len(active), 8000):
            levels = np.packbits(active[start : start + 8000], bitorder="little")
            self._send("s/gpi/0", FIRST + start, 1, levels)

    def _send(self, signal: str, sample_id: int, factor: int, data: np.ndarray[Any, Any]) -> None:
        topic = f"{self.devices[0]}/{signal}/!data"
        value = {"sample_id": sample_id, "sample_rate": INSTRUMENT_HZ, "decimate_factor": factor, "data": data}
        self._receivers[topic](topic, value)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> type[Driver]:
    module = ModuleType("pyjoulescope_driver")
    fresh = type("Driver", (Driver,), {})
    module.Driver = fresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", module)
    return fresh


def test_energy_of_a_known_window(driver: type[Driver]) -> None:
    with create_source("joulescope") as source:
        source.start()
        source.stop()
        (only,) = source.rounds([TimedRound(0.04, 0.04, 10)])
        assert source.info.name == "Joulescope u/js220/000415"
        assert source.trace
        assert source.trace.sample_rate_hz == pytest.approx(100_000)
    assert only.active.joules == pytest.approx(VOLTS * ACTIVE * 0.04, rel=1e-3)
    assert only.idle.watts == pytest.approx(VOLTS * IDLE, rel=1e-3)
    log = Driver.last.log
    assert ("u/js220/000415/h/fs", 100_000) in log and ("u/js220/000415/s/i/ctrl", 0) in log
    assert log[-2:] == [("close", "u/js220/000415"), ("finalize", None)]


def test_lost_blocks_are_counted(driver: type[Driver]) -> None:
    driver.lose_block = 3
    with create_source("joulescope") as source:
        source.start()
        source.stop()
        assert source.trace
        assert source.trace.lost == 1000
        assert source.warnings == ("1000 of 11000 samples were lost",)
        assert source.trace.pulses(0) == [pytest.approx((0.05, 0.09))]


@pytest.mark.parametrize(
    ("devices", "spec", "message"),
    [
        ((), "joulescope", "0 Joulescopes are plugged in; there are: none"),
        (("u/js220/1", "u/js110/2"), "joulescope", "2 Joulescopes are plugged in; there are: u/js220/1, u/js110/2"),
        (("u/js220/1",), "joulescope:7", "0 Joulescopes with serial number 7 are plugged in; there are: u/js220/1"),
    ],
)
def test_which_one(driver: type[Driver], devices: tuple[str, ...], spec: str, message: str) -> None:
    driver.devices = devices
    with pytest.raises(BoardError, match=message), create_source(spec):
        pass
    assert Driver.last.log == [("finalize", None)]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(InputError, match=r"pip install 'smidgen\[joulescope\]'"), create_source("joulescope"):
        pass


def test_the_stand_in_is_like_the_real_driver() -> None:
    real = pytest.importorskip("pyjoulescope_driver", reason="pyjoulescope_driver is not installed").Driver
    for name in ("device_paths", "open", "close", "finalize", "subscribe", "unsubscribe", "publish"):
        documented = getattr(real, name).__doc__ or ""
        for argument in list(inspect.signature(getattr(Driver, name)).parameters)[1:]:
            assert f":param {argument}:" in documented, (name, argument)
