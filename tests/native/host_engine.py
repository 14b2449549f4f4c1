"""The C engine on this computer, under the address and undefined-behaviour sanitizers.

    with HostEngine() as engine:
        engine.load(blob)                  # BlobRefused says which rule is broken
        outputs = engine.run([samples])    # int8 arrays in the shapes of the outputs
        engine.tensor(5)                   # any tensor as the run left it

One process serves many blobs; a report of a sanitizer ends it and raises EngineCrashed with the report.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "native" / "core"
CACHE = ROOT / ".cache" / "native"
HARNESS = Path(__file__).with_name("engine_host.c")

# Without -Wconversion, which instrumented code sets off by itself; test_strict_compile.py has all the warnings.
FLAGS = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)

# Names of enum smg_status without their prefix.
STATUS = {
    name: int(value) for name, value in re.findall(r"SMG_(\w+) = (-?\d+)", (CORE / "smidgen.h").read_text("utf-8"))
}

Int8Array = npt.NDArray[np.int8]

LOAD, RUN, TENSOR, TOUCHED, MESSAGE, BIND, STEP = 1, 2, 3, 4, 5, 6, 7
TOO_MUCH_WORK = 1
RESULTS = {
    2: "no blob is loaded",
    3: "request does not fit the blob (wrong input length, or an index out of range)",
    4: "the engine wrote outside the arena",
}
PLACES = ("header", "tensor", "operator")


class EngineError(Exception):
    """The engine or the harness refused a request."""


class EngineCrashed(EngineError):
    """The process ended: a sanitizer's report, or a signal."""


class WorkLimit(EngineError):
    """The model would take longer than the caller allows."""


@dataclass(frozen=True)
class Fault:
    """Why a blob was refused; found == expected where numbers say nothing."""

    status: int
    message: str
    place: str  # header, tensor or operator
    index: int
    found: int
    expected: int

    def __str__(self) -> str:
        where = self.place if self.place == "header" else f"{self.place} {self.index}"
        numbers = "" if self.found == self.expected else f" (found {self.found}, expected {self.expected})"
        return f"{where}: {self.message}{numbers}"


class BlobRefused(EngineError):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True)
class MemoryUse:
    """What two complete runs on differently filled memory touched."""

    arena_bytes: int  # up to the highest byte written (the inputs count as written)
    deterministic: bool  # the outputs did not depend on what the memory held before


@dataclass(frozen=True)
class TensorShape:
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape))


def core_sources() -> list[Path]:
    return sorted(CORE.glob("*.c"))


