"""The board's ring, run here, against windows that NumPy cuts; and the streamer that feeds it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from graph_builder import GraphBuilder
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smidgen import graph as g
from smidgen.errors import InputError
from smidgen.link.layout import TensorLayout
from smidgen.packer import pack_graph
from smidgen.stream import StreamOptions, run_stream
from smidgen.stream import run as running
from smidgen.stream.backlog import Backlog
from smidgen.stream.board_ring import Answer, parse_answer
from smidgen.stream.features import FeatureSettings
from smidgen.stream.preprocessing import Preprocessing
from smidgen.stream.session import AnsweredWindow, Streamer, WindowPlan, plan_windows
from smidgen.stream.source import ArraySource

DEVICE = Path(__file__).resolve().parents[2] / "device" / "stream"


class EchoModel:
    """Its output is its input, so that the tests see what the ring has put there."""

    def __init__(self, elements: int) -> None:
        self.inputs = [memoryview(bytearray(elements))]
        self.outputs = [memoryview(bytearray(elements))]
        self.runs = 0

    def run(self) -> None:
        self.outputs[0][:] = self.inputs[0]
        self.runs += 1


def device_ring(plan: WindowPlan) -> Any:
    """device/stream/ring.py, with a clock that this Python lacks."""
    module = ModuleType("ring")
    code = (DEVICE / "ring.py").read_text().replace("import time\n", "")
    vars(module)["time"] = SimpleNamespace(ticks_us=lambda: 0, ticks_diff=lambda end, start: end - start)
    exec(compile(code, "ring.py", "exec"), vars(module))
    return module.SmidgenRing(EchoModel(plan.window * plan.width), plan.width, plan.hop, plan.capacity)


class RingHere:
    """Stands for BoardRing. behind: frames that `feed` waits for before it answers, as a slow board would."""

    def __init__(self, plan: WindowPlan) -> None:
        self.ring = device_ring(plan)
        self._outputs = (TensorLayout((plan.window * plan.width,), 1.0, 0),)

    def feed(self, rows: NDArray[np.int8]) -> Answer:
        self.ring.extend(rows.tobytes())
        answer, rest = parse_answer(b"".join(bytes(part) for part in self.ring.result()), self._outputs)
        assert not rest
        return answer

    def skip(self, frames: int) -> None:
        self.ring.skip(frames)

    def restart(self) -> None:
        self.ring.restart()


def cut(frames: NDArray[np.int8], plan: WindowPlan) -> list[NDArray[np.int8]]:
    starts = range(0, len(frames) - plan.window + 1, plan.hop)
    return [frames[start : start + plan.window] for start in starts]


def random_frames(count: int, width: int) -> NDArray[np.int8]:
    return np.random.default_rng(count).integers(-128, 128, (count, width)).astype(np.int8)


@given(
    width=st.integers(1, 5),
    window=st.integers(1, 20),
    hop=st.integers(1, 30),
    queue=st.integers(0, 3),
    blocks=st.lists(st.integers(0, 12), max_size=30),
)
def test_windows_are_those_of_numpy(width: int, window: int, hop: int, queue: int, blocks: list[int]) -> None:
    """However the frames come, and however many windows are dropped, all others are right, and none is missed."""
    plan = WindowPlan(width, window, hop, window + queue * hop)
    frames = random_frames(sum(blocks), width)
    expected = cut(frames, plan)
    ring = RingHere(plan)
    at = answered = 0
    answer = None
    for block in [*blocks, *[0] * (queue + 2)]:
        answer = ring.feed(frames[at : at + block])
        at += block
        if answer.window is not None:
            assert np.array_equal(answer.outputs[0].reshape(window, width), expected[answer.window])
            assert answer.window == answered + answer.dropped
            answered += 1
    assert answer is not None
    assert answer.window is None and answered + answer.dropped == len(expected)


def test_an_artificially_slow_board_drops_the_oldest() -> None:
    plan = WindowPlan(2, 4, 2, 6)
    ring = RingHere(plan)
    frames = random_frames(20, 2)
    answer = ring.feed(frames)  # all at once: of windows 0 to 8 only 7 and 8 are still there
    assert (answer.window, answer.dropped, answer.waiting) == (7, 7, 1)
    assert np.array_equal(answer.outputs[0].reshape(4, 2), frames[14:18])
    assert (ring.feed(frames[:0]).window, ring.feed(frames[:0]).window) == (8, None)


def test_windows_with_a_gap_are_dropped() -> None:
    plan = WindowPlan(1, 4, 2, 8)
    ring = RingHere(plan)
    frames = random_frames(20, 1)
    assert ring.feed(frames[:4]).window == 0
    ring.skip(3)  # frames 4, 5, 6
    answers = [ring.feed(frames[at : at + 1]) for at in range(7, 20)]
    assert [answer.window for answer in answers if answer.window is not None] == [4, 5, 6, 7, 8]
    assert answers[-1].dropped == 3
    first = next(answer for answer in answers if answer.window == 4)
    assert np.array_equal(first.outputs[0].reshape(4, 1), frames[8:12])


def stream(
    samples: NDArray[np.float32],
    plan: WindowPlan,
    ring: Any,
    *,
    realtime: bool,
    limit: int | None = None,
    starts: Sequence[int] = (0,),
) -> Any:
    tensor = TensorLayout((plan.window, plan.width), 0.5, 3)
    seen: list[AnsweredWindow] = []
    source = ArraySource("test", samples, 1e6, starts)
    streamer = Streamer(source, Preprocessing(), tensor, plan, ring, realtime=realtime)
    streamer.run(seen.append, limit)
    return tensor.quantize(samples), seen, streamer.timing


@pytest.mark.parametrize("hop", [1, 3, 8, 11])
def test_max_speed_loses_nothing(hop: int) -> None:
    plan = plan_windows((1, 8, 3), 3, hop=hop)
    samples = np.random.default_rng(1).normal(0, 20, (700, 3)).astype(np.float32)
    frames, seen, timing = stream(samples, plan, RingHere(plan), realtime=False)
    expected = cut(frames, plan)
    assert [window.number for window in seen] == list(range(len(expected)))
    for window in seen:
        assert np.array_equal(window.rows, expected[window.number])
        assert np.array_equal(window.outputs[0].reshape(window.rows.shape), window.rows)
        assert window.latency is None
    assert timing.keeps_up and timing.frames <= len(samples)


def test_a_slow_board_in_real_time_counts_every_window() -> None:
    """A million samples a second: nobody keeps up, and every window is answered or counted."""
    plan = plan_windows((8, 1), 1, hop=4)

    class Slow(RingHere):
        def feed(self, rows: NDArray[np.int8]) -> Answer:
            time.sleep(0.001)
            return super().feed(rows)

    samples = np.random.default_rng(2).normal(0, 20, (60_000, 1)).astype(np.float32)
    frames, seen, timing = stream(samples, plan, Slow(plan), realtime=True)
    expected = cut(frames, plan)
    assert timing.dropped > 0 and timing.skipped_frames > 0 and not timing.keeps_up
    assert len(seen) + timing.dropped == len(expected)
    for window in seen:
        assert np.array_equal(window.outputs[0].reshape(-1, 1), expected[window.number])
        assert np.array_equal(window.rows, expected[window.number])
        assert window.latency is not None
    assert len(stream(samples, plan, Slow(plan), realtime=True, limit=3)[1]) == 3


@pytest.mark.parametrize("realtime", [False, True])
@pytest.mark.parametrize("hop", [1, 3, 8, 11])
def test_no_window_has_samples_of_two_recordings(hop: int, realtime: bool) -> None:
    """One is shorter than a window, one is empty, one is as long as a window, and the first ends between two hops."""
    plan = plan_windows((1, 8, 2), 2, hop=hop)
    samples = np.random.default_rng(hop).normal(0, 20, (230, 2)).astype(np.float32)
    starts = [0, 101, 106, 106, 114]
    frames, seen, timing = stream(samples, plan, RingHere(plan), realtime=realtime, starts=starts)
    expected = [window for part in np.split(frames, starts[1:]) for window in cut(part, plan)]
    assert len(seen) + timing.dropped == len(expected)
    assert realtime or timing.keeps_up
    assert len({window.number for window in seen}) == len(seen)
    for window in seen:
        assert np.array_equal(window.outputs[0].reshape(-1, 2), expected[window.number])
        assert np.array_equal(window.rows, expected[window.number])
    limited = stream(samples, plan, RingHere(plan), realtime=False, limit=len(expected) - 1, starts=starts)[1]
    assert [window.number for window in limited] == list(range(len(expected) - 1))


def test_features_do_not_remember_the_recording_before() -> None:
    """Frames of 20 ms every 10 ms: 400 samples have 4, whatever is before them, 150 none."""
    settings = FeatureSettings(rate=8000, window_ms=20, stride_ms=10, filters=4, coefficients=0, upper_hz=4000)
    preprocessing = Preprocessing("log-mel", features=settings)
    tensor = TensorLayout((2, 4), 0.1, 0)
    plan = plan_windows((2, 4), 4, hop=1)
    samples = np.random.default_rng(0).normal(0, 1, (950, 1)).astype(np.float32)

    def rows(source: ArraySource) -> list[list[list[int]]]:
        seen: list[AnsweredWindow] = []
        Streamer(source, preprocessing, tensor, plan, RingHere(plan), realtime=False).run(seen.append)
        return [window.rows.tolist() for window in seen]

    alone = [rows(ArraySource("a", part, 8000)) for part in np.split(samples, [400, 550])]
    assert [len(windows) for windows in alone] == [3, 0, 3]
    assert rows(ArraySource("a", samples, 8000, [0, 400, 550])) == [*alone[0], *alone[2]]


def test_an_error_of_the_source_is_raised() -> None:
    class Broken(ArraySource):
        def read(self, count: int) -> NDArray[np.float32]:
            raise InputError("line 7: broken")

    plan = plan_windows((4, 1), 1)
    source = Broken("test", np.zeros((4, 1), np.float32), None)
    tensor = TensorLayout((4, 1), 1.0, 0)
    streamer = Streamer(source, Preprocessing(), tensor, plan, RingHere(plan), realtime=False)
    with pytest.raises(InputError, match="line 7"):
        streamer.run()


def test_real_time_needs_a_rate() -> None:
    plan = plan_windows((4, 1), 1)
    source = ArraySource("a.csv", np.zeros((4, 1), np.float32), None)
    with pytest.raises(InputError, match="give --rate"):
        Streamer(source, Preprocessing(), TensorLayout((4, 1), 1.0, 0), plan, RingHere(plan), realtime=True)


def test_plans() -> None:
    assert plan_windows((1, 49, 10, 1), 10, hop=10) == WindowPlan(10, 49, 10, 69)
    assert plan_windows((1, 128, 6), 6).hop == 64
    with pytest.raises(InputError, match=r"490 elements .* frames of 6"):
        plan_windows((1, 49, 10, 1), 6)
    with pytest.raises(InputError, match=r"\[1, 128, 1, 6\], and frames of 3 numbers"):
        plan_windows((1, 128, 1, 6), 3)
    assert plan_windows((1, 768), 3).window == 256  # a flat input may be anything
    assert plan_windows((1, 128, 2, 3), 6).window == 128
    assert plan_windows((1, 16, 100, 1), 1).window == 1600
    with pytest.raises(InputError, match="49 frames of 10, not 50"):
        plan_windows((1, 49, 10, 1), 10, window=50)
    with pytest.raises(InputError, match="not 0"):
        plan_windows((4,), 1, hop=0)


@pytest.mark.parametrize(("width", "largest"), [(1, 8388604), (2, 4194302), (8, 1048575)])
def test_a_hop_for_which_no_board_has_room(width: int, largest: int) -> None:
    """Window and two hops in 16 MiB. Nothing is allocated for it here."""
    assert plan_windows((1, 8), width, hop=largest).hop == largest
    for hop in (largest + 1, 10**30):
        with pytest.raises(
            InputError, match=f"a hop of {hop} frames .* at most {largest} are possible; take a smaller"
        ):
            plan_windows((1, 8), width, hop=hop)


def test_what_no_sensor_makes_possible_is_refused_before_the_board_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "connect", lambda _: pytest.fail("the port was opened"))
    b = GraphBuilder()
    b.tensor("x", (1, 6), 0.1, 3)
    b.tensor("y", (1, 3), 0.2, -4)
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 6), 0)))
    blob = tmp_path / "dense.smg"
    blob.write_bytes(pack_graph(b.finish(["x"], ["y"]), {}))
    for options, message in (
        (StreamOptions(hop=10**12), "a hop of 1000000000000 frames"),
        (StreamOptions(window=7), "6 elements, which are not a window of 7 frames: leave --window away"),
    ):
        with pytest.raises(InputError, match=message):
            run_stream(blob, "board:simulated", "sim:unix", options)


def test_a_full_backlog_discards_the_oldest() -> None:
    backlog = Backlog(1, 4, lossless=False)
    for value in range(7):
        backlog.put(np.array([[value]], np.int8))
    batch = backlog.take(1, 3)
    assert batch is not None and (batch.rows.reshape(-1).tolist(), batch.skipped) == ([3, 4, 5], 3)
    backlog.end()
    batch = backlog.take(3, 3)
    assert batch is not None and (batch.rows.reshape(-1).tolist(), batch.skipped) == ([6], 0)
    assert backlog.take(1, 1) is None
    assert not backlog.put(np.zeros((1, 1), np.int8))
