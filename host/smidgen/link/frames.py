"""Frames of the link (docs/link.md, section 2): a header, data and a CRC-32, in COBS with a zero behind it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from cobs import cobs

HEADER = struct.Struct("<BBHI")
CHECK = struct.Struct("<I")
DELIMITER = b"\0"
OVERHEAD_BYTES = HEADER.size + CHECK.size + 2  # of a frame on the wire: header, check sum, COBS, delimiter
MAX_DATA_BYTES = 240  # so that COBS adds one byte, never two
MAX_FRAME_BYTES = OVERHEAD_BYTES + MAX_DATA_BYTES
TO_BOARD_BYTES = OVERHEAD_BYTES + 1  # of a frame to the board, which begins with its length
# Completes a frame that the board waits for, whatever part of it has been lost; zeros between frames mean nothing.
FILLING = bytes(MAX_FRAME_BYTES)
KEPT_TEXT_BYTES = 2000  # of what is no frame


class Kind(IntEnum):
    """What a frame is; capital letters, no control characters."""

    DATA = ord("D")  # to the board: a piece of a request
    LAST = ord("L")  # to the board: the last piece
    PROBE = ord("P")  # to the board: say where you are
    ACKNOWLEDGE = ord("A")  # from the board: has the request up to here
    REPEAT = ord("N")  # from the board: lacks the request from here on
    RESULT = ord("R")  # from the board: a piece of the result
    END = ord("E")  # from the board: the last piece


@dataclass(frozen=True)
class Frame:
    """`number` is the operation of a request, the token of a probe and its answer, or the status of a result."""

    kind: int
    number: int
    ident: int  # of the request, 0 to 65535
    offset: int  # sequence number: where `data` lies in the request or the result
    data: bytes = b""


def encode(frame: Frame, nonce: int) -> bytes:
    """The frame on the wire, delimiter included."""
    payload = HEADER.pack(frame.kind, frame.number, frame.ident, frame.offset) + frame.data
    return bytes(cobs.encode(payload + CHECK.pack(zlib.crc32(payload, nonce)))) + DELIMITER


def encode_for_board(frame: Frame, nonce: int) -> bytes:
    """The same with its length before it: 14 to 254, as many bytes as follow."""
    wire = encode(frame, nonce)
    return bytes([len(wire)]) + wire


def decode(encoded: bytes, nonce: int) -> Frame | None:
    """What `encode` was given, from its result without the delimiter; None if it is damaged or of another session."""
    try:
        payload = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    body, check = payload[: -CHECK.size], payload[-CHECK.size :]
    if len(body) < HEADER.size or zlib.crc32(body, nonce) != CHECK.unpack(check)[0]:
        return None
    kind, number, ident, offset = HEADER.unpack_from(body)
    return Frame(kind, number, ident, offset, bytes(body[HEADER.size :]))


class FrameReader:
    """Finds frames in received bytes. `text` is the end of what was none: damaged frames, and what the REPL says."""

    def __init__(self, nonce: int) -> None:
        self.nonce = nonce
        self.damaged = 0  # frames
        self.text = bytearray()
        self._rest = bytearray()

    @property
    def unframed(self) -> bytes:
        """What arrived since the last frame and is none so far."""
        return bytes(self.text + self._rest)

    def forget(self) -> None:
        self.text.clear()
        self._rest.clear()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        self._rest += data
        *encoded_frames, rest = self._rest.split(DELIMITER)
        self._rest = bytearray(rest[-KEPT_TEXT_BYTES:])
        frames = []
        for encoded in filter(None, encoded_frames):
            frame = decode(bytes(encoded), self.nonce)
            if frame:
                self.text.clear()
                frames.append(frame)
            else:
                self.damaged += 1
                self.text[:] = (self.text + encoded)[-KEPT_TEXT_BYTES:]
        return frames
