"""A stand-in for the official MLPerf Tiny runner, and real models to measure with it."""

from __future__ import annotations

import time
from pathlib import Path

import serial
from mlperf_models import sized_blob

from models import packed_model
from smidgen.mlperf import Candidate, open_candidate

MODELS = {"kws01": "kws_ref_model", "vww01": "vww_96_int8", "ic01": "pretrainedResnet_quant", "ad01": "ad01_int8"}


class OfficialRunner:
    """What the official runner writes to a port and reads from it: bytes, one at a time, with its time-outs.

    It shares nothing with smidgen.mlperf, neither code nor constants.
    """

    def __init__(self, port: str, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self.serial = serial.Serial(port, 115200, timeout=0.1)

    def __enter__(self) -> OfficialRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.serial.close()

    def send_command(self, command: str, seconds: float | None = None) -> list[str]:
        """The lines of the answer, as they come, without empty ones."""
        self.serial.write(command.encode())
        self.serial.write(b"%")
        return self.read_answer(command, seconds)

    def read_answer(self, command: str, seconds: float | None = None) -> list[str]:
        lines: list[str] = []
        while not lines or "m-ready" not in lines[-1]:
            line = self._read_line(seconds or self._seconds)
            assert line is not None, f"no response to command {command}; before: {lines}"
            if line:
                lines.append(line)
        return lines

    def _read_line(self, seconds: float) -> str | None:
        line = ""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            character = self.serial.read(1).decode()
            if character == "\n":
                return line
            if character not in ("", "\r", "\0"):
                line += character
        return None

    def load(self, data: bytes) -> None:
        assert self.send_command(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]", "m-ready"]
        for start in range(0, len(data), 31):
            answer = self.send_command("db " + "".join(f"{byte:02x}" for byte in data[start : start + 31]))
            is_last = start + 31 >= len(data)
            assert answer == (["m-load-done", "m-ready"] if is_last else ["m-ready"])

    def infer(self, count: int, warmups: int) -> tuple[int, list[float]]:
        """Microseconds of all timed inferences, and the results."""
        lines = self.send_command(f"infer {count} {warmups}", 30.0)
        start, end = lines.pop(3), lines.pop(3)
        results = lines.pop(4)
        assert lines == [
            f"m-warmup-start-{warmups}",
            "m-warmup-done",
            f"m-infer-start-{count}",
            "m-infer-done",
            "m-ready",
        ]
        assert results.startswith("m-results-[") and results.endswith("]")
        numbers = results[len("m-results-[") : -1].split(",")
        assert all(len(number.partition(".")[2]) == 3 for number in numbers)
        return _lap(end) - _lap(start), [float(number) for number in numbers]


def _lap(line: str) -> int:
    assert line.startswith("m-lap-us-")
    return int(line.removeprefix("m-lap-us-"))


def real_candidate(name: str, folder: Path) -> Candidate:
    """The reference model of a benchmark; skips the test where that is absent."""
    path = folder / f"{name}.smg"
    path.write_bytes(packed_model(MODELS[name]).data)
    return open_candidate(path, name)


def small_candidate(folder: Path, seed: int = 0) -> Candidate:
    """A quick network with the sizes of kws01; another one for another seed."""
    return open_candidate(sized_blob(folder, scale=0.5 * (1 + seed)))
