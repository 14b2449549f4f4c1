"""The PPK2 by ppk2-api, with one that is a PTY and plays a trace of known energy."""

from __future__ import annotations

import os

import pytest
from benchmarks.virtual_ppk2 import Segment, VirtualPpk2

from smidgen.errors import BoardError, InputError
from smidgen.power import PowerSource, TimedRound, create_source, summarize
from smidgen.power import ppk2 as adapter

pytest.importorskip("ppk2_api", reason="ppk2-api is not installed: pip install 'smidgen[ppk2]'")

IDLE, ACTIVE = 0.004, 0.025
TRACE = [
    Segment(0.05, IDLE),
    Segment(0.04, ACTIVE, 1),
    Segment(0.05, IDLE),
    Segment(0.04, ACTIVE, 1),
    Segment(0.1, IDLE),
]
ROUNDS = [TimedRound(0.04, 0.04, 10), TimedRound(0.04, 0.04, 10)]


def record(source: PowerSource, meter: VirtualPpk2) -> None:
    source.start()
    assert meter.finished.wait(20)
    source.stop()


def test_energy_of_known_windows(capsys: pytest.CaptureFixture[str]) -> None:
    with VirtualPpk2(TRACE, volts=3.0) as meter, create_source(f"ppk2:{meter.port},volts=3.0") as source:
        record(source, meter)
        summary = summarize(source.info, source.rounds(ROUNDS), source.warnings)
    assert summary.joules_per_inference == pytest.approx(3.0 * ACTIVE * 0.004, rel=0.01)
    assert summary.joules_above_idle == pytest.approx(3.0 * (ACTIVE - IDLE) * 0.004, rel=0.01)
    assert summary.warnings == ()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("amperes", "tolerance"), [(2e-6, 0.05), (100e-6, 0.01), (1e-3, 0.01), (0.02, 0.01), (0.3, 0.01)]
)
def test_every_range(amperes: float, tolerance: float) -> None:
    """With the calibration that the meter itself reports."""
    with VirtualPpk2([Segment(0.05, amperes)]) as meter, create_source(f"ppk2:{meter.port}") as source:
        record(source, meter)
        assert source.trace
        assert float(source.trace.amperes.mean()) == pytest.approx(amperes, rel=tolerance)


def test_what_the_meter_is_told() -> None:
    for mode, code in (("source", b"\x11\x02"), ("ampere", b"\x11\x01")):
        with VirtualPpk2(TRACE) as meter:
            with create_source(f"ppk2:{meter.port},mode={mode},volts=3.3") as source:
                record(source, meter)
            assert meter.commands[:5] == [b"\x19", b"\x0d\x0c\xe4", code, b"\x0c\x01", b"\x06"]
            assert set(meter.commands[5:]) == {b"\x07"}


def test_markers_on_another_input() -> None:
    trace = [Segment(segment.seconds, segment.amperes, segment.logic << 5) for segment in TRACE]
    with VirtualPpk2(trace) as meter, create_source(f"ppk2:{meter.port},marker=5") as source:
        record(source, meter)
        assert len(source.rounds(ROUNDS)) == 2


def test_lost_samples_are_counted_and_time_goes_on() -> None:
    with VirtualPpk2(TRACE, lose=range(1000, 1020)) as meter, create_source(f"ppk2:{meter.port}") as source:
        record(source, meter)
        assert source.trace
        assert source.trace.lost == 20
        assert source.trace.pulses(0)[0] == pytest.approx((0.05, 0.09))
        assert source.warnings[0].startswith("20 of ")


def test_a_meter_can_measure_twice() -> None:
    with VirtualPpk2(TRACE) as meter, create_source(f"ppk2:{meter.port}") as source:
        for _ in range(2):
            meter.finished.clear()
            record(source, meter)
            assert len(source.rounds(ROUNDS)) == 2


def test_a_marker_pin_is_needed() -> None:
    source = create_source("ppk2:/dev/null")
    with pytest.raises(InputError, match=r"finds the windows by a pin of the board: .*--marker PIN"):
        source.attach(lambda code, timeout=None: "", None)
    with pytest.raises(InputError, match="has recorded nothing yet"):
        source.rounds(ROUNDS)


def test_something_else_on_the_port() -> None:
    master, slave = os.openpty()
    try:
        with pytest.raises(BoardError, match="does not answer as a PPK2"), create_source(f"ppk2:{os.ttyname(slave)}"):
            pass
    finally:
        os.close(master)
        os.close(slave)


def test_no_port() -> None:
    with (
        pytest.raises(BoardError, match="cannot open the PPK2 on /dev/no-such-port"),
        create_source("ppk2:/dev/no-such-port"),
    ):
        pass


@pytest.mark.parametrize(
    ("devices", "message"), [([], "0 PPK2 are plugged in; check"), ([("A", "1"), ("B", "2")], "A, B")]
)
def test_which_one(monkeypatch: pytest.MonkeyPatch, devices: list[tuple[str, str]], message: str) -> None:
    monkeypatch.setattr(adapter._import_api().PPK2_API, "list_devices", staticmethod(lambda: devices))
    with pytest.raises(BoardError, match=message), create_source("ppk2"):
        pass
