"""Frames: the computer's code, the board's code, and the PyPI package cobs agree; damage is noticed."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from smidgen.link.board_helper import service_source
from smidgen.link.frames import FILLING, MAX_DATA_BYTES, Frame, FrameReader, Kind, decode, encode, encode_for_board
from smidgen.link.link import Operation, _next_ident
from smidgen.link.session import Board
from smidgen.link.transport import KNOCK

NONCE = st.integers(0, 2**32 - 1)
FRAMES = st.builds(
    Frame,
    st.sampled_from(list(Kind)).map(int),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=MAX_DATA_BYTES) | st.lists(st.sampled_from([0, 1, 255]), max_size=MAX_DATA_BYTES).map(bytes),
)


class BoardFrames:
    """The board's frames.py and service.py in this Python, with `written` in place of its standard output."""

    def __init__(self, nonce: int) -> None:
        self.written = bytearray()
        globals_: dict[str, Any] = {}
        for source in service_source():
            exec(source, globals_)
        self.globals = globals_
        self.frames = globals_["_SmgFrames"](nonce)
        self.frames.write = self.written.extend

    def send(self, frame: Frame) -> bytes:
        end = 9 + len(frame.data)
        self.frames.filled[9:end] = frame.data
        self.frames.send(frame.kind, frame.number, frame.ident, frame.offset, end)
        sent = bytes(self.written)
        self.written.clear()
        return sent

    def decode(self, encoded: bytes) -> bytes | None:
        self.frames.frame[: len(encoded)] = encoded
        end = self.frames.decode(len(encoded))
        return bytes(self.frames.frame[1:end]) if end else None

    def receive(self, line: bytes) -> list[bytes | None]:
        """What comes on the line, until it is silent: payloads, None for what is damaged. The service then ends."""
        source = io.BytesIO(line)

        def read(size: int) -> bytes:
            data = source.read(size)
            assert len(data) == size, "the board would wait for what does not come"
            return data

        self.frames.read = read
        self.frames.ready = lambda wait: [1] if source.tell() < len(line) else []
        self.frames.behind = b""
        payloads = []
        while count := self.frames.receive(500):
            end = self.frames.decode(count)
            payloads.append(bytes(self.frames.frame[1:end]) if end else None)
        return payloads


@pytest.fixture(scope="module")
def on_this_computer() -> Any:
    class Poll:
        def register(self, *_: object) -> None: ...
        def ipoll(self, wait: int) -> list[int]:
            return [1]

    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "select", SimpleNamespace(poll=Poll, POLLIN=1))
    patch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read=None)))
    patch.setattr(sys, "stdout", SimpleNamespace(buffer=SimpleNamespace(write=None)))
    board = BoardFrames(0)
    patch.undo()
    return board


@given(FRAMES, NONCE)
def test_round_trip(frame: Frame, nonce: int) -> None:
    wire = encode(frame, nonce)
    assert wire.count(0) == 1 and wire[-1] == 0
    assert len(wire) == len(frame.data) + 14
    assert decode(wire[:-1], nonce) == frame
    assert decode(wire[:-1], nonce ^ 1) is None


@given(FRAMES, NONCE)
def test_the_board_sends_what_this_computer_would(on_this_computer: BoardFrames, frame: Frame, nonce: int) -> None:
    on_this_computer.frames.nonce = nonce
    assert on_this_computer.send(frame) == encode(frame, nonce)


@given(FRAMES, NONCE)
def test_the_board_reads_what_this_computer_sends(on_this_computer: BoardFrames, frame: Frame, nonce: int) -> None:
    on_this_computer.frames.nonce = nonce
    wire = encode(frame, nonce)
    assert on_this_computer.decode(wire[:-1]) == bytes(cobs.decode(wire[:-1]))[:-4]
    on_this_computer.frames.nonce = nonce ^ 1
    assert on_this_computer.decode(wire[:-1]) is None


@given(FRAMES, st.data())
def test_damage_is_noticed_on_both_sides(on_this_computer: BoardFrames, frame: Frame, data: st.DataObject) -> None:
    on_this_computer.frames.nonce = 5
    wire = bytearray(encode(frame, 5)[:-1])
    index = data.draw(st.integers(0, len(wire) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "duplicate"]))
    original = bytes(wire)
    if kind == "flip":
        wire[index] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "drop":
        del wire[index]
    else:
        wire.insert(index, wire[index])
    for part in filter(None, bytes(wire).split(b"\0")):
        if part != original:
            assert decode(part, 5) is None
            assert len(part) > 254 or on_this_computer.decode(part) is None


def payload(frame: Frame) -> bytes:
    return bytes(cobs.decode(encode(frame, 5)[:-1]))[:-4]


@given(st.lists(FRAMES, max_size=4), st.integers(0, 3))
def test_the_board_finds_frames(on_this_computer: BoardFrames, frames: list[Frame], zeros: int) -> None:
    on_this_computer.frames.nonce = 5
    line = b"".join(encode_for_board(frame, 5) + bytes(zeros) for frame in frames)
    assert on_this_computer.receive(line) == [payload(frame) for frame in frames]


