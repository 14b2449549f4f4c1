"""The runner's side of the MLPerf Tiny protocol, on a serial port.

A command is ASCII and ends in %; its answer is lines, the last of which has m-ready in it (docs/mlperf.md).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from types import TracebackType

import serial

from smidgen.errors import BoardError, BoardTimeout
from smidgen.link.last_output import printable
from smidgen.link.opening import open_port

COMMAND_END = "%"
READY = "m-ready"
LINE_END = "\r\n"
BYTES_PER_COMMAND = 31  # of a sample, in hexadecimal
COMMAND_SECONDS = 5.0  # without a line after which the official runner gives up
INFER_SECONDS = 30.0
_POLL_SECONDS = 0.1
_LONGEST_LINE = 65536  # characters; what is longer is no answer

_LAP = re.compile(r"m-lap-us-([0-9]{1,20})")
_NAME = re.compile(r"m-name-dut-\[([^\]]+)\]")
_PROFILE = re.compile(r"m-profile-\[([^\]]+)\]")
_MODEL = re.compile(r"m-model-\[([^\]]+)\]")
_RESULTS = re.compile(r"m-results-\[([^\]]*)\]")


@dataclass(frozen=True)
class Inference:
    """What `infer` answers. microseconds: of all inferences but the warm-up, by the board's clock."""

    microseconds: int
    results: tuple[float, ...]


class DutPort:
    """A device under test. A context manager; the port is nobody else's meanwhile.

    slowness: with which the time-outs are multiplied. Raises BoardTimeout when no line comes in time, and BoardError
    for an answer that is an error (e-...) or no answer to the command.
    """

    def __init__(self, port: str, slowness: float = 1.0, baudrate: int = 115200) -> None:
        self.port = port
        self._slowness = slowness
        self._received = b""
        self._serial = open_port(port, baudrate, _POLL_SECONDS, write_timeout=COMMAND_SECONDS * slowness)

    def __enter__(self) -> DutPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serial.close()

    def command(self, text: str, seconds: float = COMMAND_SECONDS) -> list[str]:
        """The lines of the answer without the last, m-ready, and without empty ones. seconds: between two lines."""
        self._write((text + COMMAND_END).encode("ascii"))
        lines: list[str] = []
        while READY not in (line := self._line(text, seconds * self._slowness)):
            if line:
                lines.append(line)
        if errors := [line for line in lines if is_error(line)]:
            raise BoardError(f"the board on {self.port} answered {errors[0]!r} to {text!r}")
        return lines

    def name(self) -> str:
        """Of the vendor."""
        return self._only(_NAME, "name", self.command("name"))

    def profile(self) -> tuple[str, str]:
        """The firmware's name, and the benchmark's: kws01, vww01, ic01, ad01."""
        lines = self.command("profile")
        return self._only(_PROFILE, "profile", lines), self._only(_MODEL, "profile", lines)

    def timestamp(self) -> int:
        """Microseconds since some moment."""
        return int(self._only(_LAP, "timestamp", self.command("timestamp")))

    def load(self, sample: bytes) -> None:
        """The input of the inferences to come."""
        text = f"db load {len(sample)}"
        if self.command(text) != [f"m-[Expecting {len(sample)} bytes]"]:
            raise self._unexpected(text)
        answer: list[str] = []
        for start in range(0, len(sample), BYTES_PER_COMMAND):
            answer = self.command("db " + sample[start : start + BYTES_PER_COMMAND].hex())
        if answer != ["m-load-done"]:
            raise self._unexpected("db ...")

    def loaded(self) -> bytes:
        """What the board has of the input."""
        digits = [line.removeprefix("m-buffer-").split("-") for line in self.command("db print")]
        return bytes(int(pair, 16) for line in digits for pair in line)

    def infer(self, count: int, warmups: int) -> Inference:
        """Time `count` inferences after `warmups` others, all on the input that was loaded."""
        text = f"infer {count} {warmups}"
        try:
            lines = self.command(text, INFER_SECONDS)
        except BoardTimeout as error:
            raise BoardTimeout(f"{error}: take fewer inferences", error.last_output) from error
        laps = [int(lap.group(1)) for line in lines if (lap := _LAP.fullmatch(line))]
        if len(laps) != 2 or laps[1] < laps[0]:
            raise self._unexpected(text)
        return Inference(laps[1] - laps[0], self._numbers(text, lines))

    def results(self) -> tuple[float, ...]:
        """Of the last inference."""
        return self._numbers("results", self.command("results"))

    def _numbers(self, text: str, lines: list[str]) -> tuple[float, ...]:
        try:
            return tuple(float(number) for number in self._only(_RESULTS, text, lines).split(","))
        except ValueError:
            raise self._unexpected(text) from None

    def _only(self, pattern: re.Pattern[str], text: str, lines: list[str]) -> str:
        found = [match.group(1) for line in lines if (match := pattern.fullmatch(line))]
        if len(found) != 1:
            raise self._unexpected(text)
        return found[0]

    def _line(self, text: str, seconds: float) -> str:
        """The next line, without its end."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            if data := self._read():
                self._received += data
            elif time.monotonic() > deadline:
                last = printable(self._received)
                raise BoardTimeout(f"the board on {self.port} sent no line for {seconds:g} s after {text!r}", last)
            if len(self._received) > _LONGEST_LINE:
                raise self._unexpected(text)
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace").strip("\r\0")

    def _read(self) -> bytes:
        try:
            data: bytes = self._serial.read(1)
            return data + self._serial.read(self._serial.in_waiting) if data else data
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> BoardError:
        return BoardError(f"the board on {self.port} is gone: {error}; check the cable")

    def _unexpected(self, text: str) -> BoardError:
        return BoardError(f"the board on {self.port} gave no valid answer to {text!r}: is it a device under test?")


def is_error(line: str) -> bool:
    """Whether the device refuses a command with this line."""
    return line.startswith("e-")