def build_harness(dsp: bool = False) -> Path:
    """Compiles the harness when a source is newer; returns the program.

    dsp: with the kernels of Cortex-M4, whose instructions are written in C.
    """
    program = CACHE / ("engine_host_dsp" if dsp else "engine_host")
    sources = [HARNESS, *core_sources()]
    newest = max(path.stat().st_mtime for path in [*sources, *CORE.glob("*.h")])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=CACHE, prefix=f"{program.name}-")
    os.close(handle)
    command = ["gcc", *FLAGS, f"-DSMG_DSP={int(dsp)}", "-I", str(CORE), "-o", name, *map(str, sources)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        Path(name).unlink(missing_ok=True)
        raise EngineError(f"the harness does not compile:\n{result.stderr}")
    os.replace(name, program)  # another test process may be building it as well
    return program


class HostEngine:
    """One harness process. Use it as a context manager, or call close(). dsp: as for build_harness."""

    def __init__(self, dsp: bool = False) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1")
        self._process = subprocess.Popen(
            [str(build_harness(dsp))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        self._crashed = False
        self._tensors: list[TensorShape] = []
        self.input_count = 0
        self.output_count = 0
        self.operator_count = 0

    def __enter__(self) -> HostEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process; raises EngineCrashed if it does not end cleanly (for instance because of a leak)."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        if process.stdin.closed:
            return
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has crashed, which the request that found out has reported
        failed = process.wait() != 0 and not self._crashed
        error = self._crash() if failed else None
        process.stdout.close()
        self._errors.close()
        if error is not None:
            raise error

    @property
    def tensors(self) -> list[TensorShape]:
        """Shapes of all tensors of the loaded blob."""
        return list(self._tensors)

    def check(self, blob: bytes, skew: int = 0) -> Fault | None:
        """Loads a blob, `skew` bytes off an aligned address; returns why it was refused, or None."""
        self._tensors = []
        status, reply = self._request(LOAD, struct.pack("<I", skew) + blob)
        if status == 0:
            self._read_shapes(blob)
            return None
        found, expected, place, index = struct.unpack("<qqiI", reply)
        return Fault(status, self.status_message(status), PLACES[place], index, found, expected)

    def load(self, blob: bytes) -> None:
        """Loads a blob; raises BlobRefused."""
        fault = self.check(blob)
        if fault is not None:
            raise BlobRefused(fault)

    def run(
        self, inputs: Sequence[bytes | Int8Array], until: int | None = None, work_limit: int | None = None
    ) -> list[Int8Array]:
        """Runs the model on fresh memory; returns every output tensor.

        until: stop after operator `until` (the outputs may then hold anything; look with tensor()).
        work_limit: raise WorkLimit for a model with more multiplications or moves than this (rounded to 1024).
        """
        operators = self.operator_count if until is None else until + 1
        limit = 0xFFFFFFFF if work_limit is None else work_limit // 1024
        payload = struct.pack("<II", operators, limit) + self._join(inputs)
        reply = self._succeed(RUN, payload)
        outputs = []
        for tensor in self._tensors[self.input_count : self.input_count + self.output_count]:
            outputs.append(np.frombuffer(reply[: tensor.elements], np.int8).reshape(tensor.shape))
            reply = reply[tensor.elements :]
        return outputs

    def tensor(self, index: int) -> Int8Array:
        """A tensor's memory as it is after the last run, whether or not it still holds that tensor."""
        return np.frombuffer(self._succeed(TENSOR, struct.pack("<I", index)), np.int8).reshape(
            self._tensors[index].shape
        )

    def memory_use(self, inputs: Sequence[bytes | Int8Array]) -> MemoryUse:
        """Runs the model twice on differently filled memory between guard bytes."""
        arena, equal = struct.unpack("<II", self._succeed(TOUCHED, self._join(inputs)))
        return MemoryUse(arena, bool(equal))

    def bind(self, block_bytes: int, offset: int, arena_bytes: int, arena_in_blob: bool = False) -> int:
        """Status of giving the model `arena_bytes` at an offset of an aligned block as arena, and nothing else.

        arena_in_blob: the offset is one into the blob.
        """
        return self._request(BIND, struct.pack("<4I", block_bytes, offset, arena_bytes, arena_in_blob))[0]

    def step(self, index: int) -> int:
        """Status of running one operator on the memory of the last run or bind."""
        return self._request(STEP, struct.pack("<I", index))[0]

    def status_message(self, status: int) -> str:
        return self._succeed(MESSAGE, struct.pack("<i", status)).decode()

    def _read_shapes(self, blob: bytes) -> None:
        (tensor_count, self.operator_count, self.input_count, self.output_count) = struct.unpack_from("<HHBB", blob, 24)
        (offset,) = struct.unpack_from("<I", blob, 32)
        for index in range(tensor_count):
            *dimensions, rank = struct.unpack_from("<4HB", blob, offset + 20 * index + 4)
            self._tensors.append(TensorShape(tuple(dimensions[4 - rank :])))

    def _join(self, inputs: Sequence[bytes | Int8Array]) -> bytes:
        if len(inputs) != self.input_count:
            raise EngineError(f"the model has {self.input_count} inputs, got {len(inputs)}")
        joined = b""
        for index, data in enumerate(inputs):
            if isinstance(data, np.ndarray) and data.dtype != np.int8:
                raise EngineError(f"input {index} is {data.dtype}, not int8")
            raw = data.tobytes() if isinstance(data, np.ndarray) else bytes(data)
            if len(raw) != self._tensors[index].elements:
                raise EngineError(f"input {index} has {self._tensors[index].elements} elements, got {len(raw)}")
            joined += raw
        return joined

    def _succeed(self, command: int, payload: bytes) -> bytes:
        result, reply = self._request(command, payload)
        if result == TOO_MUCH_WORK:
            raise WorkLimit("the model needs more work than allowed")
        if result > 0:
            raise EngineError(RESULTS[result])
        if result < 0:
            raise EngineError(self.status_message(result))
        return reply

    def _request(self, command: int, payload: bytes) -> tuple[int, bytes]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(struct.pack("<II", command, len(payload)) + payload)
            process.stdin.flush()
            head = process.stdout.read(8)
            if len(head) != 8:
                raise self._crash()
            result, count = struct.unpack("<iI", head)
            reply = process.stdout.read(count)
            if len(reply) != count:
                raise self._crash()
        except BrokenPipeError:
            raise self._crash() from None
        return result, reply

    def _crash(self) -> EngineCrashed:
        self._crashed = True
        code = self._process.wait()
        self._errors.seek(0)
        report = self._errors.read().decode(errors="replace")
        return EngineCrashed(f"the engine's process ended with {code}\n{report}")
