"""Sensors of the board, read by the board: for streams, and as a source of samples."""

from __future__ import annotations

import ast
import math
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import BoardError, InputError
from smidgen.link.board_model import BoardModel
from smidgen.link.i2c import who_answers
from smidgen.link.link import Operation
from smidgen.link.session import Board
from smidgen.power.device_code import device_code
from smidgen.stream.board_ring import parse_answer, require_room, ring_bytes
from smidgen.stream.preprocessing import Preprocessing
from smidgen.stream.session import AnsweredWindow, Show, WindowPlan
from smidgen.stream.timing import StreamTiming

PREFIX = "board:"
READERS = ("adc", "i2s", "mpu6050", "lsm6ds", "simulated")
_LOST = struct.Struct("<I")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROOM_SAMPLES = 256  # taken from a reader at once
_SHORTEST_PAUSE_SECONDS = 0.002  # between two questions to a board that has nothing new

FloatArray = NDArray[np.float32]
Int8Array = NDArray[np.int8]


def is_board_source(text: str) -> bool:
    return text.startswith(PREFIX)


@dataclass(frozen=True)
class SensorSpecification:
    """code: defines the class `reader` on the board. arguments: as Python writes them."""

    code: str
    reader: str
    arguments: str


def parse_sensor(text: str) -> SensorSpecification:
    """board:NAME,KEY=VALUE,... for one of READERS, or board:FILE.py:CLASS,KEY=VALUE,... Values are Python literals."""
    head, *options = text.removeprefix(PREFIX).split(",")
    arguments = ", ".join(_argument(option) for option in options)
    if head in READERS:
        return SensorSpecification(device_code(head, "stream"), "SmidgenReader", arguments)
    path, _, name = head.rpartition(":")
    if not path.endswith(".py") or not _NAME.fullmatch(name):
        raise InputError(
            f"{text} is no sensor: give board:NAME with one of {', '.join(READERS)}, or board:FILE.py:CLASS"
        )
    try:
        code = Path(path).read_text("utf-8")
        ast.parse(code)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    return SensorSpecification(code, name, arguments)


def _argument(option: str) -> str:
    key, sign, value = option.partition("=")
    try:
        literal = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        literal = value.strip()
    if not sign or not _NAME.fullmatch(key.strip()):
        raise InputError(f"{option!r} is no option of a sensor: write KEY=VALUE, such as pin=26")
    return f"{key.strip()}={literal!r}"


class BoardSensor:
    """A reader on the board, and what it says of itself. As a Source it is read over the link.

    Everything happens in the thread that uses the session.
    """

    is_live = True
    can_wait = False

    def __init__(self, board: Board, text: str) -> None:
        specification = parse_sensor(text)
        self.name = text
        self.board = board
        self.lost = 0  # samples that the reader could not take in time
        self._pulls = False
        board.request(Operation.PING)  # starts the link, which makes `_smg`
        board.exec("_smg.stream = _smg.reader = None")
        board.exec(specification.code)
        _start_reader(board, text, specification)
        self.rate, self.channels, self.units = _described(board)
        board.exec(device_code("ring", "stream"))
        board.exec(device_code("sensor_ring", "stream"))

    def read(self, count: int) -> FloatArray:
        """Waits for some."""
        if not self._pulls:
            room = min(count, _ROOM_SAMPLES)
            self.board.exec(f"_smg.stream = SmidgenPuller(_smg.reader, {room})")
            self._pulls = True
        while True:
            result = self.board.request(Operation.FEED)
            self.lost, steps = _lost_and_rest(result)
            values = np.frombuffer(steps, "<i2") if len(steps) % (2 * self.channels) == 0 else None
            if values is None:
                raise BoardError(f"the reader gave {len(steps)} bytes, no whole samples of {self.channels} channels")
            if len(values):
                samples: FloatArray = values.reshape(-1, self.channels) * np.array(self.units, np.float32)
                return samples
            time.sleep(max(_SHORTEST_PAUSE_SECONDS, 1 / self.rate))

    def next_recording(self) -> bool:
        return False

    def close(self) -> None:
        try:
            self.board.exec("getattr(_smg.reader, 'close', lambda: None)()")
        except BoardError:
            pass  # the board may be gone


def _start_reader(board: Board, text: str, specification: SensorSpecification) -> None:
    """BoardError says who answers on the reader's bus, if it is on I2C."""
    try:
        board.exec(f"_smg.reader = {specification.reader}({specification.arguments})")
    except BoardError as error:
        raise BoardError(f"the reader {text} does not start{_others(board, specification)}: {error}") from error


def _others(board: Board, specification: SensorSpecification) -> str:
    pins = dict(re.findall(r"\b(id|sda|scl)=(\d+)", specification.arguments))
    if not {"sda", "scl"} <= pins.keys():
        return ""
    bus = "__import__('machine').I2C({id}, sda=__import__('machine').Pin({sda}), scl=__import__('machine').Pin({scl}))"
    try:
        found = who_answers(board.exec, bus.format(**{"id": "0", **pins}))
    except BoardError:
        return ""  # the reader's own error says it all
    return (
        f"; on its bus there answers: {found} (check its supply, SDA, SCL, the ground, and its address, address=). "
        "The board said"
    )


