"""Energy of inferences: sources of power figures, windows, duty cycles, batteries. docs/power.md says how to use it.

with connect("/dev/ttyACM0") as board, create_source("ina228:shunt=0.015") as source:
    model = board.load("kws.smg")
    result = measure(board.exec, "_smg.models[0]", source)
print(result.joules_per_inference, duty_cycle(result, every_seconds=1).average_watts)
"""

from __future__ import annotations

from smidgen.power.battery import BATTERIES, Battery, battery_seconds, battery_warnings, parse_battery
from smidgen.power.duty_cycle import DutyCycle, duty_cycle
from smidgen.power.energy import EnergyResult, summarize
from smidgen.power.measure import Plan, measure
from smidgen.power.resistor import ResistorCheck, check_resistor, require_checkable
from smidgen.power.source import PowerSource, SourceInfo
from smidgen.power.sources import create_source
from smidgen.power.specification import USAGE, parse_source
from smidgen.power.trace import PowerTrace
from smidgen.power.windows import RoundEnergy, TimedRound, Window

__all__ = [
    "BATTERIES",
    "USAGE",
    "Battery",
    "DutyCycle",
    "EnergyResult",
    "Plan",
    "PowerSource",
    "PowerTrace",
    "ResistorCheck",
    "RoundEnergy",
    "SourceInfo",
    "TimedRound",
    "Window",
    "battery_seconds",
    "battery_warnings",
    "check_resistor",
    "create_source",
    "duty_cycle",
    "measure",
    "parse_battery",
    "parse_source",
    "require_checkable",
    "summarize",
]
