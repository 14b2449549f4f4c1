"""Tries every way to measure energy on loads whose energy is known: python -m benchmarks.power

Sensors are emulated on the I2C bus of an emulated Pico, the PPK2 is emulated on a PTY. Exit code 1 if a figure is more
than one percent off.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.tables import console
from benchmarks.virtual_ppk2 import Segment, VirtualPpk2
from rich import box
from rich.table import Table

from smidgen.bench import BenchPlan, BenchResult, PowerPlan, bench
from smidgen.demo.run import float_model
from smidgen.errors import SmidgenError
from smidgen.link.session import connect
from smidgen.link.virtual import VirtualPicoBoard
from smidgen.link.virtual.sensors import SENSOR_CHIPS, VirtualSensor
from smidgen.packer import pack_graph
from smidgen.passes import simplify
from smidgen.power import EnergyResult, Plan, PowerSource, PowerTrace, TimedRound, create_source, measure, summarize
from smidgen.power.windows import rounds_of_trace
from smidgen.quantize import quantize

LIMIT = 0.01
VOLTS, IDLE_AMPERES, ACTIVE_AMPERES = 5.0, 0.020, 0.045
MARKER = 2
BUS_AMPERES = 0.030  # on top while the I2C bus is busy: a reading that is counted would show
PHASE_SECONDS = 0.1  # of waiting and of inferring, where the load has a rhythm of its own
INFERENCES = 10  # that a pulse of that load is taken for
PATIENCE_SECONDS = 120
LOAD_SECONDS = 4 * 0.9e-3  # of an inference of LOAD; MicroPython adds some percent

# Takes as long as four operators, and has what a smidgen.Model has.
LOAD = """
import time
class Load:
    _operators = 4
    class _engine:
        def run(k):
            start = time.ticks_us()
            while time.ticks_diff(time.ticks_us(), start) < 900:
                pass
    def run(self):
        for k in range(4):
            self._engine.run(k)
load = Load()
"""


@dataclass(frozen=True)
class Trial:
    """Of an inference: its duration, and its energy in all and above what the board takes when it waits."""

    source: str
    seconds: float
    joules: float
    expected_joules: float
    joules_above_idle: float
    expected_above_idle: float
    warnings: tuple[str, ...]

    @property
    def error(self) -> float:
        """The larger of the two, as a share."""
        return max(
            abs(self.joules / self.expected_joules - 1), abs(self.joules_above_idle / self.expected_above_idle - 1)
        )


def trial(source: str, result: EnergyResult, idle_watts: float, active_watts: float) -> Trial:
    seconds = result.seconds_per_inference
    return Trial(
        source=source,
        seconds=seconds,
        joules=result.joules_per_inference,
        expected_joules=active_watts * seconds,
        joules_above_idle=result.joules_above_idle,
        expected_above_idle=(active_watts - idle_watts) * seconds,
        warnings=result.warnings,
    )


def on_board(chip: str, inferences: int = 60, windows: int = 2) -> Trial:
    """The board that infers also reads the sensor."""
    sensor = VirtualSensor(
        chip,
        volts=VOLTS,
        idle_amperes=IDLE_AMPERES,
        active_amperes=ACTIVE_AMPERES,
        pin=MARKER,
        bus_amperes=BUS_AMPERES,
    )
    plan = Plan(windows, inferences, idle_seconds=PHASE_SECONDS, marker_pin=MARKER)
    with (
        VirtualPicoBoard(sensors=[sensor]) as virtual,
        connect(virtual.port) as board,
        create_source(f"{chip}:shunt={sensor.shunt_ohms},max=0.1") as source,
    ):
        board.exec(LOAD)
        result = measure(board.exec, "load", source, plan)
    return trial(f"{chip} on the board", result, VOLTS * IDLE_AMPERES, VOLTS * ACTIVE_AMPERES)


def session(chip: str, inferences: int = 20) -> Trial:
    """A whole `smidgen bench --power` of the demo's network. Expected: the load's power for the session's latency."""
    load = VirtualSensor(chip)
    power = PowerPlan(f"{chip}:max=0.1", inferences=inferences, windows=2, idle_seconds=PHASE_SECONDS)
    with TemporaryDirectory() as folder:
        result = _session(Path(folder), "session", f"sim:pico+{chip}", power)
    return _session_trial(f"{chip} in a session", result, load.volts, load.idle_amperes, load.active_amperes)


def ppk2_session(folder: Path, inferences: int = 20, windows: int = 3) -> Trial:
    """The same with a meter that plays a trace as the board's marker would make it: a session before says how long."""
    volts, idle, active = 3.3, 0.004, 0.025
    before = _session(folder, "before", "sim:pico").latency
    assert before
    seconds = before.median * 1e-6
    trace = [Segment(PHASE_SECONDS * 2, idle), Segment(seconds * inferences, active, logic=1)] * windows
    with VirtualPpk2([*trace, Segment(PHASE_SECONDS, idle)], volts) as meter:
        source = f"ppk2:{meter.port},volts={volts}"
        power = PowerPlan(source, MARKER, inferences, windows, idle_seconds=PHASE_SECONDS, every_seconds=1.0)
        result = _session(folder, "session", "sim:pico", power)
    return _session_trial("ppk2 in a session", result, volts, idle, active)


