"""INA219, INA226, INA228: what the driver writes and reads, against emulated chips that share no code with it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from smidgen.errors import InputError
from smidgen.link.virtual.sensors.chip import Chip
from smidgen.link.virtual.sensors.ina219 import Ina219
from smidgen.link.virtual.sensors.ina226 import Ina226
from smidgen.link.virtual.sensors.ina228 import Ina228
from smidgen.link.virtual.sensors.load import CurrentHistory
from smidgen.power.ina import ina219, ina226, ina228
from smidgen.power.ina.chips import CHIPS
from smidgen.power.ina.records import parse_records
from smidgen.power.ina.settings import Register, SensorSettings, range_warnings

MODELS: dict[str, type[Chip]] = {"ina219": Ina219, "ina226": Ina226, "ina228": Ina228}
MILLISECOND = 1e6  # the emulated chips count nanoseconds


def set_up(settings: SensorSettings, amperes: float, shunt_ohms: float, volts: float = 3.3) -> Chip:
    chip = MODELS[settings.chip](CurrentHistory(amperes), shunt_ohms, volts)
    for register, value in settings.writes:
        chip.write(register, value, 0.0)
    return chip


def value(chip: Chip, register: Register, now: float) -> int:
    data = chip.read(register.address, now)
    assert len(data) == register.size
    return int.from_bytes(data, "big")


def signed(raw: int, register: Register) -> int:
    bits = 8 * register.size
    return (raw - (1 << bits) if raw >> bits - 1 else raw) >> (4 if register.size == 3 else 0)


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("shunt_ohms", [0.002, 0.015, 0.1, 1.0])
@pytest.mark.parametrize("share", [-0.5, 0.02, 0.3, 0.99])
def test_current_and_voltage(name: str, shunt_ohms: float, share: float) -> None:
    """To a step of the converter, at any shunt and in either direction."""
    settings = CHIPS[name](shunt_ohms, None, 0.002)
    amperes = share * settings.full_scale_amperes
    chip = set_up(settings, amperes, shunt_ohms)
    now = 2.1 * settings.cycle_seconds * 1e9
    measured = signed(value(chip, settings.current, now), settings.current) * settings.amperes_per_count
    converter_step = {"ina219": 10e-6, "ina226": 2.5e-6, "ina228": 312.5e-9}[name] / shunt_ohms
    assert measured == pytest.approx(amperes, abs=1.2 * converter_step + 2e-4 * abs(amperes))
    bus = (value(chip, settings.bus, now) >> settings.bus_shift) * settings.volts_per_count
    assert bus == pytest.approx(3.3, abs=settings.volts_per_count)
    for identity in settings.identity:
        assert value(chip, identity.register, now) & identity.mask == identity.value


def test_known_settings() -> None:
    """By hand from the data sheets' equations, for a shunt of 0.1 ohm."""
    assert dict(ina219.configure(0.1, 3.2, 532e-6 * 2).writes) == {5: 4194, 0: 0x2000 | 0x1800 | 3 << 7 | 3 << 3 | 7}
    assert dict(ina219.configure(0.1, 0.4, 1).writes)[5] == 33554  # 40 mV range
    assert dict(ina226.configure(0.1, None, 588e-6 * 2).writes) == {5: 2048, 0: 0x4000 | 3 << 6 | 3 << 3 | 7}
    settings = ina228.configure(0.1, 0.4096, 280e-6 * 2)
    writes = dict(settings.writes)
    assert (writes[2], writes[0], writes[1]) == (4096, 1 << 4 | 1 << 14, 0xB << 12 | 3 << 9 | 3 << 6)
    assert settings.amperes_per_count == pytest.approx(0.4096 / 2**19)
    assert ina228.joules_per_count(settings.amperes_per_count) == pytest.approx(16 * 3.2 * 0.4096 / 2**19)


@pytest.mark.parametrize("name", CHIPS)
def test_conversions_take_at_most_what_one_asks_for(name: str) -> None:
    for longest in (0.0005, 0.001, 0.002, 0.01, 0.1):
        settings = CHIPS[name](0.1, None, longest)
        assert longest / 4 < settings.cycle_seconds <= longest
        chip = set_up(settings, 0.1, 0.1)
        durations = chip._durations()
        assert durations
        shunt, bus, averages = durations
        assert (shunt + bus) * averages == pytest.approx(settings.cycle_seconds * 1e9, rel=1e-3)
    with pytest.raises(InputError, match=f"a reading of {name} takes at least .* ms, not 0.05 ms"):
        CHIPS[name](0.1, None, 0.00005)


@pytest.mark.parametrize(
    ("name", "volts", "amperes"),
    [("ina219", "0.32", "3.2"), ("ina226", "0.08192", "0.819"), ("ina228", "0.16384", "1.64")],
)
def test_too_much_current_for_the_shunt(name: str, volts: str, amperes: str) -> None:
    with pytest.raises(
        InputError,
        match=f"5 A through a shunt of 0.1 ohm are 0.5 V, and {name} measures up to {volts} V: take a shunt of at most "
        f".* ohm, or a maximum of {amperes} A",
    ):
        CHIPS[name](0.1, 5.0, 0.01)


