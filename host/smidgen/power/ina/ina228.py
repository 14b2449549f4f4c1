"""INA228: 20 bits, and adds up energy by itself (data sheet SBOSA20)."""

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

NAME = "ina228"

ENERGY = Register(0x09, 5)
DIAGNOSIS = Register(0x0B, 2)
ENERGY_BITS = 40
RESET_ACCUMULATORS = 1 << 14  # in the configuration

_CONFIGURATION, _CONVERSION, _CALIBRATION, _UPPER_LIMIT, _LOWER_LIMIT = 0x00, 0x01, 0x02, 0x0C, 0x0D
_LATCH_FLAGS = 1 << 15
_ENERGY_OVERFLOW, _MATH_OVERFLOW, _ABOVE_RANGE, _NEGATIVE = 1 << 11, 1 << 9, 1 << 6, 1 << 5
_LARGEST_LIMIT = 0x7FF0  # just below the converter's end
_NEGATIVE_LIMIT = 0x10000 - 20  # of 5 uV, or 1.25 uV in the small range: more than an offset
_RANGES = (ShuntRange(0.16384, 0), ShuntRange(0.04096, 1 << 4))
_SHUNT_AND_BUS_CONTINUOUS = 0xB << 12
_TIMES = averaged_conversions((50, 84, 150, 280, 540, 1052, 2074, 4120), shunt_shift=6, bus_shift=9, average_shift=0)
_CALIBRATION_CONSTANT = 13107.2e6
# Below 64 a step of the calibration would be more than one percent.
_CALIBRATIONS = range(64, 0x8000)
_IDENTITY = (Identity(Register(0x3E, 2), 0x5449, 0xFFFF), Identity(Register(0x3F, 2), 0x2280, 0xFFF0))


def configure(shunt_ohms: float, max_amperes: float | None, longest_seconds: float) -> SensorSettings:
    """Steps of current and energy are proportional to `max_amperes`; None: what the shunt allows."""
    shunt_range = choose_range(NAME, _RANGES, shunt_ohms, max_amperes)
    time = choose_conversion(NAME, _TIMES, longest_seconds)
    amperes = max_amperes or shunt_range.volts / shunt_ohms
    constant = _CALIBRATION_CONSTANT * (4 if shunt_range.bits else 1)
    calibration = check_calibration(
        NAME, round(constant * amperes / 2**19 * shunt_ohms), _CALIBRATIONS, shunt_ohms, amperes
    )
    step = calibration / (constant * shunt_ohms)
    return SensorSettings(
        chip=NAME,
        writes=(
            (_CALIBRATION, calibration),
            (_CONFIGURATION, shunt_range.bits | RESET_ACCUMULATORS),
            (_UPPER_LIMIT, min(_LARGEST_LIMIT, int(amperes * shunt_ohms / shunt_range.volts * 2**15))),
            (_LOWER_LIMIT, _NEGATIVE_LIMIT),
            (DIAGNOSIS.address, _LATCH_FLAGS),
            (_CONVERSION, _SHUNT_AND_BUS_CONTINUOUS | time.bits),
        ),
        identity=_IDENTITY,
        cycle_seconds=time.seconds,
        full_scale_amperes=min(step * 2**19, shunt_range.volts / shunt_ohms),
        full_scale_counts=min(2**19 - 1, int(shunt_range.volts / shunt_ohms / step) - 1),
        amperes_per_count=step,
        volts_per_count=195.3125e-6,
        current=Register(0x07, 3),
        bus=Register(0x05, 3),
        bus_shift=4,
        uncertainty=f"gain 0.05 %, offset {1e-6 / shunt_ohms * 1e6:.2g} uA (1 uV), its clock (energy) 0.5 %, "
        f"energy in steps of {joules_per_count(step) * 1e6:.2g} uJ, and the shunt's tolerance",
    )


def joules_per_count(amperes_per_count: float) -> float:
    """One step of the energy register: 16 steps of the power register, each 3.2 of the current's, for a second."""
    return 16 * 3.2 * amperes_per_count


def reset_write(settings: SensorSettings) -> tuple[int, int]:
    """(register, value) that sets the accumulated energy to zero and leaves everything else as it is."""
    return next((register, value) for register, value in settings.writes if register == _CONFIGURATION)


def overflow_warnings(diagnosis: int, settings: SensorSettings) -> tuple[str, ...]:
    """What the diagnosis register has latched since it was last read, in sentences."""
    sentences = {
        _ENERGY_OVERFLOW: f"the energy register of {NAME} overflowed (ENERGYOF): measure for a shorter time",
        _MATH_OVERFLOW: f"{NAME} reported an overflow (MATHOF): the energy is too low; take a higher maximum (max=)",
        _ABOVE_RANGE: f"the current left the range of {NAME}, {settings.full_scale_amperes:.3g} A (SHNTOL): the energy "
        "is too low; take a higher maximum (max=) or a smaller shunt",
        _NEGATIVE: f"the current was negative at times (SHNTUL), and {NAME} adds up what it is without its sign: if it "
        "is so all the time, swap the sensor's two sides",
    }
    return tuple(sentence for flag, sentence in sentences.items() if diagnosis & flag)
