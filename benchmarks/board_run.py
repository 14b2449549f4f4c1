"""Runs a blob with smidgen.mpy on a virtual board whose memory already holds everything: nothing is sent to it.

Sending a blob over an emulated serial port takes minutes. So the module, the blob and the inputs are put into the
board's memory before it starts, as a flashing tool would do it. From there the board copies the module into its file
system and the blob into its heap. A blob that does not fit in the heap is used where it is, without a copy.
"""

from __future__ import annotations

import ast
import base64
from dataclasses import dataclass

import numpy as np
from benchmarks.models import BenchmarkModel

from smidgen.link.session import connect
from smidgen.link.virtual import ProcessBoard

TIMEOUT = 3600.0  # seconds without a byte from the board: it is silent while it computes

Place = tuple[int, int]  # address and size in the board's memory

# Prints one tuple; see BoardRun.
_SCRIPT = """
import binascii, gc, os, time, uctypes
def memory(address, size):
    return memoryview(uctypes.bytearray_at(address, size))
try:
    os.mkdir("lib")
except OSError:
    pass
with open("lib/smidgen.mpy", "wb") as file:
    file.write(memory(*{module}))
gc.collect()
free = [gc.mem_free()]
import smidgen
gc.collect()
free.append(gc.mem_free())
copied = True
try:
    model = smidgen.Model(bytearray(memory(*{blob})))
except MemoryError:
    gc.collect()
    copied = False
    model = smidgen.Model(memory(*{blob}))
gc.collect()
free.append(gc.mem_free())
def fill():
    for view, place in zip(model.inputs, {inputs}):
        view[:] = memory(*place)
fill()
start = time.ticks_us()
model.run()
duration = time.ticks_diff(time.ticks_us(), start)
outputs = [binascii.b2a_base64(bytes(view)) for view in model.outputs]
profile = []
if {profile}:
    fill()
    profile = [row[-1] for row in model.profile()]
print((free, copied, duration, outputs, profile))
"""


class WrongOutput(Exception):
    """The board's output is not what it must be: its figures mean nothing."""


@dataclass(frozen=True)
class BoardRun:
    """One network run once. Bytes are of the garbage-collected heap."""

    microseconds: int  # of Model.run(), by ticks_us
    operator_microseconds: list[int]  # of a second run, by Model.profile(); empty unless asked for
    in_ram: bool  # the blob was copied into the heap
    free_bytes: int  # before smidgen was imported
    import_bytes: int  # taken by importing it: native code, its Python, and what belongs to them
    model_bytes: int  # taken by the loaded model: the blob if in RAM, arena, and objects


def run_on(
    virtual: ProcessBoard, model: BenchmarkModel, module: Place, blob: Place, inputs: list[Place], profile: bool
) -> BoardRun:
    """Start a board, run the network, and compare its outputs.

    profile: run it a second time for the times of single operators. Raises WrongOutput, or BoardError.
    """
    script = _SCRIPT.format(module=module, blob=blob, inputs=inputs, profile=profile)
    with virtual, connect(virtual.port, timeout=TIMEOUT) as board:
        free, in_ram, microseconds, texts, times = ast.literal_eval(board.exec(script).strip())
    for number, (text, expected) in enumerate(zip(texts, model.expected, strict=True)):
        actual = np.frombuffer(base64.b64decode(text), np.int8)
        if not np.array_equal(actual, expected.reshape(-1)):
            raise WrongOutput(f"{model.name}: output {number} on {virtual.name} differs from that of {model.origin}")
    return BoardRun(microseconds, times, in_ram, free[0], free[0] - free[1], free[1] - free[2])
