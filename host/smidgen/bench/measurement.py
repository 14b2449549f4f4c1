"""The steps of a session with a board."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smidgen.bench.board_timing import BoardTimer
from smidgen.bench.plan import BenchPlan, PowerPlan, portions
from smidgen.bench.results import BenchResult
from smidgen.blob.contents import Blob
from smidgen.boards import BoardDescription, CycleCounter
from smidgen.errors import InputError, MismatchError
from smidgen.link.board_model import BoardModel
from smidgen.link.link import Operation
from smidgen.link.session import Board
from smidgen.link.virtual import load_pin
from smidgen.power import (
    EnergyResult,
    PowerTrace,
    battery_seconds,
    battery_warnings,
    create_source,
    duty_cycle,
    measure,
)
from smidgen.power.measure import Plan as Windows

Progress = Callable[[str, int, int], None]  # what, done, of how many
_LOADS = 3
_ROUND_TRIPS = 20
_SHARED = "sim:unix"  # a process that runs at the speed of this computer
_SHARED_PAUSE_SECONDS = 0.1  # there, between portions: it may be busy for a second, and free in the next
_PATIENCE_SECONDS = 300.0  # for an inference, until it is known how long one takes


class Measurement:
    """Fills `result` step by step, so that whatever ends it leaves what was measured.

    description: of the board, where it is known. keep: called after every step and every portion of one.
    """

    def __init__(
        self,
        board: Board,
        result: BenchResult,
        description: BoardDescription | None,
        keep: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._board = board
        self._result = result
        self._description = description
        self._keep = keep
        self._progress = progress
        self._timer = BoardTimer(board, _PATIENCE_SECONDS)
        self.trace: PowerTrace | None = None

    def run(self, blob: Blob, data: bytes, plan: BenchPlan) -> None:
        if plan.power:
            self._check_power(plan.power)
        model = self._load(data)
        seconds = self._warm_up(model, blob)
        self._link()
        self._inferences(plan.inferences, seconds)
        if plan.profile_rounds:
            self._operators(plan.profile_rounds)
        if plan.power:
            self._power(model, plan.power)

    def _load(self, data: bytes) -> BoardModel:
        before = self._timer.used()
        model = self._board.load(data, progress=lambda done, total: self._progress("sending the blob", done, total))
        transfer = self._board.last_transfer
        self._result.transfer = transfer.as_dict() if transfer else None
        for _ in range(_LOADS):
            self._result.load_microseconds.append(self._timer.load(model))
        self._before, self._loaded = before, self._timer.used()[0]
        self._keep(f"loaded in {min(self._result.load_microseconds)} us on the board")
        return model

    def _warm_up(self, model: BoardModel, blob: Blob) -> float:
        """Run once on the inputs of all that follows, check what comes out, and choose the counter. Seconds of a run,
        as seen from here."""
        inputs, expected = _example(blob)
        self._timer.prepare(model, inputs)
        outputs = model.run(*inputs, timeout=_PATIENCE_SECONDS)
        if expected is not None:
            _check(outputs, expected)
            self._result.outputs_checked = 1
        start = time.perf_counter()
        model.run(*inputs, timeout=_PATIENCE_SECONDS)
        seconds = time.perf_counter() - start
        on_board = (model.last_microseconds or 0) * 1e-6
        self._result.counter = self._timer.choose(on_board, self._is_exact(), self._is_shared())
        self._result.memory = self._timer.memory(self._before, self._loaded)
        self._keep(f"warm; counter: {self._result.counter.note}")
        return seconds

    def _is_exact(self) -> bool:
        known = self._description
        return known is not None and known.is_virtual and known.core.cycle_counter is CycleCounter.TICKS_US

    def _is_shared(self) -> bool:
        return self._description is not None and self._description.name == _SHARED

    def _link(self) -> None:
        for _ in range(_ROUND_TRIPS):
            start = time.perf_counter()
            self._board.request(Operation.PING)
            self._result.round_trips.append(time.perf_counter() - start)
        self._keep(f"link: {_ROUND_TRIPS} round trips")

    def _inferences(self, count: int, seconds: float) -> None:
        for portion in portions(count, seconds):
            self._pause()
            self._result.ticks += self._timer.inferences(portion)
            self._progress("inferences", len(self._result.ticks), count)
            self._keep("")
        self._keep(f"{count} inferences")

    def _operators(self, rounds: int) -> None:
        for number in range(rounds):
            self._pause()
            self._result.operator_ticks.append(self._timer.operators())
            self._progress("operators", number + 1, rounds)
            self._keep("")
        self._keep(f"operators of {rounds} inferences")

    def _pause(self) -> None:
        if self._is_shared():
            time.sleep(_SHARED_PAUSE_SECONDS)

    def _check_power(self, plan: PowerPlan) -> None:
        """Whether the meter is there, before minutes of inferences."""
        with create_source(plan.source, self._description) as source:
            source.attach(self._board.exec, self._marker_pin(plan))
        self._keep(f"power will be measured with {source.info.name}")

    def _marker_pin(self, plan: PowerPlan) -> int | None:
        return load_pin(self._result.board.port) if plan.marker_pin is None else plan.marker_pin

    def _power(self, model: BoardModel, plan: PowerPlan) -> None:
        """Ctrl-C while windows are measured keeps the complete ones, and then goes on as KeyboardInterrupt."""
        result = self._result
        with create_source(plan.source, self._description) as source:
            windows = Windows(plan.windows, plan.inferences, plan.idle_seconds, self._marker_pin(plan))
            self._keep(f"power: {source.info.name}")
            result.energy = measure(
                self._board.exec,
                f"_smg.models[{model.key}]",
                source,
                windows,
                lambda done, total: self._progress("windows of power", done, total),
                _PATIENCE_SECONDS,
            )
            self.trace = source.trace
        result.warnings += result.energy.warnings
        self._average_power(result.energy, plan)
        self._keep(f"energy: {result.energy.joules_per_inference:.3g} J per inference")
        if result.energy.is_partial:
            raise KeyboardInterrupt

    def _average_power(self, energy: EnergyResult, plan: PowerPlan) -> None:
        """Of one inference every so often, and what a battery makes of it."""
        result = self._result
        watts = energy.active_watts
        if plan.every_seconds is not None:
            try:
                result.duty = duty_cycle(energy, plan.every_seconds)
                watts = result.duty.average_watts
            except InputError as error:
                result.warnings.append(str(error))
        if plan.battery:
            result.battery = plan.battery
            result.battery_seconds = battery_seconds(plan.battery, watts)
            result.warnings += battery_warnings(plan.battery, energy.active_watts)


def _example(blob: Blob) -> tuple[list[NDArray[np.int8]], list[NDArray[np.int8]] | None]:
    """Inputs, and the outputs that belong to them: the blob's first golden vector, else noise, always the same."""
    if blob.golden:
        return blob.golden[0].inputs, blob.golden[0].outputs
    random = np.random.default_rng(0)
    shapes = [blob.network.tensors[index].shape for index in blob.network.inputs]
    return [random.integers(-128, 128, shape, np.int8) for shape in shapes], None


def _check(outputs: list[NDArray[np.int8]], expected: list[NDArray[np.int8]]) -> None:
    for number, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
        wrong = int(np.sum(output.reshape(-1) != wanted.reshape(-1)))
        if wrong:
            raise MismatchError(
                f"the board's output {number} differs from the blob's golden vector in {wrong} of {wanted.size} "
                "elements, so its times mean nothing: see smidgen diff"
            )
