"""Traces, windows, energy, duty cycles and batteries, against sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smidgen.boards import find_board
from smidgen.errors import InputError
from smidgen.power import (
    Battery,
    EnergyResult,
    PowerTrace,
    RoundEnergy,
    SourceInfo,
    TimedRound,
    Window,
    battery_seconds,
    battery_warnings,
    create_source,
    duty_cycle,
    parse_battery,
    summarize,
)
from smidgen.power.windows import rounds_of_trace

SOURCE = SourceInfo("a meter", 1000.0, "none")
SECONDS_PER_YEAR = 365.25 * 86400


def pulse_trace(idle: float, active: float, pattern: str, interval: float = 0.001) -> PowerTrace:
    """A sample for every character of `pattern`, at 2 V: '#' for a high marker and `active` amperes, '.' for `idle`."""
    high = np.array([character == "#" for character in pattern])
    return PowerTrace(
        edges=np.arange(len(pattern) + 1) * interval,
        volts=np.full(len(pattern), 2.0),
        amperes=np.where(high, active, idle),
        markers=high.astype(np.uint8),
    )


def result(**changes: object) -> EnergyResult:
    idle = Window(seconds=2.0, joules=0.2, volts=3.0, inferences=0, samples=2000)
    active = Window(seconds=10.0, joules=3.0, volts=3.0, inferences=100, samples=10_000)
    return summarize(SOURCE, [RoundEnergy(idle, active)])


def test_energy_of_part_of_a_trace() -> None:
    trace = PowerTrace(np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0]), np.array([0.5, 1.0]), np.zeros(2, np.uint8))
    assert trace.joules == pytest.approx(1 * 1 + 4 * 2)
    assert trace.energy(0.5, 1.5) == pytest.approx(0.5 * 1 + 0.5 * 4)
    assert trace.energy(1.25, 1.75) == pytest.approx(0.5 * 4)
    assert trace.mean_volts(0.0, 3.0) == pytest.approx((2 * 1 + 4 * 2) / 3)
    with pytest.raises(InputError, match="from 2 s to 4 s is not within the power trace, which is from 0 s to 3 s"):
        trace.energy(2, 4)


def test_pulses_are_those_that_begin_and_end() -> None:
    def pulses(pattern: str) -> list[tuple[float, float]]:
        return pulse_trace(0, 1, pattern, interval=1.0).pulses(0)

    assert pulses("..###.#..") == [(2, 5), (6, 7)]
    assert pulses("##..##.") == [(4, 6)]
    assert pulses("..##.##") == [(2, 4)]
    assert pulses("....") == pulses("####") == []


def test_rounds_of_a_trace() -> None:
    """Powers are the trace's, durations the board's."""
    trace = pulse_trace(0.01, 0.05, "." * 120 + "#" * 200 + "." * 130 + "#" * 201 + "." * 5)
    first, second = rounds_of_trace(trace, [TimedRound(0.1, 0.2001, 4), TimedRound(0.1, 0.2001, 4)])
    assert first.active.watts == pytest.approx(0.1)
    assert first.active.joules == pytest.approx(0.1 * 0.2001)
    assert first.idle.watts == pytest.approx(0.02)
    assert (second.active.seconds, second.active.inferences, second.active.volts) == (0.2001, 4, pytest.approx(2))


def test_a_sample_that_saw_both_states_is_left_out() -> None:
    """A sensor's reading lags: the first sample of a pulse, and the first after it, are of both."""
    trace = pulse_trace(0.01, 0.05, "." * 20 + "#" * 10 + "." * 10)
    trace.amperes[20], trace.amperes[30] = 0.03, 0.03
    (only,) = rounds_of_trace(trace, [TimedRound(0.01, 0.01, 1)])
    assert only.active.watts == pytest.approx(0.1)
    assert only.idle.watts == pytest.approx(0.02)
    assert not only.active.warnings


def test_a_window_of_two_samples_is_told() -> None:
    trace = pulse_trace(0.01, 0.05, "." * 20 + "##" + "." * 10)
    (only,) = rounds_of_trace(trace, [TimedRound(0.01, 0.002, 1)])
    assert only.active.joules == pytest.approx(0.1 * 0.002)
    assert "a window of 2 ms is too short for a meter with 1000 samples a second" in only.active.warnings[0]


