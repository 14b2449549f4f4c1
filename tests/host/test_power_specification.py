"""What may stand after --power."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.errors import InputError
from smidgen.power.ina.bus import BusAddress
from smidgen.power.specification import (
    CsvSpec,
    EstimateSpec,
    JoulescopeSpec,
    Ppk2Spec,
    SensorSpec,
    SourceSpec,
    parse_source,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ina219", SensorSpec("ina219", BusAddress(0, 0x40), 0.1)),
        ("ina228", SensorSpec("ina228", BusAddress(0, 0x40), 0.015)),
        (
            "ina226:bus=1,addr=0x45,sda=6,scl=7,shunt=0.05,max=0.4",
            SensorSpec("ina226", BusAddress(1, 0x45, (6, 7)), 0.05, 0.4),
        ),
        ("ina226:addr=69", SensorSpec("ina226", BusAddress(0, 0x45), 0.1)),
        ("ina219@/dev/ttyACM1", SensorSpec("ina219", BusAddress(0, 0x40), 0.1, port="/dev/ttyACM1")),
        (
            "ina228:shunt=1,marker=7,rate=50@sim:pico",
            SensorSpec("ina228", BusAddress(0, 0x40), 1.0, port="sim:pico", marker=7, rate_hz=50),
        ),
        ("ina228@sim:pico", SensorSpec("ina228", BusAddress(0, 0x40), 0.015, port="sim:pico")),
        ("ppk2", Ppk2Spec()),
        ("ppk2:/dev/ttyACM3", Ppk2Spec(port="/dev/ttyACM3")),
        ("ppk2:mode=ampere,volts=5", Ppk2Spec(source=False, volts=5)),
        ("ppk2:COM3,mode=source,volts=1.8,marker=7", Ppk2Spec("COM3", True, 1.8, 7)),
        ("joulescope", JoulescopeSpec()),
        ("joulescope:000415,rate=1000000,marker=1", JoulescopeSpec("000415", 1_000_000, 1)),
        ("csv:a.csv", CsvSpec(Path("a.csv"))),
        ("csv:C:/a, b=1.csv,volts=3.3,marker=2", CsvSpec(Path("C:/a, b=1.csv"), 3.3, 2)),
        ("estimate", EstimateSpec()),
        ("estimate:board=pico2", EstimateSpec("pico2")),
    ],
)
def test_sources(text: str, expected: SourceSpec) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ina229", "there is no power source 'ina229'; did you mean 'ina2"),
        ("", "there is no power source ''; there are:\nina219, ina226, ina228"),
        ("multimeter", "there is no power source 'multimeter'; there are:"),
        ("ina219:adr=0x40", "ina219 takes bus=..., addr=.*; it got 'adr=0x40'"),
        ("ina219:0x40", "it got '0x40'"),
        ("ina219:addr=0x30", "addr= is '0x30', it must be a whole number from 0x40 to 0x4f"),
        ("ina219:bus=x", "bus= is 'x', it must be a whole number from 0 to 9"),
        ("ina219:bus=0,bus=1", "bus= is given twice, '0' and '1'"),
        ("ina219:shunt=0", "shunt= is '0', it must be a number from"),
        ("ina219:shunt=nan", "shunt= is 'nan'"),
        ("ina219:sda=4", "give both pins"),
        ("ina219:marker=3", "for a second board"),
        ("ina219:rate=3", "for a second board"),
        ("ina219@", "the port of the second board"),
        ("ppk2:mode=volts", "mode= is 'volts'; there are: source .* ampere"),
        ("ppk2:volts=6", "volts= is '6', it must be a number from 0.8 to 5"),
        ("ppk2:marker=8", "whole number from 0 to 7"),
        ("ppk2:volts=3,COM3", "ppk2 takes PORT, then mode=.*it got 'COM3'"),
        ("joulescope:rate=1", "from 1000 to 1000000"),
        ("csv", "give the file: csv:FILE"),
        ("csv:a.csv,volts=x", "volts= is 'x'"),
        ("estimate:pico", "estimate takes board=...; it got 'pico'"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_source(text)