@given(FRAMES, FRAMES, st.data())
def test_the_board_finds_the_frame_after_a_fault(
    on_this_computer: BoardFrames, damaged: Frame, following: Frame, data: st.DataObject
) -> None:
    """Whatever byte of a frame is damaged, what fills it up lets the next one through."""
    on_this_computer.frames.nonce = 5
    wire = bytearray(encode_for_board(damaged, 5))
    index = data.draw(st.integers(0, len(wire) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "duplicate"]))
    if kind == "flip":
        wire[index] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "drop":
        del wire[index]
    else:
        wire.insert(index, wire[index])
    found = on_this_computer.receive(bytes(wire) + FILLING + encode_for_board(following, 5))
    assert found[-1] == payload(following)


@given(st.binary(max_size=600), FRAMES)
def test_the_board_finds_a_frame_after_noise(on_this_computer: BoardFrames, noise: bytes, frame: Frame) -> None:
    on_this_computer.frames.nonce = 5
    assert on_this_computer.receive(noise + FILLING + encode_for_board(frame, 5))[-1] == payload(frame)


@pytest.mark.parametrize("keys", [b"\x03\x03", b"\r\x03\x03", b"\x03\x03\x01", b"\n\x01\x03", KNOCK], ids=repr)
@given(FRAMES)
def test_keys_that_end_the_service(on_this_computer: BoardFrames, keys: bytes, frame: Frame) -> None:
    on_this_computer.frames.nonce = 5
    assert on_this_computer.receive(encode_for_board(frame, 5) + keys) == [payload(frame)]


@given(FRAMES, st.data())
def test_knocking_ends_the_wait_for_the_rest_of_a_frame(
    on_this_computer: BoardFrames, frame: Frame, data: st.DataObject
) -> None:
    wire = encode_for_board(frame, 5)
    half = wire[: data.draw(st.integers(1, len(wire) - 2))]
    assert on_this_computer.receive(half + KNOCK) == [None]


@given(st.binary(min_size=1, max_size=254))
def test_the_board_survives_anything(on_this_computer: BoardFrames, noise: bytes) -> None:
    encoded = noise.replace(b"\0", b"\1")
    assert on_this_computer.decode(encoded) is None


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_the_reader_finds_frames_in_any_pieces(frames: list[Frame], sizes: list[int]) -> None:
    stream = b"noise\0" + b"".join(encode(frame, 9) for frame in frames) + b">>> "
    reader = FrameReader(9)
    found: list[Frame] = []
    while stream:
        size = sizes[len(stream) % len(sizes)]
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == frames
    assert reader.damaged == 1
    assert reader.unframed.endswith(b">>> ")


def test_identifiers_go_round_without_ctrl_c() -> None:
    first = ident = _next_ident(0)
    count = 0
    while (ident := _next_ident(ident)) != first:
        assert 3 not in ident.to_bytes(2, "little") and 0 not in ident.to_bytes(2, "little")
        count += 1
    assert count == 254 * 254 - 1


@pytest.mark.parametrize("size", [0, 1, 239, 240, 241, 4095, 4096, 4097, 20_000])
def test_all_sizes_on_a_board(board: Board, size: int) -> None:
    data = bytes(index * index % 256 for index in range(size))
    assert board.request(Operation.PING, data) == data


def test_a_request_that_comes_again_is_not_carried_out_again(board: Board) -> None:
    board.exec("count = 0\ndef once():\n global count\n count += 1\n return count")
    assert board.evaluate("once()") == 1
    link = board._start_link()
    repeated = Frame(Kind.LAST, Operation.EVALUATE, link._ident, 0, b"once()")
    board._repl.send(3 * encode_for_board(repeated, link._nonce))
    assert board.evaluate("once()") == 2
    old = Frame(Kind.LAST, Operation.EVALUATE, repeated.ident, 0, b"once()")
    board._repl.send(encode_for_board(old, link._nonce))
    assert board.evaluate("count") == 2


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Kind.LAST, 99, 0, 0, b""),
        Frame(Kind.LAST, Operation.INFER, 0, 0, b"\1"),
        Frame(Kind.LAST, Operation.FILL, 0, 0, b"without a buffer"),
        Frame(Kind.LAST, Operation.APPEND, 0, 0, b"without a file"),
        Frame(Kind.LAST, Operation.EVALUATE, 0, 0, b"\xff\xfe"),
        Frame(Kind.DATA, Operation.PING, 0, 0xFFFFFFFF, b"far away"),
        Frame(Kind.PROBE, 1, 0, 0xFFFFFFFF, b"\0"),
        Frame(Kind.PROBE, 1, 0, 0, b""),
        Frame(0, 0, 0, 0, b""),
        Frame(255, 255, 0, 0xFFFFFFFF, bytes(240)),
    ],
    ids=lambda frame: f"{frame.kind}-{frame.number}-{len(frame.data)}",
)
def test_frames_that_make_no_sense(board: Board, frame: Frame) -> None:
    assert board.evaluate("6 * 7") == 42
    link = board._start_link()
    link._ident = _next_ident(link._ident)
    board._repl.send(encode_for_board(replace(frame, ident=link._ident), link._nonce))
    assert board.evaluate("6 * 7") == 42
    assert link.statistics.restarts == 0


def test_boards_are_sent_no_comments() -> None:
    for source in service_source():
        assert "#" not in source
        assert "\n\n" not in source