def test_trace_and_board_must_agree() -> None:
    trace = pulse_trace(0.01, 0.05, "." * 50 + "#" * 100 + "." * 50)
    with pytest.raises(InputError, match="the board made 2 windows, the power trace shows 1 pulses on marker 0"):
        rounds_of_trace(trace, [TimedRound(0.02, 0.1, 1)] * 2)
    with pytest.raises(InputError, match=r"window 0 took 0\.12 s on the board and 0\.1 s in the power trace"):
        rounds_of_trace(trace, [TimedRound(0.02, 0.12, 1)])
    with pytest.raises(InputError, match=r"waited 0\.06 s before window 0, the power trace has only 0\.05 s"):
        rounds_of_trace(trace, [TimedRound(0.06, 0.1, 1)])
    with pytest.raises(InputError, match="marker 3"):
        rounds_of_trace(trace, [TimedRound(0.02, 0.1, 1)], bit=3)


def test_an_unfinished_round_is_ignored_if_one_says_so() -> None:
    trace = pulse_trace(0.01, 0.05, "." * 50 + "#" * 100 + "." * 50 + "#" * 30 + "." * 10)
    assert len(rounds_of_trace(trace, [TimedRound(0.02, 0.1, 1)], interrupted=True)) == 1
    with pytest.raises(InputError, match="2 pulses"):
        rounds_of_trace(trace, [TimedRound(0.02, 0.1, 1)])


