"""INA219: 12 bits, shunt voltage in steps of 10 uV, bus voltage in steps of 4 mV (data sheet SBOS448)."""

from __future__ import annotations

from smidgen.power.ina.settings import (
    ConversionTime,
    Register,
    SensorSettings,
    ShuntRange,
    check_calibration,
    choose_conversion,
    choose_range,
)

NAME = "ina219"

_CONFIGURATION, _BUS, _CURRENT, _CALIBRATION = 0x00, 0x02, 0x04, 0x05
_RANGES = tuple(ShuntRange(0.04 * 2**gain, gain << 11) for gain in range(4))
_SHUNT_STEP = 10e-6
_BUS_STEP = 4e-3
_BUS_RANGE_32_V = 1 << 13
_SHUNT_AND_BUS_CONTINUOUS = 7
# Code of the resolution, or of the number of 12-bit samples, and microseconds of one conversion.
_CODES = {0: 84, 1: 148, 2: 276, 3: 532, 9: 1060, 10: 2130, 11: 4260, 12: 8510, 13: 17020, 14: 34050, 15: 68100}
_TIMES = tuple(ConversionTime(2e-6 * duration, code << 7 | code << 3) for code, duration in _CODES.items())
_CALIBRATION_CONSTANT = 0.04096
_CALIBRATIONS = range(1, 0xFFFF)  # bit 0 is always 0


def configure(shunt_ohms: float, max_amperes: float | None, longest_seconds: float) -> SensorSettings:
    """One step of the current register is the shunt range's 2**-15, finer than the converter: it cannot overflow."""
    shunt_range = choose_range(NAME, _RANGES, shunt_ohms, max_amperes)
    time = choose_conversion(NAME, _TIMES, longest_seconds)
    full_scale = shunt_range.volts / shunt_ohms
    wanted = int(_CALIBRATION_CONSTANT / (full_scale / 2**15 * shunt_ohms)) & ~1
    calibration = check_calibration(NAME, wanted, _CALIBRATIONS, shunt_ohms, full_scale)
    configuration = _BUS_RANGE_32_V | shunt_range.bits | time.bits | _SHUNT_AND_BUS_CONTINUOUS
    return SensorSettings(
        chip=NAME,
        writes=((_CALIBRATION, calibration), (_CONFIGURATION, configuration)),
        identity=(),
        cycle_seconds=time.seconds,
        full_scale_amperes=full_scale,
        full_scale_counts=round(shunt_range.volts / _SHUNT_STEP) * calibration // 4096,
        amperes_per_count=_CALIBRATION_CONSTANT / (calibration * shunt_ohms),
        volts_per_count=_BUS_STEP,
        current=Register(_CURRENT, 2),
        bus=Register(_BUS, 2),
        bus_shift=3,
        uncertainty=f"gain 0.5 %, offset {100e-6 / shunt_ohms * 1000:.2g} mA (100 uV), steps of "
        f"{_SHUNT_STEP / shunt_ohms * 1000:.2g} mA and 4 mV, and the shunt's tolerance",
    )
