"""The readers of device/stream on boards: emulated chips on a Pico's bus and pins, and a stub of machine.I2S."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from availability import not_available
from smidgen.blob.reader import read_blob
from smidgen.errors import BoardError
from smidgen.link.session import Board, connect
from smidgen.link.virtual import VirtualPicoBoard
from smidgen.link.virtual.sensors.imu import AXES, motion
from smidgen.reference import run_network
from smidgen.stream import LiveWindow, StreamOptions, run_stream
from smidgen.stream.collect import collect
from smidgen.stream.dataset import load_dataset
from smidgen.stream.sensor import BoardSensor

MPU6050 = "board:mpu6050,sda=4,scl=5,rate=100"
LSM6DS = "board:lsm6ds,sda=4,scl=5,rate=26"


@pytest.fixture
def pico() -> None:
    try:
        VirtualPicoBoard()._prepare()
    except BoardError as error:
        not_available(str(error))


def felt(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the emulated chips felt: g and rad/s."""
    rows = np.array([motion(int(number)) for number in numbers])
    return rows * np.array([1, 1, 1, *[np.pi / 180] * 3])


def numbers_of(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    """Of the samples, by their first axis, which rises by a milli-g from each to the next."""
    return np.rint((samples[:, 0] + 2) * 1000).astype(np.int64)


def missing(numbers: NDArray[np.int64]) -> int:
    return int(np.sum(np.diff(numbers) - 1))


STEPS = np.array([8 / 32768] * 3 + [0.035 * np.pi / 180] * 3)  # at ranges of 8 g and 1000 degrees a second


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
@pytest.mark.parametrize(("port", "source"), [("sim:pico+mpu6050", MPU6050), ("sim:pico+lsm6ds", LSM6DS)])
def test_a_motion_sensor(tmp_path: Path, port: str, source: str) -> None:
    """Every sample is the chip's, in g and rad/s to a step of its range, and those that are missing are counted."""
    data = tmp_path / "data.npz"
    collection = collect(source, "moving", data, port=port, samples=60)
    rate = float(source.partition("rate=")[2])
    ((label, samples),) = load_dataset(data, AXES, rate).recordings()
    assert (label, samples.shape) == ("moving", (60, AXES))
    numbers = numbers_of(samples)
    assert np.all(np.abs(samples - felt(numbers)) <= 1.01 * STEPS)
    assert np.all(np.diff(numbers) > 0)
    assert missing(numbers) == pytest.approx(collection.lost, abs=2)


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
def test_a_motion_sensor_that_is_not_read_in_time() -> None:
    """Its buffer holds 85 samples of 100 a second."""
    with connect("sim:pico+mpu6050") as board:
        sensor = BoardSensor(board, MPU6050)
        before = sensor.read(256)
        lost = sensor.lost
        board.exec("__import__('time').sleep_ms(2000)")
        after = sensor.read(256)
    numbers = numbers_of(np.concatenate([before[-1:], after[:1]]))
    assert sensor.lost - lost > 195
    assert missing(numbers) == pytest.approx(sensor.lost - lost, abs=3)


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
def test_a_motion_sensor_through_a_network(dense_blob: Path) -> None:
    """Windows of one sample of six axes: what the board quantised and answered is what the chip felt."""
    seen: list[LiveWindow] = []
    run_stream(dense_blob, MPU6050, "sim:pico+mpu6050", StreamOptions(hop=1, limit=8), show=seen.append)
    network = read_blob(dense_blob.read_bytes()).network
    tensor = network.tensors[0]
    windows = np.array([live.answer.rows[0] for live in seen])
    numbers = np.array([live.answer.number for live in seen])
    fits = [
        np.all(np.abs(windows - (felt(numbers + first) / tensor.scale + tensor.zero_point)) <= 0.51)
        for first in range(200)
    ]
    assert any(fits)
    for live in seen:
        assert run_network(network, [live.answer.rows.reshape(1, 6)])[0].tolist() == live.answer.outputs[0].tolist()


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
def test_an_analog_input(tmp_path: Path) -> None:
    """The voltage rises from 0 to the reference in a second, so ten samples further on it is a tenth higher."""
    data = tmp_path / "data.npz"
    collect("board:adc,pin=26,rate=100", "rising", data, port="sim:pico+analog", samples=60)
    ((_, samples),) = load_dataset(data, 1, 100).recordings()
    assert samples.min() >= 0 and samples.max() < 1
    steps = np.diff(samples[:, 0]) % 1.0
    assert np.median(steps) == pytest.approx(0.01, abs=0.0005)


BLOCKED = """
import machine, time
state, start = machine.disable_irq(), time.ticks_us()
while time.ticks_diff(time.ticks_us(), start) < 300000: pass
machine.enable_irq(state)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
def test_an_analog_input_whose_timer_has_to_wait() -> None:
    """As it does while an operator runs. The voltage says how much time has passed, a hundredth for each sample."""
    with connect("sim:pico+analog") as board:
        sensor = BoardSensor(board, "board:adc,pin=26,rate=100")
        before = sensor.read(256)
        lost = sensor.lost
        board.exec(BLOCKED)
        after = sensor.read(256)
    assert sensor.lost - lost >= 28
    passed = 0.01 * (sensor.lost - lost + 1)
    assert (after[0, 0] - before[-1, 0] - passed + 0.5) % 1.0 == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
@pytest.mark.usefixtures("pico")
def test_a_motion_sensor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"mpu6050.* does not start; on its bus there answers: 0x6a \(check"):
        collect(MPU6050, "x", tmp_path / "data.npz", port="sim:pico+lsm6ds", samples=1)


# Sample n is n, in the upper 16 bits of a slot; the lower ones are noise. As fast as it is read, unless it has to wait.
I2S_STUB = """
import sys, time
class machine:
    class Pin:
        def __init__(self, number):
            self.number = number
    class I2S:
        RX, MONO = 'rx', 'mono'
        def __init__(self, id, *, sck, ws, sd, mode, bits, format, rate, ibuf):
            assert (sck.number, ws.number, sd.number) == (1, 2, 3)
            assert (id, mode, bits, format, ibuf) == (0, 'rx', 32, 'mono', 4 * 4096)
            self.rate, self.next = rate, 0
        def readinto(self, buffer):
            time.sleep_us(len(buffer) // 4 * 1000000 // self.rate)
            for at in range(0, len(buffer), 4):
                buffer[at], buffer[at + 1] = 0x5A, 0xA5
                buffer[at + 2], buffer[at + 3] = self.next & 255, self.next >> 8 & 255
                self.next += 1
            return len(buffer)
        def deinit(self):
            sys.modules.pop('machine')
sys.modules['machine'] = machine
"""


@pytest.fixture
def microphone(board: Board) -> BoardSensor:
    board.exec(I2S_STUB)
    return BoardSensor(board, "board:i2s,sck=1,ws=2,sd=3,rate=16000")


def steps_of(microphone: BoardSensor) -> NDArray[np.int64]:
    return np.rint(microphone.read(256)[:, 0] * 32768).astype(np.int64)


def test_a_microphone(microphone: BoardSensor) -> None:
    """What was in the buffer before the first question is left out, because nobody knows how old it is."""
    steps = np.concatenate([steps_of(microphone) for _ in range(3)])
    first = 4096
    assert steps.tolist() == list(range(first, first + len(steps)))
    assert microphone.lost == 0
    microphone.close()
    assert microphone.board.eval("'machine' in __import__('sys').modules") is False


def test_a_microphone_that_is_not_read_in_time(microphone: BoardSensor) -> None:
    """Its buffer of 4096 samples holds a quarter of a second. What is lost is counted by the board's clock."""
    steps_of(microphone)
    microphone.board.exec("__import__('time').sleep_ms(500)")
    steps_of(microphone)
    assert microphone.lost >= 8000