@pytest.mark.parametrize(
    ("edges", "message"), [([0, 1, 1], "must increase"), ([0, 1], "it needs as many of each"), ([0, 2, 1], "increase")]
)
def test_a_trace_is_checked(edges: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PowerTrace(np.array(edges, float), np.ones(2), np.ones(2), np.zeros(2, np.uint8))


def test_energy_of_an_inference() -> None:
    """Two windows: 100 inferences in 10 s with 3 J, 50 in 5 s with 1.6 J; the board idles at 0.1 W."""
    idle = Window(seconds=2.0, joules=0.2, volts=3.0, inferences=0, samples=2000)
    first = Window(seconds=10.0, joules=3.0, volts=3.0, inferences=100, samples=10_000)
    second = Window(seconds=5.0, joules=1.6, volts=3.3, inferences=50, samples=5000)
    summary = summarize(SOURCE, [RoundEnergy(idle, first), RoundEnergy(idle, second)])
    assert summary.inferences == 150
    assert summary.seconds_per_inference == pytest.approx(0.1)
    assert summary.joules_per_inference == pytest.approx(4.6 / 150)
    assert summary.joules_above_idle == pytest.approx(4.6 / 150 - 0.1 * 0.1)
    assert summary.active_watts == pytest.approx(4.6 / 15)
    assert summary.idle_watts == pytest.approx(0.1)
    assert summary.volts == pytest.approx((3.0 * 10 + 3.3 * 5) / 15)
    assert summary.spread == pytest.approx(math.sqrt(2 * 0.001**2) / 0.031)  # 0.030 J and 0.032 J
    assert summary.warnings == ()
    assert result().spread is None


@pytest.mark.parametrize(
    ("seconds", "inferences", "warned"), [(10.0, 1, False), (9.9, 10, False), (9.9, 9, True), (0.1, 9, True)]
)
def test_a_window_should_be_long(seconds: float, inferences: int, warned: bool) -> None:
    idle = Window(1.0, 0.1, 3.0, 0, 100)
    summary = summarize(SOURCE, [RoundEnergy(idle, Window(seconds, 1.0, 3.0, inferences, 100))])
    assert any("should last 10 s or have 10" in warning for warning in summary.warnings) == warned


def test_a_coarse_meter_is_told() -> None:
    idle = Window(1.0, 0.1, 3.0, 0, 100)
    active = Window(10.0, 0.01, 3.0, 10, 100, resolution_joules=0.00011)
    (warning,) = summarize(SOURCE, [RoundEnergy(idle, active)]).warnings
    assert "steps of 0.00011 J, and a window took 0.01 J" in warning


def test_no_round_is_no_result() -> None:
    with pytest.raises(InputError, match="no round"):
        summarize(SOURCE, [])


def test_average_power() -> None:
    """0.03 J in 0.1 s every second, and 0.1 W for the other 0.9 s."""
    cycle = duty_cycle(result(), every_seconds=1.0)
    assert cycle.average_watts == pytest.approx(0.03 + 0.9 * 0.1)
    assert cycle.active_share == pytest.approx(0.1)
    assert duty_cycle(result(), 1.0, rest_watts=0.001).average_watts == pytest.approx(0.03 + 0.9 * 0.001)
    assert duty_cycle(result(), 0.1).average_watts == pytest.approx(0.3)
    with pytest.raises(InputError, match=r"takes 0\.1 s, so there cannot be one every 0\.05 s"):
        duty_cycle(result(), 0.05)
    with pytest.raises(InputError, match="not be negative"):
        duty_cycle(result(), 1.0, rest_watts=-1.0)


def test_battery_without_self_discharge() -> None:
    battery = Battery("a cell", capacity_mah=1000, volts=3.0, usable_share=0.5, self_discharge_per_year=0.0)
    assert battery.usable_joules == pytest.approx(1.0 * 3600 * 3.0 * 0.5)
    assert battery_seconds(battery, 0.01) == pytest.approx(540_000)


def test_battery_with_self_discharge() -> None:
    """Integrated in small steps: what is left loses a tenth in a year, besides the load."""
    battery = Battery("a cell", 1000, 3.0, 1.0, self_discharge_per_year=0.1)
    watts = battery.usable_joules / SECONDS_PER_YEAR / 2  # alone it would last two years
    step = SECONDS_PER_YEAR / 20_000
    left, seconds = battery.usable_joules, 0.0
    while left > 0:
        left -= (watts + left * -math.log(0.9) / SECONDS_PER_YEAR) * step
        seconds += step
    assert battery_seconds(battery, watts) == pytest.approx(seconds, rel=1e-3)
    assert seconds < 2 * SECONDS_PER_YEAR
    with pytest.raises(InputError, match="more than nothing"):
        battery_seconds(battery, 0.0)


def test_batteries_by_name() -> None:
    assert parse_battery("cr2032").name == "CR2032"
    two = parse_battery("2xAA")
    assert (two.volts, two.usable_joules) == (2.5, pytest.approx(2 * parse_battery("AA").usable_joules))
    own = parse_battery("1200mAh@3.0")
    assert (own.capacity_mah, own.volts) == (1200, 3.0)
    assert parse_battery("500mAh").volts == 3.7
    for text in ("CR2016", "mAh", "-5mAh", "0mAh", "12mAh@900", "0xAA", "2x", "2x2xAA", "9x" * 1500 + "AA"):
        with pytest.raises(InputError, match="batter"):
            parse_battery(text)


def test_a_coin_cell_has_its_limits() -> None:
    coin = parse_battery("CR2032")
    assert battery_warnings(coin, 0.020) == ()
    (warning,) = battery_warnings(coin, 0.1)
    assert "34.5 mA from a CR2032, which gives 15 mA" in warning
    assert battery_warnings(parse_battery("1000mAh"), 100.0) == ()


def test_estimate_from_the_data_sheet() -> None:
    """The Pico: 5 V, 20 mA while it computes, 1.3 mA asleep."""
    source = create_source("estimate", find_board("pico"))
    summary = summarize(source.info, source.rounds([TimedRound(2.0, 10.0, 100)]))
    assert summary.joules_per_inference == pytest.approx(5 * 0.02 * 0.1)
    assert summary.idle_watts == pytest.approx(5 * 0.0013)
    assert summary.source.is_estimate
    assert "this is an estimate from data sheets, not a measurement" in summary.warnings
    assert "estimate:" in summary.source.uncertainty and "documented:" in summary.source.uncertainty


def test_no_estimate_for_a_virtual_board() -> None:
    with pytest.raises(InputError, match="sim:pico has no figures for its supply"):
        create_source("estimate", find_board("sim:pico"))
    with pytest.raises(InputError, match="say for which board"):
        create_source("estimate")
    assert create_source("estimate:board=esp32").info.is_estimate
