"""The binary link to the service on the board: docs/link.md.

One request at a time: it is sent in pieces, carried out once by the board, and its result is received in pieces. What
is lost or damaged on the way is sent again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from smidgen.errors import BoardError, BoardReset, BoardTimeout
from smidgen.link.frames import (
    FILLING,
    MAX_DATA_BYTES,
    TO_BOARD_BYTES,
    Frame,
    FrameReader,
    Kind,
    encode,
    encode_for_board,
)
from smidgen.link.transport import AFTER_RESET, CTRL_C, KNOCK, RawRepl

Progress = Callable[[int, int], None]  # bytes done, bytes in all

SERVE = "_smg.service.serve({silence})"
SERVICE_IS_GONE = (
    "NameError: name '_smg' isn't defined",
    "AttributeError: type object '_smg' has no attribute 'service'",
)
IS_ALIVE = "print(_smg.service.nonce)"
SERVICE_SILENCE_MS = 5000  # without a byte, then the board returns to its REPL
SERVICE_ENDED = b"\x04>"  # the raw REPL's last bytes after code has ended
TEXTS_OF_ENDING = (b"\x04\x04>", b"Traceback")

FIRST_ROUND_TRIP_SECONDS = 0.05  # assumed; then it is measured
PROBE_ROUND_TRIPS = 3  # without an answer, then the board is asked where it is
PROBE_SHORTEST_SECONDS = 0.02
PROBE_LONGEST_SECONDS = 1.0  # each further time takes twice as long, up to this; less than the service waits
FILL_EVERY_PROBES = 4  # in a row without an answer: the board may wait for the rest of a frame that has lost bytes
SMALLEST_PIECE_BYTES = 16  # of a request or a result, on a bad line
MOST_PIECES_IN_FLIGHT = 8  # each has to be sent again when one before it is lost
PIECES_UNTIL_LARGER = 16  # that arrive in a row
RESULT_BURST_BYTES = 4096  # the board sends so much of a result unasked
MOST_REPETITIONS = 200  # of one piece of a request; then the line is of no use
MOST_RESTARTS = 3  # of the service, during one request
RESERVED_BYTES = 40  # of the board's input buffer, for probes
LEAVE_SECONDS = 0.5  # until a service that was told to end has ended


class Operation(IntEnum):
    PING = 1
    EVALUATE = 2
    FILL = 3
    APPEND = 4
    INFER = 5
    PROFILE = 7
    LEAVE = 8
    FEED = 10


@dataclass
class LinkStatistics:
    """Counted since the link was made."""

    frames_sent: int = 0
    bytes_sent: int = 0
    frames_received: int = 0
    retransmissions: int = 0  # frames of requests that were sent once more
    probes: int = 0
    restarts: int = 0  # of the service, after it had returned to the REPL


class _PieceSize:
    """Smaller pieces get through a bad line more often."""

    def __init__(self, largest: int) -> None:
        self.bytes = self._largest = largest
        self._arrived = 0

    def shrink(self) -> None:
        self.bytes = max(SMALLEST_PIECE_BYTES, self.bytes // 2)
        self._arrived = 0

    def grow(self) -> None:
        self._arrived += 1
        if self._arrived >= PIECES_UNTIL_LARGER and self.bytes < self._largest:
            self.bytes = min(2 * self.bytes, self._largest)
            self._arrived = 0


class _Exchange:
    """One request and its result, as far as they have got."""

    def __init__(self, operation: Operation, ident: int, body: bytes) -> None:
        self.operation = operation
        self.ident = ident
        self.body = body
        self.acknowledged = 0  # bytes of the body
        self.sent = 0
        self.sent_last = False
        self.furthest = -1  # end of the piece sent that reached furthest
        self.in_flight: deque[tuple[int, int]] = deque()  # end of each piece that is under way, its bytes on the wire
        self.sent_at = 0.0
        self.repetitions = 0  # since something new was acknowledged
        self.repeated_from = -1  # where the last repetition that the board asked for began
        self.result = bytearray()
        self.granted = RESULT_BURST_BYTES  # bytes of the result that come without being asked for
        self.unanswered = 0  # probes since the last news
        self.missing = -1  # where the last gap in the result began
        self.status = 0
        self.complete = False

    @property
    def bytes_in_flight(self) -> int:
        return sum(size for _, size in self.in_flight)

    def acknowledge(self, offset: int) -> bool:
        """Whether that is news."""
        while self.in_flight and self.in_flight[0][0] <= offset:
            self.in_flight.popleft()
        if offset <= self.acknowledged or offset > len(self.body):
            return False
        self.acknowledged = offset
        self.repetitions = 0
        self.repeated_from = -1
        return True

    def rewind(self, offset: int) -> None:
        """Everything from `offset` on is to be sent again."""
        self.sent = min(offset, len(self.body))
        self.sent_last = False
        self.in_flight.clear()
        self.repetitions += 1


class Link:
    """window: bytes that the board's input buffer holds. slowness: see `ProcessBoard.slowness`.

    `repl` must be at its raw prompt when a request begins and the service does not run.
    """

    def __init__(self, repl: RawRepl, nonce: int, window: int, slowness: float = 1.0) -> None:
        self.statistics = LinkStatistics()
        self._repl = repl
        self._nonce = nonce
        self._window = window - RESERVED_BYTES
        self._slowness = slowness
        self._reader = FrameReader(nonce)
        self._ident = 0
        self._token = 0
        self._expected_token = 0
        self._largest_piece = min(MAX_DATA_BYTES, self._window // 2 - TO_BOARD_BYTES)  # two are under way
        self._request_piece = _PieceSize(self._largest_piece)
        self._result_piece = _PieceSize(MAX_DATA_BYTES)
        self._round_trip = FIRST_ROUND_TRIP_SECONDS * slowness
        self._running = False
        self._broken_off = False
        self._restarts = 0

    @property
    def running(self) -> bool:
        """Whether the service runs on the board, as far as this computer knows."""
        return self._running

    def request(
        self, operation: Operation, body: bytes = b"", timeout: float | None = None, progress: Progress | None = None
    ) -> bytes:
        """The result. Raises BoardError for an exception on the board, BoardTimeout after `timeout` seconds of silence,
        BoardReset when the board has lost what this session had put there.
        """
        timeout = self._repl.timeout if timeout is None else timeout
        if self._broken_off:
            self.leave()
        self._ident = _next_ident(self._ident)
        exchange = _Exchange(operation, self._ident, body)
        self._restarts = 0
        self._broken_off = True
        if self._running:
            self._note_end()
        if not self._running:
            self._start()
        self._carry(exchange, timeout, progress)
        self._broken_off = False
        result = bytes(exchange.result)
        if exchange.status:
            raise _board_error(result)
        return result

    def leave(self) -> None:
        """Back to the raw prompt. Raises BoardTimeout if the board does not react; it is hung then."""
        if not self._running:
            return
        broken_off = self._broken_off
        self._broken_off = True
        if not broken_off:
            self._ident = _next_ident(self._ident)
            self._send(Frame(Kind.LAST, Operation.LEAVE, self._ident, 0))
            at_prompt = self._wait_for_prompt(LEAVE_SECONDS * self._slowness)
        else:
            at_prompt = self._knock()
        self._stopped(at_prompt=at_prompt)
        self._repl.resynchronise()

    def _start(self) -> None:
        self._reader.forget()
        self._repl.launch(SERVE.format(silence=SERVICE_SILENCE_MS))
        self._running = True

    def _stopped(self, *, at_prompt: bool) -> None:
        self._running = self._broken_off = False
        self._repl.landed(at_prompt=at_prompt)

    def _note_end(self) -> None:
        """The service may have returned to the REPL since the last request, because nobody spoke to it."""
        if self._repl.is_waiting():
            self._reader.feed(self._repl.receive())
            self._raise_if_reset()
            if self._service_ended():
                self._stopped(at_prompt=True)
                self._broken_off = True

    def _carry(self, exchange: _Exchange, timeout: float, progress: Progress | None) -> None:
        silence = timeout
        heard = time.monotonic()
        probe_after = self._probe_first(exchange)
        probe_at = heard + probe_after
        while True:
            self._send_pieces(exchange)
            data = self._repl.receive()
            now = time.monotonic()
            news = False
            damaged = self._reader.damaged
            for frame in self._reader.feed(data):
                self.statistics.frames_received += 1
                if frame.ident == exchange.ident:
                    news = self._take(exchange, frame) or news
            if exchange.complete:
                if progress and exchange.body:
                    progress(len(exchange.body), len(exchange.body))
                return
            if news:
                heard = now
                exchange.unanswered = 0
                probe_after = self._probe_first(exchange)
                probe_at = now + probe_after
                if progress and exchange.acknowledged < len(exchange.body):
                    progress(exchange.acknowledged, len(exchange.body))
            if self._reader.damaged > damaged and not news:
                # The board answers, but its answer does not get through.
                self._result_piece.shrink()
                probe_after = self._probe_first(exchange)
                probe_at = min(probe_at, now + probe_after)
            if data:
                continue
            self._raise_if_reset()
            if self._service_ended():
                self._restart(exchange)
                heard = time.monotonic()
                probe_at = heard
            elif now - heard >= silence:
                self._rescue(exchange, silence)
                heard = time.monotonic()
                probe_at = heard
            elif now >= probe_at:
                self._probe(exchange)
                exchange.unanswered += 1
                if exchange.unanswered % FILL_EVERY_PROBES == 2:
                    self._repl.send(FILLING)
                probe_after = min(2 * probe_after, PROBE_LONGEST_SECONDS)
                probe_at = now + probe_after

    def _probe_first(self, exchange: _Exchange) -> float:
        waiting = PROBE_ROUND_TRIPS * self._round_trip + self._repl.seconds_on_the_wire(exchange.bytes_in_flight)
        return max(PROBE_SHORTEST_SECONDS, waiting)

    def _measure(self, exchange: _Exchange) -> None:
        """By an acknowledgement; not by a result, which takes as long as the request."""
        if exchange.repetitions == 0:
            self._round_trip += (time.monotonic() - exchange.sent_at - self._round_trip) / 4

    def _send_pieces(self, exchange: _Exchange) -> None:
        """As many as the board's input buffer has room for, in one write."""
        wire = bytearray()
        while not exchange.sent_last:
            end = min(exchange.sent + self._request_piece.bytes, len(exchange.body))
            size = end - exchange.sent + TO_BOARD_BYTES
            full = exchange.bytes_in_flight + size > self._window
            if exchange.in_flight and (full or len(exchange.in_flight) == MOST_PIECES_IN_FLIGHT):
                break
            kind = Kind.LAST if end == len(exchange.body) else Kind.DATA
            piece = exchange.body[exchange.sent : end]
            if exchange.sent < exchange.furthest or exchange.furthest == end:
                self.statistics.retransmissions += 1
            wire += self._encode(Frame(kind, exchange.operation, exchange.ident, exchange.sent, piece))
            exchange.in_flight.append((end, size))
            exchange.sent = end
            exchange.furthest = max(exchange.furthest, end)
            exchange.sent_last = kind == Kind.LAST
        if wire:
            self._repl.send(bytes(wire))
            exchange.sent_at = time.monotonic()

    def _take(self, exchange: _Exchange, frame: Frame) -> bool:
        """Whether the frame brings the exchange on."""
        if frame.kind == Kind.ACKNOWLEDGE:
            self._measure(exchange)
            news = exchange.acknowledge(frame.offset)
            if news:
                self._request_piece.grow()
            if frame.number and frame.number == self._expected_token:
                self._expected_token = 0
                self._repeat(exchange, frame.offset)
                return True
            return news
        if frame.kind == Kind.REPEAT:
            exchange.acknowledge(frame.offset)
            if frame.offset != exchange.repeated_from:
                exchange.repeated_from = frame.offset
                self._repeat(exchange, frame.offset)
                return True
            return False
        if frame.kind in (Kind.RESULT, Kind.END):
            return self._take_result(exchange, frame)
        return False

    def _repeat(self, exchange: _Exchange, offset: int) -> None:
        self._request_piece.shrink()
        exchange.rewind(offset)
        if exchange.repetitions > MOST_REPETITIONS:
            raise BoardError(
                f"the line to the board on {self._repl.port} is too bad: {MOST_REPETITIONS} repetitions of the same "
                f"{self._request_piece.bytes} bytes did not arrive; check the cable, or take a lower baud rate"
            )

    def _take_result(self, exchange: _Exchange, frame: Frame) -> bool:
        have, end = len(exchange.result), frame.offset + len(frame.data)
        if frame.offset > have:
            if exchange.missing != have:  # ask for it once; if the answer is lost too, it is asked for in time
                exchange.missing = have
                self._probe(exchange)
            return False
        if end < have or (end == have and frame.kind != Kind.END):
            return False
        exchange.result += frame.data[have - frame.offset :]
        self._result_piece.grow()
        exchange.status = frame.number
        exchange.complete = frame.kind == Kind.END
        if not exchange.complete and end >= exchange.granted:
            self._probe(exchange)
        return True

    def _probe(self, exchange: _Exchange) -> None:
        """Ask for the rest of the result, or where the board is with the request."""
        exchange.granted = len(exchange.result) + RESULT_BURST_BYTES
        while True:
            self._token = self._token % 255 + 1
            size = bytes([self._result_piece.bytes])
            probe = Frame(Kind.PROBE, self._token, exchange.ident, len(exchange.result), size)
            # Where it would be Ctrl-C: while the board carries out a request.
            if exchange.result or CTRL_C not in encode(probe, self._nonce):
                break
        self._expected_token = self._token
        self.statistics.probes += 1
        self._send(probe)

    def _rescue(self, exchange: _Exchange, silence: float) -> None:
        """The board has been silent for too long. Returns if the request goes on; else the board is interrupted, if it
        can be, and BoardTimeout raised.
        """
        error = self._repl.silence_error(silence, self._reader.unframed)
        self._repl.send(CTRL_C)
        deadline = time.monotonic() + self._repl.patience.interrupt
        while time.monotonic() < deadline and not exchange.complete:
            for frame in self._reader.feed(self._repl.receive()):
                if frame.ident == exchange.ident:
                    self._take(exchange, frame)
        if exchange.complete:
            self._broken_off = False
            raise error
        try:
            self._restart(exchange)
        except BoardTimeout:
            raise error from None

    def _restart(self, exchange: _Exchange) -> None:
        """The service has returned to the REPL: start it again, and go on where the request stands."""
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise BoardError(
                f"the service on the board on {self._repl.port} ended {self._restarts} times during one request; "
                f"check the cable, and whether another program writes to this port"
            )
        self._stopped(at_prompt=False)
        self._broken_off = True
        self._repl.resynchronise()
        self._require_same_board()
        self.statistics.restarts += 1
        self._start()
        self._probe(exchange)

    def _require_same_board(self) -> None:
        try:
            nonce = self._repl.execute(IS_ALIVE)
        except BoardTimeout:
            raise
        except BoardError as error:
            if str(error) in SERVICE_IS_GONE:
                raise self._repl.reset_error(self._reader.unframed) from error
            raise BoardError(
                f"the service on the board on {self._repl.port} ended, and could not be started again ({error}); "
                f"check the cable, and load the model again"
            ) from error
        if nonce.strip() != str(self._nonce).encode():
            raise BoardReset(f"another session has used the board on {self._repl.port}: load the model again")

    def _raise_if_reset(self) -> None:
        unframed = self._reader.unframed
        if any(ending in unframed for ending in AFTER_RESET):
            self._stopped(at_prompt=False)
            raise self._repl.reset_error(unframed)

    def _service_ended(self) -> bool:
        unframed = self._reader.unframed
        return unframed.endswith(SERVICE_ENDED) and any(text in unframed for text in TEXTS_OF_ENDING)

    def _knock(self) -> bool:
        """Interrupt what the board carries out, and let the service end; whether it has."""
        deadline = time.monotonic() + min(self._repl.patience.resynchronise, self._repl.timeout) / 2
        keys = 3 * CTRL_C
        while time.monotonic() < deadline:
            self._repl.send(keys)
            if self._wait_for_prompt(LEAVE_SECONDS * self._slowness):
                return True
            keys = KNOCK
        return False

    def _wait_for_prompt(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._service_ended():
            if time.monotonic() >= deadline:
                return False
            self._reader.feed(self._repl.receive())
        return True

    def _send(self, frame: Frame) -> None:
        self._repl.send(self._encode(frame))

    def _encode(self, frame: Frame) -> bytes:
        data = encode_for_board(frame, self._nonce)
        self.statistics.frames_sent += 1
        self.statistics.bytes_sent += len(data)
        return data


def _next_ident(ident: int) -> int:
    """Without bytes 0 and 3, so that a probe can be made that has no Ctrl-C in it."""
    while True:
        ident = (ident + 1) & 0xFFFF
        if not {ident & 0xFF, ident >> 8} & {0, 3}:
            return ident


def _board_error(traceback: bytes) -> BoardError:
    lines = traceback.decode(errors="replace").strip().splitlines() or ["an exception without a text"]
    return BoardError(lines[-1], "\n".join(lines[:-1]))
