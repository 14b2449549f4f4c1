"""From what stands after --power to a source."""

from __future__ import annotations

from smidgen.boards import BoardDescription, find_board
from smidgen.errors import InputError
from smidgen.power.csv_trace import CsvTrace
from smidgen.power.estimate import Estimate
from smidgen.power.ina import ina228
from smidgen.power.ina.chips import CHIPS
from smidgen.power.ina.on_board import on_board_sensor
from smidgen.power.ina.second_board import SecondBoardSensor
from smidgen.power.joulescope import Joulescope
from smidgen.power.ppk2 import Ppk2
from smidgen.power.source import PowerSource
from smidgen.power.specification import CsvSpec, EstimateSpec, JoulescopeSpec, Ppk2Spec, SensorSpec, parse_source

_ON_BOARD_SECONDS = 1.2e-3  # of one reading; two of them must fit into what is computed between two readings
_ACCUMULATOR_SECONDS = 0.3e-3  # a window begins and ends somewhere within a conversion
_SAMPLED_HZ = 500.0  # second board, INA219 and INA226
_ACCUMULATED_HZ = 100.0  # second board, INA228: the energy between two readings is complete


def create_source(spec: str, board: BoardDescription | None = None) -> PowerSource:
    """spec: as on the command line, see `specification.USAGE`. board: the one that infers, for estimates."""
    parsed = parse_source(spec)
    if isinstance(parsed, SensorSpec):
        return _sensor(parsed)
    if isinstance(parsed, Ppk2Spec):
        return Ppk2(parsed)
    if isinstance(parsed, JoulescopeSpec):
        return Joulescope(parsed)
    if isinstance(parsed, CsvSpec):
        return CsvTrace(parsed)
    return _estimate(parsed, board)


def _sensor(spec: SensorSpec) -> PowerSource:
    configure = CHIPS[spec.chip]
    accumulates = spec.chip == ina228.NAME
    if spec.port is None:
        longest = _ACCUMULATOR_SECONDS if accumulates else _ON_BOARD_SECONDS
        settings = configure(spec.shunt_ohms, spec.max_amperes, longest)
        return on_board_sensor(settings, spec.where, spec.shunt_ohms)
    rate = spec.rate_hz or (_ACCUMULATED_HZ if accumulates else _SAMPLED_HZ)
    settings = configure(spec.shunt_ohms, spec.max_amperes, _ACCUMULATOR_SECONDS if accumulates else 1 / rate)
    return SecondBoardSensor(settings, spec.where, spec.shunt_ohms, spec.port, spec.marker, rate)


def _estimate(spec: EstimateSpec, board: BoardDescription | None) -> PowerSource:
    description = find_board(spec.board) if spec.board else board
    if description is None:
        raise InputError("estimate: say for which board (estimate:board=NAME); `smidgen boards` lists them")
    return Estimate(description)