def _session(folder: Path, name: str, port: str, power: PowerPlan | None = None) -> BenchResult:
    blob = folder / "imu.smg"
    blob.write_bytes(demo_network())
    return bench(blob, port, BenchPlan(5, power=power, folder=folder / name)).result


def _session_trial(source: str, result: BenchResult, volts: float, idle: float, active: float) -> Trial:
    assert result.energy and result.latency, "a session that ends has both"
    seconds = result.latency.median * 1e-6
    return Trial(
        source=source,
        seconds=seconds,
        joules=result.energy.joules_per_inference,
        expected_joules=volts * active * seconds,
        joules_above_idle=result.energy.joules_above_idle,
        expected_above_idle=volts * (active - idle) * seconds,
        warnings=result.energy.warnings,
    )


def demo_network() -> bytes:
    """A blob. What its outputs are worth does not matter here, so it is calibrated with noise."""
    graph = simplify(float_model())
    shape = graph.tensors[graph.inputs[0]].shape
    noise = np.random.default_rng(0).normal(size=(32, *shape[1:])).astype(np.float32)
    return pack_graph(quantize(graph, noise))


def second_board(chip: str) -> Trial:
    """Another board reads the sensor, and the marker of one that infers by its own clock."""
    sensor = VirtualSensor(
        chip,
        volts=VOLTS,
        idle_amperes=IDLE_AMPERES,
        active_amperes=ACTIVE_AMPERES,
        pin=MARKER,
        period_seconds=2 * PHASE_SECONDS,
        active_seconds=PHASE_SECONDS,
    )
    with (
        VirtualPicoBoard(sensors=[sensor]) as virtual,
        create_source(f"{chip}:shunt={sensor.shunt_ohms},max=0.05,marker={MARKER},rate=200@{virtual.port}") as source,
    ):
        trace = _record(source, pulses=3)
        timed = [TimedRound(PHASE_SECONDS / 2, PHASE_SECONDS, INFERENCES)] * len(trace.pulses(0))
        result = summarize(source.info, rounds_of_trace(trace, timed), source.warnings)
    return trial(f"{chip} on a second board", result, VOLTS * IDLE_AMPERES, VOLTS * ACTIVE_AMPERES)


def ppk2() -> Trial:
    """A trace of 0.8 s, with two windows of ten inferences each."""
    volts, idle, active, seconds = 3.3, 0.004, 0.025, 0.2
    wait, infer = Segment(seconds, idle), Segment(seconds, active, logic=1)
    with (
        VirtualPpk2([wait, infer, wait, infer, wait], volts) as meter,
        create_source(f"ppk2:{meter.port},volts={volts}") as source,
    ):
        source.start()
        meter.finished.wait(PATIENCE_SECONDS)
        source.stop()
        timed = [TimedRound(0.9 * seconds, seconds, INFERENCES)] * 2
        result = summarize(source.info, source.rounds(timed), source.warnings)
    return trial("ppk2", result, volts * idle, volts * active)


def trials() -> Iterator[Trial]:
    yield from map(on_board, SENSOR_CHIPS)
    yield from map(second_board, SENSOR_CHIPS)
    yield from map(session, SENSOR_CHIPS)
    if importlib.util.find_spec("ppk2_api"):
        yield ppk2()
        with TemporaryDirectory() as folder:
            yield ppk2_session(Path(folder))
    else:
        print("ppk2: not tried, its package is missing (pip install ppk2-api)", file=sys.stderr)


def _record(source: PowerSource, pulses: int) -> PowerTrace:
    """At least so many whole pulses, from the end of another on. How fast an emulated board is nobody knows."""
    seconds = 2.0
    while seconds < PATIENCE_SECONDS:
        source.start()
        time.sleep(seconds)
        source.stop()
        assert source.trace
        trace = _after_first_pulse(source.trace)
        if trace and len(trace.pulses(0)) >= pulses:
            return trace
        seconds *= 2
    raise SmidgenError(f"the emulated board did not make {pulses} pulses in {seconds / 2:g} s")


def _after_first_pulse(trace: PowerTrace) -> PowerTrace | None:
    whole = trace.pulses(0)
    if not whole:
        return None
    first = int(np.searchsorted(trace.edges, whole[0][1]))
    return PowerTrace(trace.edges[first:], trace.volts[first:], trace.amperes[first:], trace.markers[first:])


def _table(results: Sequence[Trial]) -> Table:
    table = Table(title="Energy of an inference, loads of known current", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("measured by")
    for column in ("mJ", "expected", "above idle, mJ", "expected", "error"):
        table.add_column(column, justify="right")
    for one in results:
        figures = (one.joules, one.expected_joules, one.joules_above_idle, one.expected_above_idle)
        table.add_row(one.source, *(f"{1000 * joules:.4f}" for joules in figures), f"{one.error:.2%}")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    results = list(trials())
    if given.json:
        print(json.dumps([{**asdict(one), "error": one.error} for one in results], indent=2))
    else:
        console(stderr=False).print(_table(results))
    return 0 if all(one.error <= LIMIT for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
