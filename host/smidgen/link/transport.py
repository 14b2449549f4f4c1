"""MicroPython's raw REPL over a serial port: run code on the board, get its output or its exception.

This is smidgen's own client, on pyserial, and not mpremote's `SerialTransport`: that one reads byte by byte (30 kB of
output take it 240 ms on `sim:unix`, 1.5 ms here: `python tests/boards/measure_repl.py`), sleeps 10 ms on a USB port
whenever nothing has arrived yet, writes to standard output when something is wrong, has no way to say what a hung
board sent last, and is announced to change. The protocol stands in MicroPython's documentation, "The MicroPython
REPL", and has been the same since raw paste came with 1.14; firmware without raw paste is served too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import serial

from smidgen.errors import BoardError, BoardReset, BoardTimeout
from smidgen.link.last_output import printable
from smidgen.link.opening import open_port

CTRL_A, CTRL_B, CTRL_C, CTRL_D = b"\x01", b"\x02", b"\x03", b"\x04"
# Ends the service of the binary link even where it waits for the rest of a frame (docs/link.md, section 1).
KNOCK = bytes(254) + 3 * CTRL_C
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY_PROMPT = b">>> "
ENTER_RAW_PASTE = b"\x05A\x01"
CAN_RAW_PASTE, CANNOT_RAW_PASTE, RAW_PASTE_UNKNOWN = b"R\x01", b"R\x00", RAW_PROMPT[:2]

BANNER_END = b'Type "help()" for more information.\r\n>>> '
# What only a board that has just started sends last; the second is a board whose port was opened with a key press.
AFTER_RESET = (BANNER_END, BANNER_END + b"\r\n" + FRIENDLY_PROMPT, RAW_PROMPT)

KNOCK_SECONDS = 0.3  # that the service takes to end
POLL_SECONDS = 0.1  # how often a silent line is checked for a time-out or a dead board
LAUNCHED_POLL_SECONDS = 0.01  # the same for code that was launched, whose frames may have to be sent again
PLAIN_CHUNK_BYTES = 256  # without raw paste there is no flow control: this much, then a pause
PLAIN_PAUSE_SECONDS = 0.01
KEPT_BYTES = 2000  # of the last output


@dataclass(frozen=True)
class Patience:
    """How many seconds the computer waits for a board."""

    silence: float = 10.0  # without a byte, then it counts as hung; the longest single thing it does is one inference
    attempt: float = 1.0  # for the raw prompt after one Ctrl-C, Ctrl-A, before they are sent again
    interrupt: float = 1.0  # for a hung board to answer Ctrl-C, for one that resets to show its banner
    resynchronise: float = 3.0  # for that after an exchange was cut off: the operator that runs has to end first
    closing: float = 3.0  # of silence, when there is nothing left to do but to clean up

    def scaled(self, slowness: float) -> Patience:
        """For a board that takes `slowness` times as long; the raw prompt costs it next to nothing."""
        return replace(
            self,
            silence=slowness * self.silence,
            interrupt=slowness * self.interrupt,
            resynchronise=slowness * self.resynchronise,
            closing=slowness * self.closing,
        )


class RawRepl:
    """A board whose raw REPL is ours.

    `failure` is asked when the board is silent or gone, and may know why (a virtual board does).
    """

    def __init__(
        self,
        port: str,
        patience: Patience,
        baudrate: int = 115200,
        failure: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.port = port
        self.patience = patience
        self.timeout = patience.silence
        self._failure = failure
        self._raw_paste: bool | None = None  # whether this firmware can; None: not asked yet
        self._exchanging = False  # the board was sent something and has not answered all of it
        self._running = False  # it runs what it was sent
        self._hung = False  # it has not answered Ctrl-C either
        self._received = bytearray()  # arrived and not taken yet
        self._last = bytearray()  # what arrived since the last command began
        self._serial = open_port(port, baudrate, POLL_SECONDS, write_timeout=self.timeout)

    def enter(self, timeout: float | None = None) -> None:
        """Stop whatever runs on the board and take over its REPL. Does not reset the board."""
        timeout = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        attempts = 1
        while not self._try_to_enter():
            attempts += 1
            if time.monotonic() >= deadline:
                raise self._silence("did not answer Ctrl-C and Ctrl-A", timeout)
            if attempts == 2:  # not every time: the input buffer of a board that does not read it must not fill up
                self._write(KNOCK)
                time.sleep(KNOCK_SECONDS)
        if attempts > 1:
            # The first Ctrl-C came too early, and what followed it may yet be answered: wait until all is said.
            while self._receive() and time.monotonic() < deadline:
                pass
        self._drop_input()

    def enter_if_idle(self) -> bool:
        """Take over the REPL only if the board shows its prompt; False if it does not answer as a prompt would.

        Nothing is interrupted: Enter gives a prompt, and Ctrl-B the banner, also where somebody left the raw REPL open.
        A program that runs gets these two bytes if it reads its input, else the prompt after it does.
        """
        self._write(b"\r" + CTRL_B)
        deadline = time.monotonic() + self.patience.attempt
        while BANNER_END not in self._received:
            self._receive()
            if time.monotonic() >= deadline:
                return False
        self._write(CTRL_A)
        self._read_until(RAW_PROMPT, self.timeout)
        self._drop_input()
        return True

    def resynchronise(self) -> None:
        """Back to the raw prompt, if the last exchange did not end: Ctrl-C on this computer can come anywhere in it."""
        if not self._exchanging:
            return
        try:
            self.enter(min(self.patience.resynchronise, self.timeout))
        except BoardTimeout:
            self._hung = True
            raise
        self._exchanging = self._hung = False

    def _try_to_enter(self) -> bool:
        # Ctrl-C ends a program or drops a half-typed line; the second one ends a program that caught the first.
        self._write(CTRL_C + CTRL_C)
        self._drop_input()
        self._write(CTRL_A)
        try:
            self._read_until(RAW_PROMPT, min(self.patience.attempt, self.timeout))
        except BoardTimeout:
            return False
        return True

    def execute(self, code: str, timeout: float | None = None) -> bytes:
        """Run `code`; what it printed. Raises BoardError for an exception, BoardTimeout when the board falls silent."""
        timeout = self.timeout if timeout is None else timeout
        self.resynchronise()
        self._last.clear()
        self._exchanging = True
        self._notice_reset()
        try:
            self._send(code.encode(), timeout)
            self._running = True
            output = self._read_until(CTRL_D, timeout)[:-1]
            traceback = self._read_until(CTRL_D, timeout)[:-1].decode(errors="replace").strip()
            self._read_until(b">", timeout)
        except BoardTimeout:
            self._interrupt()
            raise
        finally:
            self._running = False
        self._exchanging = False
        if traceback:
            lines = traceback.splitlines()
            raise BoardError(lines[-1], "\n".join(lines[:-1]))
        return output

    def launch(self, code: str) -> None:
        """Run `code`, which talks to the computer by itself: with `send` and `receive`, until `landed`."""
        self.resynchronise()
        self._last.clear()
        self._exchanging = True
        self._notice_reset()
        self._send(code.encode(), self.timeout)
        self._serial.timeout = LAUNCHED_POLL_SECONDS

    def send(self, data: bytes) -> None:
        """To the code that was launched, or to whoever answers at the prompt that was lent."""
        self._write(data)

    def receive(self) -> bytes:
        """What has come from there; nothing if nothing comes for LAUNCHED_POLL_SECONDS (at a prompt: POLL_SECONDS).

        Raises BoardError when the board is gone.
        """
        self._receive()
        data = self._take(len(self._received))
        self._last.clear()
        return data

    @property
    def baudrate(self) -> int:
        return int(self._serial.baudrate)

    def seconds_on_the_wire(self, count: int) -> float:
        """How long a UART takes for so many bytes, of ten bits each; USB is faster."""
        return 10 * count / self.baudrate

    def landed(self, *, at_prompt: bool) -> None:
        """The code that was launched has ended, or is given up. at_prompt: the raw prompt has been received."""
        self._serial.timeout = POLL_SECONDS
        self._exchanging = not at_prompt

    def reset_error(self, output: bytes) -> BoardReset:
        """`output`: what the board sent last."""
        self._last[:] = output
        return self._reset()

    def silence_error(self, timeout: float, output: bytes) -> BoardTimeout:
        self._last[:] = output
        return self._silence("fell silent", timeout)

    def _notice_reset(self) -> None:
        """Nothing comes unasked from a raw REPL, but from a board that was reset since the last exchange."""
        if self.is_waiting():
            self._receive()
        if self._says_reset():
            raise self._reset()

    @property
    def hung(self) -> bool:
        """Whether the board has neither answered in time nor been brought back to its prompt since."""
        return self._hung

    def leave(self) -> None:
        """Give the board back with its friendly prompt showing; a hung one is not waited for."""
        self._write(CTRL_C + CTRL_B)
        if not self._hung:
            self._read_until(FRIENDLY_PROMPT, min(self.patience.closing, self.timeout))

    def lend(self) -> None:
        """Show the friendly prompt to whoever uses `receive` and `send`; the next `execute` takes the board back."""
        self.leave()
        self._exchanging = True

    def close(self) -> None:
        self._serial.close()

    def _send(self, code: bytes, timeout: float) -> None:
        if self._raw_paste is not False and self._enter_raw_paste(timeout):
            self._send_paste(code, timeout)
        else:
            self._send_plain(code, timeout)

    def _enter_raw_paste(self, timeout: float) -> bool:
        """False when this firmware cannot; it is not asked again."""
        self._write(ENTER_RAW_PASTE)
        answer = self._read(2, timeout)
        if answer == RAW_PASTE_UNKNOWN and self._raw_paste is None:  # such firmware resets its raw REPL
            self._read_until(RAW_PROMPT[len(answer) :], timeout)
        elif answer not in (CAN_RAW_PASTE, CANNOT_RAW_PASTE):
            raise self._unexpected(answer, timeout)
        self._forget_handshake()
        self._raw_paste = answer == CAN_RAW_PASTE
        return self._raw_paste

    def _send_plain(self, code: bytes, timeout: float) -> None:
        for start in range(0, len(code), PLAIN_CHUNK_BYTES):
            self._write(code[start : start + PLAIN_CHUNK_BYTES])
            time.sleep(PLAIN_PAUSE_SECONDS)
        self._write(CTRL_D)
        answer = self._read(2, timeout)
        if answer != b"OK":
            raise self._unexpected(answer, timeout)
        self._forget_handshake()

    def _send_paste(self, code: bytes, timeout: float) -> None:
        """The board grants windows: one with their size, then one with each byte 0x01."""
        window = int.from_bytes(self._read(2, timeout), "little")
        self._forget_handshake()
        granted, sent = window, 0
        while sent < len(code):
            while granted == 0 or self._received or self.is_waiting():
                if self._read_grant(timeout) == CTRL_D:
                    self._write(CTRL_D)  # it has seen enough (a syntax error), and says why after this
                    return
                granted += window
            part = code[sent : sent + granted]
            self._write(part)
            granted -= len(part)
            sent += len(part)
        self._write(CTRL_D)
        while self._read_grant(timeout) != CTRL_D:
            pass

    def _read_grant(self, timeout: float) -> bytes:
        """Ctrl-A for another window, Ctrl-D for the end of the code."""
        answer = self._read(1, timeout)
        if answer not in (CTRL_A, CTRL_D):
            raise self._unexpected(answer, timeout)
        self._forget_handshake()
        return answer

    def _forget_handshake(self) -> None:
        """What was taken so far is of no interest in a message."""
        self._last[:] = self._received

    def _unexpected(self, answer: bytes, timeout: float) -> BoardError:
        """Why the board gave this answer, which is none, while it was being sent code.

        Reads until the board says that it was reset, or falls silent. Raises BoardError when the board is gone.
        """
        self._received[:0] = answer
        silence = min(self.patience.interrupt, timeout)
        deadline = time.monotonic() + silence
        while not self._says_reset() and time.monotonic() < deadline:
            if self._receive():
                deadline = time.monotonic() + silence
        if self._says_reset():
            return self._reset()
        return BoardError(
            f"the board on {self.port} stopped taking the code that it was being sent; "
            f"its last output: {self._last_output()!r}"
        )

    def _says_reset(self) -> bool:
        return any(ending in self._received for ending in AFTER_RESET)

    def _interrupt(self) -> None:
        """Try to get a hung board back to its raw prompt, so that the session can go on."""
        try:
            self._write(CTRL_C)
            self._read_until(CTRL_D + b">", self.patience.interrupt)
            self._drop_input()
            self._exchanging = False
        except BoardError:
            self._hung = True  # the caller already has an error to report

    def _read_until(self, ending: bytes, timeout: float) -> bytes:
        """Everything up to and including `ending`. The time counts from the last byte that arrived."""
        deadline = time.monotonic() + timeout
        searched = 0
        while (found := self._received.find(ending, searched)) < 0:
            searched = max(0, len(self._received) - len(ending) + 1)
            if self._receive():
                deadline = time.monotonic() + timeout
            elif time.monotonic() >= deadline:
                raise self._silence("fell silent", timeout)
        return self._take(found + len(ending))

    def _read(self, count: int, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while len(self._received) < count:
            if not self._receive() and time.monotonic() >= deadline:
                raise self._silence("fell silent", timeout)
        return self._take(count)

    def _take(self, count: int) -> bytes:
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def is_waiting(self) -> bool:
        """Whether bytes have arrived that were not received yet."""
        try:
            return bool(self._serial.in_waiting)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _receive(self) -> bool:
        """Wait up to POLL_SECONDS for at least one byte."""
        try:
            data = self._serial.read(1)
            if data:
                data += self._serial.read(self._serial.in_waiting)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error
        if not data:
            if failure := self._failure():
                raise BoardError(failure)
            if self._running and self._last.endswith(AFTER_RESET):
                raise self._reset()
        self._received += data
        self._last = (self._last + data)[-KEPT_BYTES:]
        return bool(data)

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as error:
            if self._failure():
                raise self._gone(error) from error
            raise self._silence("does not take any input", self.timeout) from None
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _drop_input(self) -> None:
        self._received.clear()
        try:
            self._serial.reset_input_buffer()
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _silence(self, what: str, timeout: float) -> BoardTimeout:
        last = self._last_output()
        shown = f"its last output: {last!r}" if last else "it has sent nothing"
        return BoardTimeout(f"the board on {self.port} {what} for {timeout:g} s; {shown}", last)

    def _reset(self) -> BoardReset:
        return BoardReset(f"the board on {self.port} was reset; its last output: {self._last_output()!r}")

    def _last_output(self) -> str:
        return printable(self._last)

    def _gone(self, error: Exception) -> BoardError:
        return BoardError(self._failure() or f"the board on {self.port} is gone: {error}; check the cable")
