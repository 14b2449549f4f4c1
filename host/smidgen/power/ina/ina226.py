"""INA226: 16 bits, shunt voltage in steps of 2.5 uV, bus voltage in steps of 1.25 mV (data sheet SBOS547)."""

from __future__ import annotations

from smidgen.power.ina.settings import (
    Identity,
    Register,
    SensorSettings,
    ShuntRange,
    averaged_conversions,
    check_calibration,
    choose_conversion,
    choose_range,
)

NAME = "ina226"

_CONFIGURATION, _BUS, _CURRENT, _CALIBRATION = 0x00, 0x02, 0x04, 0x05
_SHUNT_STEP = 2.5e-6
_RANGES = (ShuntRange(32768 * _SHUNT_STEP, 0),)
_BUS_STEP = 1.25e-3
_ALWAYS_SET = 0x4000
_SHUNT_AND_BUS_CONTINUOUS = 7
_TIMES = averaged_conversions((140, 204, 332, 588, 1100, 2116, 4156, 8244), shunt_shift=3, bus_shift=6, average_shift=9)
_CALIBRATION_CONSTANT = 0.00512
_CALIBRATIONS = range(1, 0x8000)
_IDENTITY = (Identity(Register(0xFE, 2), 0x5449, 0xFFFF), Identity(Register(0xFF, 2), 0x2260, 0xFFF0))


def configure(shunt_ohms: float, max_amperes: float | None, longest_seconds: float) -> SensorSettings:
    """One step of the current register is one of the converter: it cannot overflow."""
    shunt_range = choose_range(NAME, _RANGES, shunt_ohms, max_amperes)
    time = choose_conversion(NAME, _TIMES, longest_seconds)
    full_scale = shunt_range.volts / shunt_ohms
    wanted = round(_CALIBRATION_CONSTANT / (full_scale / 2**15 * shunt_ohms))
    calibration = check_calibration(NAME, wanted, _CALIBRATIONS, shunt_ohms, full_scale)
    return SensorSettings(
        chip=NAME,
        writes=(
            (_CALIBRATION, calibration),
            (_CONFIGURATION, _ALWAYS_SET | time.bits | _SHUNT_AND_BUS_CONTINUOUS),
        ),
        identity=_IDENTITY,
        cycle_seconds=time.seconds,
        full_scale_amperes=full_scale,
        full_scale_counts=0x7FFF,
        amperes_per_count=_CALIBRATION_CONSTANT / (calibration * shunt_ohms),
        volts_per_count=_BUS_STEP,
        current=Register(_CURRENT, 2),
        bus=Register(_BUS, 2),
        bus_shift=0,
        uncertainty=f"gain 0.1 %, offset {10e-6 / shunt_ohms * 1000:.2g} mA (10 uV), steps of "
        f"{_SHUNT_STEP / shunt_ohms * 1000:.2g} mA and 1.25 mV, and the shunt's tolerance",
    )
