"""A sensor read by the board that infers, without counting the reading as inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from smidgen.errors import BoardError
from smidgen.power.device_code import remove_code
from smidgen.power.ina import ina228
from smidgen.power.ina.bus import SENSOR, BusAddress, install_sensor
from smidgen.power.ina.settings import SensorSettings, range_warnings
from smidgen.power.source import Execute, PowerSource, SourceInfo
from smidgen.power.windows import RoundEnergy, TimedRound, Window


class OnBoardSensor(PowerSource):
    """Wired to the board that infers. Its windows need no marker; one is set where a pin is given."""

    def __init__(self, settings: SensorSettings, where: BusAddress, shunt_ohms: float) -> None:
        self._settings = settings
        self._where = where
        self._shunt_ohms = shunt_ohms
        self._execute: Execute | None = None

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            name=f"{self._settings.chip} on the board itself, shunt {self._shunt_ohms:g} ohm, {self._where}",
            sample_rate_hz=None,
            uncertainty=self._settings.uncertainty,
        )

    def attach(self, execute: Execute, marker_pin: int | None) -> str:
        self._execute = execute
        install_sensor(execute, self._where, self._settings)
        return self._probe(marker_pin)

    def close(self) -> None:
        execute, self._execute = self._execute, None
        if execute:
            try:
                execute(remove_code(SENSOR))
            except BoardError:
                pass  # the board is gone, and the sensor's driver with it

    def rounds(self, timed: Sequence[TimedRound], interrupted: bool = False) -> list[RoundEnergy]:
        return [
            RoundEnergy(
                idle=self._window(turn.idle_seconds, 0, turn.idle_reading),
                active=self._window(turn.active_seconds, turn.inferences, turn.active_reading),
            )
            for turn in timed
        ]

    def _probe(self, marker_pin: int | None) -> str:
        raise NotImplementedError

    def _window(self, seconds: float, inferences: int, reading: tuple[object, ...]) -> Window:
        raise NotImplementedError


class SampledSensor(OnBoardSensor):
    """INA219, INA226: read between operators, where a reading is mean power for the time computed since the last."""

    @property
    def info(self) -> SourceInfo:
        rate = 1 / (2 * self._settings.cycle_seconds)
        return SourceInfo(super().info.name, rate, super().info.uncertainty)

    def _probe(self, marker_pin: int | None) -> str:
        assert self._execute
        settling = round(2e6 * self._settings.cycle_seconds) + 1
        registers = f"{self._settings.current.address}, {self._settings.bus.address}, {self._settings.bus_shift}"
        return f"SmidgenSampler({SENSOR}, {registers}, {settling}, {marker_pin})"

    def _window(self, seconds: float, inferences: int, reading: tuple[object, ...]) -> Window:
        count, covered, energy, charge, greatest, least, flags = cast("tuple[int, ...]", reading)
        if count == 0:
            raise BoardError(
                f"{self._settings.chip} was not read once in a window of {seconds * 1000:.3g} ms: it needs "
                f"{2000 * self._settings.cycle_seconds:.3g} ms; let the board infer more often in a window (-n)"
            )
        watts = energy / covered * self._settings.amperes_per_count * self._settings.volts_per_count
        warnings = range_warnings(self._settings, self._shunt_ohms, greatest, least)
        if flags & 1 and self._settings.bus_shift:
            warnings += (f"{self._settings.chip} reported an overflow (OVF): take a higher maximum (max=)",)
        return Window(
            seconds=seconds,
            joules=watts * seconds,
            volts=charge / covered * self._settings.volts_per_count,
            inferences=inferences,
            samples=count,
            warnings=warnings,
        )


class AccumulatingSensor(OnBoardSensor):
    """INA228: adds up energy by itself, and is read before and after a window."""

    def _probe(self, marker_pin: int | None) -> str:
        registers = (ina228.ENERGY, ina228.DIAGNOSIS, self._settings.bus)
        plain = tuple(tuple(register) for register in registers)
        return f"SmidgenAccumulator({SENSOR}, {ina228.reset_write(self._settings)}, {plain}, {marker_pin})"

    def _window(self, seconds: float, inferences: int, reading: tuple[object, ...]) -> Window:
        microseconds, values = cast("tuple[int, tuple[int, ...]]", reading)
        energy, diagnosis, bus = values
        step = ina228.joules_per_count(self._settings.amperes_per_count)
        return Window(
            seconds=seconds,
            joules=energy * step / (microseconds * 1e-6) * seconds,
            volts=(bus >> self._settings.bus_shift) * self._settings.volts_per_count,
            inferences=inferences,
            samples=int(microseconds * 1e-6 / self._settings.cycle_seconds),
            resolution_joules=step,
            warnings=ina228.overflow_warnings(diagnosis, self._settings),
        )


def on_board_sensor(settings: SensorSettings, where: BusAddress, shunt_ohms: float) -> OnBoardSensor:
    kind = AccumulatingSensor if settings.chip == ina228.NAME else SampledSensor
    return kind(settings, where, shunt_ohms)
