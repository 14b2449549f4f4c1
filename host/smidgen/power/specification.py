"""What stands after --power: the name of a source and its options, as in `ina228:bus=0,shunt=0.015@/dev/ttyACM1`."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from smidgen.errors import InputError
from smidgen.power.ina.bus import BusAddress
from smidgen.power.ina.chips import ADDRESSES, CHIPS, DEFAULT_SHUNT_OHMS
from smidgen.power.options import Options

USAGE = """\
ina219, ina226, ina228  [:bus=0,addr=0x40,sda=,scl=,shunt=OHM,max=AMPERE]  a sensor on the board itself
... @PORT               [:...,marker=PIN,rate=HZ]  the same, read by a second board
ppk2                    [:PORT,mode=source|ampere,volts=3.3,marker=0]
joulescope              [:SERIAL,rate=100000,marker=0]
csv:FILE                [,volts=3.3,marker=0]
estimate                [:board=NAME]  from data sheets"""

_MAX_GPIO = 255
_MAX_RATE = 1_000_000


@dataclass(frozen=True)
class SensorSpec:
    """port: of the second board; None: on the board that infers. marker: pin of the second board."""

    chip: str
    where: BusAddress
    shunt_ohms: float
    max_amperes: float | None = None
    port: str | None = None
    marker: int = 2
    rate_hz: float | None = None


@dataclass(frozen=True)
class Ppk2Spec:
    """port None: the only one that is plugged in. source: it supplies `volts`; else the supply has that many.
    marker: logic input 0 to 7."""

    port: str | None = None
    source: bool = True
    volts: float = 3.3
    marker: int = 0


@dataclass(frozen=True)
class JoulescopeSpec:
    """serial None: the only one that is plugged in. marker: general-purpose input 0 to 3."""

    serial: str | None = None
    rate_hz: int = 100_000
    marker: int = 0


@dataclass(frozen=True)
class CsvSpec:
    """volts: for a file without a column of voltage."""

    path: Path
    volts: float | None = None
    marker: int = 0


@dataclass(frozen=True)
class EstimateSpec:
    """board: a name in boards/; None: the one that infers."""

    board: str | None = None


SourceSpec = SensorSpec | Ppk2Spec | JoulescopeSpec | CsvSpec | EstimateSpec


def parse_source(text: str) -> SourceSpec:
    """InputError says what is wrong and what there is."""
    name, _, rest = text.partition(":")
    if "@" in name:
        name, _, port = name.partition("@")
        rest = f"@{port}:{rest}" if rest else f"@{port}"  # a port such as sim:pico has a colon of its own
    if name in CHIPS:
        return _sensor(name, rest)
    if name == "ppk2":
        return _ppk2(rest)
    if name == "joulescope":
        return _joulescope(rest)
    if name == "csv":
        return _csv(rest)
    if name == "estimate":
        options = Options("estimate", rest, ("board",))
        return EstimateSpec(options.text("board"))
    close = difflib.get_close_matches(name.lower(), [*CHIPS, "ppk2", "joulescope", "csv", "estimate"], n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise InputError(f"there is no power source {name!r}; {hint}there are:\n{USAGE}")


def _sensor(chip: str, rest: str) -> SensorSpec:
    given, _, port = rest.partition("@")
    keys = ("bus", "addr", "sda", "scl", "shunt", "max", "marker", "rate")
    options = Options(chip, given, keys)
    if "@" in rest and not port:
        raise InputError(f"{chip}: after @ there must be the port of the second board, such as @/dev/ttyACM1")
    if not port and (options.has("marker") or options.has("rate")):
        raise InputError(f"{chip}: marker= and rate= are for a second board; give its port after @")
    if options.has("sda") != options.has("scl"):
        raise InputError(f"{chip}: give both pins, sda= and scl=, or none")
    pins = (options.integer("sda", 0, 0, _MAX_GPIO), options.integer("scl", 0, 0, _MAX_GPIO))
    address = options.integer("addr", ADDRESSES[0], ADDRESSES[0], ADDRESSES[-1], base=0)
    return SensorSpec(
        chip=chip,
        where=BusAddress(options.integer("bus", 0, 0, 9), address, pins if options.has("sda") else ()),
        shunt_ohms=options.number("shunt", DEFAULT_SHUNT_OHMS[chip], 1e-5, 1000),
        max_amperes=options.number("max", math.nan, 1e-6, 1000) if options.has("max") else None,
        port=port or None,
        marker=options.integer("marker", SensorSpec.marker, 0, _MAX_GPIO),
        rate_hz=options.number("rate", math.nan, 1, 1000) if options.has("rate") else None,
    )


def _ppk2(rest: str) -> Ppk2Spec:
    options = Options("ppk2", rest, ("mode", "volts", "marker"), positional="PORT")
    mode = options.text("mode") or "source"
    if mode not in ("source", "ampere"):
        raise InputError(
            f"ppk2: mode= is {mode!r}; there are: source (it supplies the board), ampere (it only measures)"
        )
    return Ppk2Spec(
        port=options.positional,
        source=mode == "source",
        volts=options.number("volts", Ppk2Spec.volts, 0.8, 5.0),
        marker=options.integer("marker", 0, 0, 7),
    )


def _joulescope(rest: str) -> JoulescopeSpec:
    options = Options("joulescope", rest, ("rate", "marker"), positional="SERIAL")
    return JoulescopeSpec(
        serial=options.positional,
        rate_hz=options.integer("rate", JoulescopeSpec.rate_hz, 1000, _MAX_RATE),
        marker=options.integer("marker", 0, 0, 3),
    )


def _csv(rest: str) -> CsvSpec:
    """A file name may hold commas and colons: only what looks like an option is one, and only at the end."""
    match = re.fullmatch(r"(?P<path>.*?)(?P<options>(,(volts|marker)=[^,]*)*)", rest, re.DOTALL)
    assert match  # everything matches
    if not match["path"]:
        raise InputError("csv: give the file: csv:FILE")
    options = Options("csv", match["options"].lstrip(","), ("volts", "marker"))
    return CsvSpec(
        path=Path(match["path"]),
        volts=options.number("volts", math.nan, 0.1, 60) if options.has("volts") else None,
        marker=options.integer("marker", 0, 0, 7),
    )
