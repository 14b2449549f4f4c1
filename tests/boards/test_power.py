"""Power measured on emulated boards: sensors on the I2C bus, loads of known current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks import power as trials

from availability import not_available
from smidgen.boards import find_board
from smidgen.errors import BoardError, InputError
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualPicoBoard
from smidgen.link.virtual.sensors import SENSOR_CHIPS
from smidgen.power import Plan, check_resistor, create_source, measure
from smidgen.power.rounds import BoardRounds, Pace

MARKER = 2


@pytest.fixture
def pico() -> None:
    """For tests that start an emulated Pico themselves."""
    try:
        VirtualPicoBoard()._prepare()
    except BoardError as error:
        not_available(str(error))


@pytest.fixture
def with_ina226(pico: None) -> Iterator[Board]:
    with connect("sim:pico+ina226") as board:
        yield board


@pytest.fixture(scope="module")
def network() -> bytes:
    return trials.demo_network()


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
@pytest.mark.parametrize("chip", SENSOR_CHIPS)
def test_sensor_on_the_board_itself(chip: str) -> None:
    """Within one percent, though reading the sensor takes 30 mA more, and a fifth of the time, which must not count."""
    trial = trials.on_board(chip)
    assert trials.LOAD_SECONDS < trial.seconds < 1.09 * trials.LOAD_SECONDS
    assert trial.joules == pytest.approx(trial.expected_joules, rel=trials.LIMIT)
    assert trial.joules_above_idle == pytest.approx(trial.expected_above_idle, rel=trials.LIMIT)
    assert trial.warnings == ()


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
@pytest.mark.parametrize("chip", SENSOR_CHIPS)
def test_sensor_on_a_second_board(chip: str) -> None:
    trial = trials.second_board(chip)
    assert trial.joules == pytest.approx(trial.expected_joules, rel=trials.LIMIT)
    assert trial.joules_above_idle == pytest.approx(trial.expected_above_idle, rel=trials.LIMIT)
    assert trial.warnings == ()


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
@pytest.mark.parametrize("chip", SENSOR_CHIPS)
def test_a_whole_session(chip: str) -> None:
    """Of a network of twelve short operators; durations are those of inferences that no reading interrupts."""
    trial = trials.session(chip)
    assert trial.joules == pytest.approx(trial.expected_joules, rel=trials.LIMIT)
    assert trial.joules_above_idle == pytest.approx(trial.expected_above_idle, rel=trials.LIMIT)
    assert trial.warnings == ()


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
def test_a_whole_session_with_a_meter_that_records(tmp_path: Path) -> None:
    """The emulated board takes the same time for an inference in every session, so the meter's trace can be made."""
    pytest.importorskip("ppk2_api")
    pytest.importorskip("matplotlib")
    trial = trials.ppk2_session(tmp_path)
    assert trial.joules == pytest.approx(trial.expected_joules, rel=trials.LIMIT)
    assert trial.joules_above_idle == pytest.approx(trial.expected_above_idle, rel=trials.LIMIT)
    assert (tmp_path / "session" / "power.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_network_with_a_sensor_read_between_its_operators(with_ina226: Board, network: bytes) -> None:
    """The board is left as it was found, and the network runs on."""
    model = with_ina226.load(network)
    before = with_ina226.eval("sorted(globals())")
    with create_source("ina226") as source:
        result = measure(with_ina226.exec, "_smg.models[0]", source, Plan(1, 4, idle_seconds=0.05, marker_pin=MARKER))
    model.run(np.zeros(model.inputs[0].elements, np.int8))
    assert model.last_microseconds is not None
    assert result.seconds_per_inference == pytest.approx(model.last_microseconds * 1e-6, rel=0.1)
    assert result.active_watts == pytest.approx(5 * 0.045, rel=trials.LIMIT)
    assert with_ina226.eval("sorted(globals())") == before


def test_nobody_answers(with_ina226: Board) -> None:
    with pytest.raises(BoardError, match=r"no ina226 answers at address 0x41 on I2C bus 0; .*answers: 0x40\. Check"):
        create_source("ina226:addr=0x41").attach(with_ina226.exec, None)
    with pytest.raises(BoardError, match=r"no ina226 answers at address 0x40 on I2C bus 1; .*answers: nobody"):
        create_source("ina226:bus=1").attach(with_ina226.exec, None)
    with pytest.raises(BoardError, match="cannot open I2C bus 7"):
        create_source("ina226:bus=7").attach(with_ina226.exec, None)
    with pytest.raises(BoardError, match=r"there is no ina228: its register 0x3e is 0x0000, not 0x5449"):
        create_source("ina228").attach(with_ina226.exec, None)


def test_a_window_too_short_for_the_sensor(with_ina226: Board) -> None:
    with_ina226.exec(trials.LOAD.replace("900", "10"))
    with pytest.raises(BoardError, match="ina226 was not read once in a window"), create_source("ina226") as source:
        measure(with_ina226.exec, "load", source, Plan(1, 1, idle_seconds=0.05))


@pytest.mark.slow
def test_a_resistor(with_ina226: Board) -> None:
    """The load takes 20 mA at 5 V: 250 ohm."""
    with create_source("ina226") as source:
        good = check_resistor(source, ohms=250, seconds=0.1, execute=with_ina226.exec)
        bad = check_resistor(source, ohms=260, seconds=0.1, execute=with_ina226.exec)
    assert good.error == pytest.approx(0, abs=1e-3)
    assert good.is_good
    assert bad.error == pytest.approx(260 / 250 - 1, abs=1e-3)
    assert not bad.is_good
    with pytest.raises(InputError, match="give the board that reads it"):
        check_resistor(create_source("ina226"), ohms=250)


@pytest.mark.usefixtures("unix_port")
def test_an_estimate_needs_no_meter() -> None:
    with connect("sim:unix") as board, create_source("estimate", find_board("pico")) as source:
        board.exec("class Load:\n def run(self): __import__('time').sleep_ms(5)\nload = Load()")
        seen: list[tuple[int, int]] = []
        with pytest.raises(BoardError):  # the unix port has no machine.Pin to wave with
            measure(board.exec, "load", source, Plan(1, 2, 0.01, marker_pin=3))
        result = measure(board.exec, "load", source, Plan(2, 3, 0.01), lambda *step: seen.append(step))
    assert seen == [(1, 2), (2, 2)]
    assert result.inferences == 6
    assert result.joules_per_inference == pytest.approx(5 * 0.02 * result.seconds_per_inference)


class InterruptedBoard:
    """Answers like a board, until Ctrl-C comes in its third round."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def __call__(self, code: str, timeout: float | None = None) -> str:
        if "SmidgenClock().run" in code:
            return "(1000,)"
        if ".idle(" not in code:
            return ""
        if self._rounds == 0:
            raise KeyboardInterrupt
        self._rounds -= 1
        return "((2000,), (1000,))"


def test_what_was_measured_before_an_interruption_is_kept() -> None:
    with create_source("estimate:board=pico") as source:
        result = measure(InterruptedBoard(2), "load", source, Plan(5, 1, 0.002))
        assert (result.is_partial, len(result.rounds)) == (True, 2)
        with pytest.raises(KeyboardInterrupt):
            measure(InterruptedBoard(0), "load", source, Plan(5, 1, 0.002))


@pytest.mark.parametrize("answer", ["", "None", "(5,)", "(5, 6)", "(('a',), (5,))", "((), ())", "what?", "((1,),"])
def test_a_board_that_answers_something_else(answer: str) -> None:
    with pytest.raises(BoardError, match="the board did not"):
        BoardRounds(lambda code, timeout=None: answer, "load").run(1.0, 1, Pace(1.0, 1.0))


def test_windows_that_the_boards_clock_cannot_tell() -> None:
    rounds = BoardRounds(lambda code, timeout=None: "((5,), (-3,))", "load")
    with pytest.raises(InputError, match="would take 600 s"):
        rounds.run(1.0, 600, Pace(1.0, 1.0))
    with pytest.raises(BoardError, match="waiting took 5 us and inferring -3 us"):
        rounds.run(1.0, 1, Pace(1.0, 1.0))
