"""Power traces from text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.errors import InputError
from smidgen.power import TimedRound, create_source
from smidgen.power.csv_trace import read_csv


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


def test_units(file: Path) -> None:
    file.write_text("Time (ms), Current [µA], Voltage(mV), Marker, temperature\n0,1000,3300,0,20\n2,3000,3300,5,21\n")
    trace = read_csv(file)
    assert trace.edges.tolist() == pytest.approx([0, 0.002, 0.004])
    assert trace.amperes.tolist() == pytest.approx([0.001, 0.003])
    assert trace.volts.tolist() == pytest.approx([3.3, 3.3])
    assert trace.markers.tolist() == [0, 5]
    assert trace.joules == pytest.approx(3.3 * 0.002 * 0.004)


@pytest.mark.parametrize(
    ("heading", "low", "high"),
    [("D0-D7", "00000000", "01000000"), ("D0,D1,D2,D3,D4,D5,D6,D7", "0,0,0,0,0,0,0,0", "0,1,0,0,0,0,0,0")],
)
def test_power_profiler(file: Path, heading: str, low: str, high: str) -> None:
    """What Nordic's program writes, in both of its forms: 10 ms at 1 mA, 20 ms at 5 mA with D1 high, 5 ms at 1 mA."""
    rows = [
        f"{n / 100:.2f},{5000 if 1000 <= n < 3000 else 1000}.000,{high if 1000 <= n < 3000 else low}"
        for n in range(3500)
    ]
    file.write_text("Timestamp(ms),Current(uA)," + heading + "\n" + "\n".join(rows))
    with create_source(f"csv:{file},volts=3,marker=1") as source:
        (only,) = source.rounds([TimedRound(0.01, 0.02, 2)])
        assert source.info.sample_rate_hz == pytest.approx(100_000)
    assert only.active.joules == pytest.approx(3 * 0.005 * 0.02)
    assert only.idle.watts == pytest.approx(3 * 0.001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it must begin with a line such as time"),
        ("time(s),voltage(V)\n", "line 1: there is no column 'current'"),
        ("current(A)\n1\n", "line 1: there is no column 'time'"),
        ("time,current(A)\n", "line 1: the unit of time is missing; write one of s, ms, us in brackets"),
        ("time(h),current(A)\n", "line 1: the unit of time is h"),
        ("time(s),current(kA)\n", "line 1: the unit of current is kA; write one of A, mA, uA, nA"),
        ("time(s),time(ms),current(A)\n", "two columns 'time'"),
        ("time(s),current(A)\n0,1\n1\n", "line 3: it has 1 values, the first line has 2"),
        ("time(s),current(A)\n0,1\n\n0.5,x\n", "line 4: the current 'x' is not a number"),
        ("time(s),current(A)\n0,1\n0.5,nan\n", "line 3: the current 'nan' is not a number"),
        ("time(s),current(A)\n0,1\n0,1\n", "line 3: the time is 0 s, not after 0 s in the line before"),
        ("time(s),current(A),marker\n0,1,256\n", "line 2: the marker '256' is not a whole number"),
        ("time(s),current(A),D3\n0,1,2\n", "line 2: D3 is '2', not 0 or 1"),
        ("time(s),current(A),D0-D7\n0,1,0101\n", "line 2: D0-D7 is '0101', not eight digits"),
        ("time(s),current(A)\n0,1\n", "has 1 samples; a power trace needs two at least"),
        ("time(s),current(A)\n", "has 0 samples"),
    ],
)
def test_mistakes(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_csv(file, volts=3.3)


def test_voltage_is_needed_once(file: Path) -> None:
    file.write_text("time(s),current(A)\n0,1\n1,1\n")
    with pytest.raises(InputError, match=r"no column 'voltage': give the supply's \(csv:FILE,volts=3.3\)"):
        read_csv(file)
    file.write_text("time(s),current(A),voltage(V)\n0,1,3\n1,1,3\n")
    with pytest.raises(InputError, match="has voltages of its own: leave out volts=3"):
        read_csv(file, volts=3.3)


def test_other_files(file: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_csv(file)
    file.write_bytes(b"\xff\xfe\x00\x01\n" * 9)
    with pytest.raises(InputError, match="is not a text file"):
        read_csv(file)
