"""Runs blobs on the bare engine, operator by operator, and counts cycles; every output is checked.

    engine = BareEngine(build_image())
    model = engine.load(blob)
    for operator in model.run(inputs): ...

Code, blob, arena and stack are in SRAM. A blob that does not fit there is put into flash, which the
emulator reads without wait states: then the figures are those of a chip whose flash cache always hits.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from benchmarks.bare_image import Image
from benchmarks.cortex_m0plus import Call, CortexM0Plus
from numpy.typing import NDArray

from smidgen.blob.reader import read_blob
from smidgen.network import Kind, WeightedOperator
from smidgen.reference import run_steps

Int8Array = NDArray[np.int8]
_MODEL_BYTES, _FAULT_BYTES = 64, 64  # struct smg_model, struct smg_fault, with room to grow


class WrongResult(Exception):
    """The engine's output differs from the reference: its cycles mean nothing."""


@dataclass(frozen=True)
class OperatorCycles:
    """One operator, run once. files: cycles by source file that spent them; functions likewise."""

    index: int
    kind: str
    output_shape: tuple[int, ...]
    macs: int
    weights: int
    cycles: int
    linkage: int  # cycles of PUSH with LR and POP with PC that rp2040py does not count
    files: dict[str, int]
    functions: dict[str, int]
    cycles_at: dict[int, int] = field(repr=False)  # by address of the instruction

    @property
    def cycles_per_mac(self) -> float | None:
        return self.cycles / self.macs if self.macs else None

    @property
    def decoding_per_weight(self) -> float | None:
        """Cycles of Huffman decoding for each weight; None without Huffman coded weights."""
        return self.decoding / self.weights if self.weights and self.decoding else None

    @property
    def decoding(self) -> int:
        """Cycles of Huffman decoding, its tables included."""
        return self.files.get("huffman", 0) + self.files.get("huffman_thumb", 0)


class BareEngine:
    """Makes a fresh machine for every blob."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def load(self, data: bytes) -> BareModel:
        """Load and bind a blob. Raises WrongResult if the engine refuses it, MachineError if it does not fit."""
        return BareModel(CortexM0Plus(self.image), data)


class BareModel:
    """A blob that is loaded and bound. load_cycles: of smg_load, which checks the whole blob."""

    def __init__(self, machine: CortexM0Plus, data: bytes) -> None:
        self.machine = machine
        self.blob = read_blob(data)
        self._model, self._fault = machine.allocate(_MODEL_BYTES), machine.allocate(_FAULT_BYTES)
        self.arena = machine.allocate(self.blob.arena_bytes)
        self.in_flash = len(data) > machine.free_bytes
        address = machine.allocate_flash(len(data)) if self.in_flash else machine.allocate(len(data))
        machine.write(address, data)
        self.load_cycles = self._succeed("smg_load", self._model, address, len(data), self._fault).cycles
        self._succeed("smg_bind", self._model, self.arena, self.blob.arena_bytes)

    def run(self, inputs: Sequence[Int8Array]) -> Iterator[OperatorCycles]:
        """Run the network, one operator at a time; raises WrongResult at the first that differs from the reference."""
        for number, data in enumerate(inputs):
            self._write_tensor(number, data)
        for index, operator, values in run_steps(self.blob.network, inputs):
            yield self._run_operator(index, values[operator.output])

    def run_one(self, index: int, inputs: Sequence[Int8Array]) -> OperatorCycles:
        """Run only operator `index`, on what the reference gives it for these inputs of the network."""
        network = self.blob.network
        for number, data in enumerate(inputs):
            self._write_tensor(number, data)
        before: dict[int, Int8Array] = {}
        for step, operator, values in run_steps(network, inputs):
            if step == index:
                for tensor in (*operator.inputs, operator.output):
                    if tensor in before:
                        self._write_tensor(tensor, before[tensor])
                return self._run_operator(index, values[operator.output])
            before[operator.output] = values[operator.output].copy()
        raise IndexError(f"there is no operator {index}: the model has 0 to {len(network.operators) - 1}")

    def outputs(self) -> list[Int8Array]:
        """The outputs of the last run, flat."""
        return [self._read_tensor(tensor) for tensor in self.blob.network.outputs]

    def _run_operator(self, index: int, expected: Int8Array) -> OperatorCycles:
        network, image = self.blob.network, self.machine.image
        operator = network.operators[index]
        call = self._succeed("smg_run_operator", self._model, index)
        actual = self._read_tensor(operator.output)
        differing = int(np.count_nonzero(actual != expected.reshape(-1)))
        if differing:
            raise WrongResult(
                f"operator {index} ({Kind(operator.kind).name}): {differing} of {actual.size} output elements differ "
                "from the reference"
            )
        files: Counter[str] = Counter()
        functions: Counter[str] = Counter()
        for address, cycles in call.cycles_at.items():
            files[image.file_at(address)] += cycles
            functions[image.function_at(address)] += cycles
        weights = int(operator.weights.size) if isinstance(operator, WeightedOperator) else 0
        shape = network.tensors[operator.output].shape
        return OperatorCycles(
            index,
            Kind(operator.kind).name,
            shape,
            network.macs(operator),
            weights,
            call.cycles,
            call.linkage,
            dict(files.most_common()),
            dict(functions.most_common()),
            call.cycles_at,
        )

    def _succeed(self, function: str, *arguments: int) -> Call:
        call = self.machine.call(function, *arguments)
        if call.result != 0:
            fault = struct.unpack("<qqiiI", self.machine.read(self._fault, 28))
            raise WrongResult(
                f"{function} returned status {call.result} (found, expected, status, place, index: {fault})"
            )
        return call

    def _tensor_address(self, tensor: int) -> int:
        offset = self.blob.arena_offsets[tensor]
        assert offset is not None, "constants are not written"
        return self.arena + offset

    def _write_tensor(self, tensor: int, data: Int8Array) -> None:
        self.machine.write(self._tensor_address(tensor), data.astype(np.int8).tobytes())

    def _read_tensor(self, tensor: int) -> Int8Array:
        return np.frombuffer(
            self.machine.read(self._tensor_address(tensor), self.blob.network.tensors[tensor].elements), np.int8
        )