def test_too_small_a_maximum_for_the_energy_counter() -> None:
    with pytest.raises(InputError, match="its calibration register would be 25, and it takes 64 to 32767"):
        ina228.configure(0.1, 0.0025, 0.01)


@pytest.mark.parametrize("name", ["ina219", "ina226"])
def test_a_current_out_of_range_is_told(name: str) -> None:
    settings = CHIPS[name](0.1, None, 0.002)

    def warnings(amperes: float) -> tuple[str, ...]:
        chip = set_up(settings, amperes, 0.1)
        steps = signed(value(chip, settings.current, 9e6), settings.current)
        return range_warnings(settings, 0.1, steps, steps)

    assert warnings(0.98 * settings.full_scale_amperes) == ()
    assert f"left the range of {name}" in warnings(1.1 * settings.full_scale_amperes)[0]
    assert "was negative, -0.1 A" in warnings(-0.1)[0]


def test_ina228_tells_of_currents_out_of_range_even_if_they_were_short() -> None:
    """Its flags are latched: a millisecond in the middle of a window is enough, and reading forgets it."""
    settings = ina228.configure(0.1, 0.2, 0.0006)
    history = CurrentHistory(0.05)
    chip = Ina228(history, 0.1, 3.3)
    for register, word in settings.writes:
        chip.write(register, word, 0.0)

    def warnings(now: float) -> tuple[str, ...]:
        return ina228.overflow_warnings(value(chip, ina228.DIAGNOSIS, now), settings)

    assert warnings(10 * MILLISECOND) == ()
    history.change(20 * MILLISECOND, 0.21)
    history.change(23 * MILLISECOND, 0.05)
    assert ["SHNTOL" in warning for warning in warnings(50 * MILLISECOND)] == [True]
    assert warnings(60 * MILLISECOND) == ()
    history.change(70 * MILLISECOND, -0.05)
    history.change(73 * MILLISECOND, 0.05)
    assert ["SHNTUL" in warning for warning in warnings(80 * MILLISECOND)] == [True]
    history.change(90 * MILLISECOND, 0.5)
    assert any("MATHOF" in warning for warning in warnings(95 * MILLISECOND))


@pytest.mark.parametrize("max_amperes", [None, 0.1, 0.05])
def test_ina228_adds_up_energy(max_amperes: float | None) -> None:
    """20 mA for 300 ms, 45 mA for 700 ms, at 5 V; then a reset."""
    settings = ina228.configure(0.1, max_amperes, 0.0006)
    history = CurrentHistory(0.020)
    chip = Ina228(history, 0.1, 5.0)
    for register, word in settings.writes:
        chip.write(register, word, 0.0)
    history.change(300 * MILLISECOND, 0.045)
    step = ina228.joules_per_count(settings.amperes_per_count)
    joules = value(chip, ina228.ENERGY, 1000 * MILLISECOND) * step
    assert joules == pytest.approx(5 * (0.020 * 0.3 + 0.045 * 0.7), abs=step + 0.0006 * 5 * 0.045)
    chip.write(*ina228.reset_write(settings), 1000 * MILLISECOND)
    assert value(chip, ina228.ENERGY, 1000 * MILLISECOND) == 0
    assert value(chip, ina228.ENERGY, 2000 * MILLISECOND) * step == pytest.approx(5 * 0.045, rel=2e-3)


def test_current_is_the_mean_of_a_conversion() -> None:
    """Averaged over 16 conversions: half of the time 10 mA, half 30 mA."""
    settings = ina226.configure(0.1, None, 16 * 2 * 140e-6)
    history = CurrentHistory(0.010)
    chip = Ina226(history, 0.1, 5.0)
    for register, word in settings.writes:
        chip.write(register, word, 0.0)
    history.change(settings.cycle_seconds / 2 * 1e9, 0.030)
    raw = value(chip, settings.current, settings.cycle_seconds * 1e9)
    assert raw * settings.amperes_per_count == pytest.approx(0.020, rel=0.01)


def test_records_and_a_clock_that_wraps() -> None:
    registers = (Register(4, 2), Register(9, 5))
    rows = [(1 << 30) - 500, 500, 1500]
    data = b"".join(
        struct.pack("<IB", ticks, number & 1) + bytes([0x12, number]) + (0x0102030405 + number).to_bytes(5, "big")
        for number, ticks in enumerate(rows)
    )
    records = parse_records(data, registers)
    assert np.diff(records.microseconds).tolist() == [1000, 1000]
    assert records.markers.tolist() == [0, 1, 0]
    assert records.values[0].tolist() == [0x1200, 0x1201, 0x1202]
    assert records.values[1].tolist() == [0x0102030405, 0x0102030406, 0x0102030407]
    assert len(parse_records(b"", registers).microseconds) == 0