def _described(board: Board) -> tuple[float, int, tuple[float, ...]]:
    value = board.eval("(_smg.reader.rate, _smg.reader.channels, tuple(_smg.reader.units), _smg.reader.lost)")
    rate, channels, units, lost = value
    numbers = (rate, channels, lost, *units)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise InputError(f"the reader's rate, channels, units and lost are numbers, not {value!r:.200}")
    if rate <= 0 or not isinstance(channels, int) or not 1 <= channels <= 256 or len(units) != channels:
        raise InputError(f"the reader has rate {rate}, {channels} channels and {len(units)} units; "
                         f"the rate is above 0, and each channel has its unit")  # fmt: skip
    return float(rate), channels, tuple(map(float, units))


def _lost_and_rest(result: bytes) -> tuple[int, bytes]:
    if len(result) < _LOST.size:
        raise BoardError(f"the board's samples begin with {_LOST.size} bytes; it sent {len(result)}")
    (lost,) = _LOST.unpack_from(result)
    return lost, result[_LOST.size :]


class SensorStreamer:
    """Streams a sensor of the board: the board fills its ring by itself, and is asked for answers."""

    def __init__(self, sensor: BoardSensor, preprocessing: Preprocessing, model: BoardModel, plan: WindowPlan) -> None:
        require_raw(preprocessing)
        self.timing = StreamTiming(plan.hop / sensor.rate)
        self._sensor = sensor
        self._model = model
        self._plan = plan
        self._lost = 0
        self._seen = 0  # frames
        self._recent = np.zeros((0, plan.width), np.int8)
        tensor = model.inputs[0]
        scale = _each(preprocessing.scale, plan.width)
        offset = _each(preprocessing.offset, plan.width)
        factors = [s * unit / tensor.scale for s, unit in zip(scale, sensor.units, strict=True)]
        offsets = [o / tensor.scale + tensor.zero_point for o in offset]
        require_room(sensor.board, plan.hop, lambda hop: _ring_sizes(plan, hop))
        sensor.board.exec("__import__('gc').collect()")
        sensor.board.exec(
            f"_smg.stream = SmidgenSensorRing(_smg.models[{model.key}], {plan.width}, {plan.hop}, {plan.capacity}, "
            f"_smg.reader, {factors}, {offsets})"
        )

    def run(self, show: Show | None = None, limit: int | None = None) -> None:
        """Until Ctrl-C, or until `limit` windows are answered."""
        pause = max(_SHORTEST_PAUSE_SECONDS, (self.timing.period or 0) / 8)
        self.timing.start()
        try:
            while limit is None or self.timing.answered < limit:
                if not self._ask(show):
                    time.sleep(pause)
        finally:
            self.timing.stop()
            self._sensor.close()

    def _ask(self, show: Show | None) -> bool:
        """Whether the board had a window to answer."""
        begun = time.monotonic()
        answer, rest = parse_answer(self._sensor.board.request(Operation.FEED), self._model.outputs)
        lost, data = _lost_and_rest(rest)
        if len(data) % self._plan.width:
            raise BoardError(f"the board sent {len(data)} bytes, no whole frames of {self._plan.width}")
        frames = np.frombuffer(data, np.int8).reshape(-1, self._plan.width)
        self.timing.requested(time.monotonic() - begun, len(frames), lost - self._lost, answer.dropped)
        self._remember(np.zeros((min(lost - self._lost, self._plan.capacity), self._plan.width), np.int8))
        self._seen += max(0, lost - self._lost - self._plan.capacity)
        self._lost = self._sensor.lost = lost
        self._remember(frames)
        if answer.window is None:
            return False
        start = answer.window * self._plan.hop
        first = self._seen - len(self._recent)
        rows = self._recent[start - first : start - first + self._plan.window]
        # How old the newest sample was when the board read it is not known; what came after the window is.
        latency = (self._seen - start - self._plan.window) / self._sensor.rate + time.monotonic() - begun
        self.timing.answer(answer.microseconds, latency)
        if show is not None:
            show(AnsweredWindow(answer.window, answer.outputs, answer.microseconds, latency, answer.dropped, rows))
        return True

    def _remember(self, rows: Int8Array) -> None:
        self._seen += len(rows)
        self._recent = np.concatenate((self._recent, rows))[-(self._plan.capacity + self._plan.hop) :]


def require_raw(preprocessing: Preprocessing) -> None:
    """Raise InputError for what a board does not do with its own samples."""
    if preprocessing.features is not None:
        raise InputError(
            f"{preprocessing.kind} features are computed on the computer, not on the board: use the computer's "
            f"microphone, or record with smidgen collect and stream the file"
        )


def _ring_sizes(plan: WindowPlan, hop: int) -> list[int]:
    """What a SmidgenSensorRing with this hop allocates: its ring, and an array of int16 made from as many bytes."""
    samples = 2 * hop * plan.width
    return [ring_bytes(plan.width, plan.hop, plan.capacity, hop), samples, samples]


def _each(values: tuple[float, ...], channels: int) -> tuple[Any, ...]:
    return values * channels if len(values) == 1 else values
