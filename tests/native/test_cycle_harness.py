"""Cycle measurement: the counts against hand counts and another emulator, and that wrong results give no figure."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("arm-none-eabi-gcc is not installed", allow_module_level=True)

from benchmarks import bare
from benchmarks.bare import BareEngine, WrongResult
from benchmarks.bare_image import FLAGS, ORIGIN, BuildError, Image, build_image
from benchmarks.cortex_m0plus import FLASH, SRAM, CortexM0Plus, MachineError
from benchmarks.measure import measure
from benchmarks.synthetic import LAYERS, synthetic_model

ROOT = Path(__file__).resolve().parents[2]
BKPT = 0xBE00

# Body of a function, its cycles without the `bx lr` that follows it unless it returns by itself.
HAND_COUNTS = {
    "nothing": ("", 0),
    "moves and arithmetic": ("movs r0, #1; adds r0, #2; lsls r0, r0, #3; mvns r0, r0; sxtb r0, r0; mov r12, r0", 6),
    "multiply": ("muls r0, r0, r0", 1),
    "load byte and half": ("sub sp, #8; mov r1, sp; ldrb r0, [r1]; ldrh r0, [r1]; add sp, #8", 1 + 1 + 2 + 2 + 1),
    "load signed byte": ("sub sp, #8; mov r1, sp; movs r2, #0; ldrsb r0, [r1, r2]; add sp, #8", 1 + 1 + 1 + 2 + 1),
    "load word": ("sub sp, #8; mov r1, sp; ldr r0, [r1]; ldr r0, [sp]; add sp, #8", 1 + 1 + 2 + 2 + 1),
    "load a literal": ("ldr r0, =0x12345678", 2),
    "store": ("sub sp, #8; str r0, [sp]; mov r1, sp; strb r0, [r1]; strh r0, [r1]; add sp, #8", 1 + 2 + 1 + 2 + 2 + 1),
    "load multiple": ("sub sp, #16; mov r0, sp; ldmia r0!, {r1-r3}; add sp, #16", 1 + 1 + 4 + 1),
    "store multiple": ("sub sp, #16; mov r0, sp; stmia r0!, {r1-r3}; add sp, #16", 1 + 1 + 4 + 1),
    "push and pop": ("push {r4-r7}; pop {r4-r7}", 5 + 5),
    "push with lr": ("push {r4, lr}; pop {r4}; pop {r1}; mov lr, r1", 3 + 2 + 2 + 1),
    "pop with pc": ("push {r4, r5, lr}; pop {r4, r5, pc}", 4 + 6),
    "call and return": ("mov r3, lr; bl leaf; bx r3", 1 + 3 + 2 + 2),
    "call by register": ("mov r3, lr; ldr r0, =leaf; blx r0; bx r3", 1 + 2 + 2 + 2 + 2),
    "branch": ("b 1f; nop; 1:", 2),
    "branch that is taken": ("movs r0, #0; beq 1f; nop; 1:", 1 + 2),
    "branch that is not taken": ("movs r0, #0; bne 1f; nop; 1:", 1 + 1 + 1),
    "loop": ("movs r0, #10; 1: subs r0, #1; bne 1b", 1 + 10 * (1 + 2) - 1),
}
RETURNING = ("bx r3", "pc}")  # bodies that contain it return by themselves
RETURN_CYCLES = 2


@pytest.fixture(scope="module")
def image() -> Image:
    return build_image()


def assemble(folder: Path, body: str) -> Image:
    """An image with the function `measured`, and `leaf`, which only returns."""
    lines = ".syntax unified; .text; .balign 4; .thumb; .thumb_func; .global measured; .type measured, %function; "
    leaf = "bx lr; .ltorg; .balign 4; .thumb_func; .global leaf; .type leaf, %function; leaf: bx lr"
    text = f'__asm__("{lines} measured: {body}; {leaf}");\n'.replace("; ", "\\n")
    (folder / "measured.c").write_text(text, "utf-8")
    return build_image(core=folder)


def program(*opcodes: int) -> Image:
    """An image that is these instructions and a breakpoint."""
    data = b"".join(opcode.to_bytes(2, "little") for opcode in (*opcodes, BKPT))
    return Image(data, {"measured": ORIGIN}, (), len(data))


@pytest.mark.parametrize("name", HAND_COUNTS)
def test_hand_counts(name: str, tmp_path: Path) -> None:
    body, cycles = HAND_COUNTS[name]
    machine = CortexM0Plus(assemble(tmp_path, body))
    machine.allocate(64)
    returns = 0 if any(text in body for text in RETURNING) else RETURN_CYCLES
    call = machine.call("measured", 3)
    assert call.cycles == cycles + returns
    assert call.cycles == sum(call.cycles_at.values())


def test_flags_are_those_of_the_native_module() -> None:
    text = (ROOT / "native/module/Makefile").read_text("utf-8")
    common, own = re.search(
        r"^CFLAGS_EXTRA = (.*?)$.*?ARCH\),armv6m\)$.*?^CFLAGS_EXTRA \+= (.*?)$", text, re.M | re.S
    ).groups()
    extra = common.split() + own.split()
    assert [flag for flag in FLAGS if flag in extra] == extra
    assert [flag for flag in FLAGS if flag.startswith("-O")] == [flag for flag in extra if flag.startswith("-O")]


class TestAgainstAnotherEmulator:
    """rp2040py counts PUSH with LR and POP with PC one cycle short; everything else is the same."""

    @pytest.fixture(autouse=True)
    def _needs_rp2040py(self) -> None:
        pytest.importorskip("rp2040py", reason="the package rp2040py is not installed")

    @pytest.mark.parametrize("seed", range(40))
    def test_random_instructions(self, seed: int) -> None:
        from rp2040py_machine import Rp2040pyMachine

        image = program(*random_program(random.Random(seed)))
        machines = [CortexM0Plus(image), Rp2040pyMachine(image)]
        states = []
        for machine in machines:
            values = random.Random(-seed - 1)
            machine.registers = [interesting(values) for _ in range(13)] + [SRAM + 0x8000, 0, ORIGIN]
            cycles = sum(machine.execute().values())
            states.append((machine.registers[:15], machine.flags, cycles))
        assert states[0] == states[1]

    @pytest.mark.parametrize("name", ["fully connected, 64 to 12", "softmax, 12", "mean, 16x16x32"])
    def test_kernels(self, name: str, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        from rp2040py_machine import Rp2040pyMachine

        model = synthetic_model(name)
        ours = measure(BareEngine(image), model)
        monkeypatch.setattr(bare, "CortexM0Plus", Rp2040pyMachine)
        theirs = measure(BareEngine(image), model)
        assert theirs.cycles == ours.cycles - ours.linkage
        assert ours.linkage > 0


def interesting(values: random.Random) -> int:
    return values.choice([0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, values.getrandbits(32), values.getrandbits(8)])


def random_program(choices: random.Random) -> list[int]:
    """Instructions that change only r0 .. r7 and the flags."""
    opcodes = []
    while len(opcodes) < 60:  # more would leave little but zeros
        opcode = choices.choice([choices.randrange(0x4400), 0xB200 | choices.randrange(256), random_reversal(choices)])
        # Shifts by a register leave the carry alone when they shift by 0, which rp2040py does not know.
        if opcode >> 6 not in (0x102, 0x103, 0x104, 0x107):
            opcodes.append(opcode)
    return opcodes


def random_reversal(choices: random.Random) -> int:
    return choices.choice([0xBA00, 0xBA40, 0xBAC0]) | choices.randrange(64)


@pytest.mark.parametrize(
    ("opcode", "value", "count", "result", "carry"),
    [
        (0x4088, 0x8000_0001, 0, 0x8000_0001, 1),  # LSL by 0 keeps the carry
        (0x4088, 0x8000_0001, 1, 2, 1),
        (0x4088, 0x8000_0001, 32, 0, 1),
        (0x4088, 0x8000_0001, 33, 0, 0),
        (0x4088, 0x8000_0001, 0x101, 2, 1),  # the low byte counts
        (0x40C8, 0x8000_0001, 1, 0x4000_0000, 1),
        (0x40C8, 0x8000_0001, 32, 0, 1),
        (0x40C8, 0x8000_0001, 33, 0, 0),
        (0x4108, 0x8000_0001, 1, 0xC000_0000, 1),
        (0x4108, 0x8000_0000, 40, 0xFFFF_FFFF, 1),
        (0x41C8, 0x8000_0001, 1, 0xC000_0000, 1),
        (0x41C8, 0x8000_0001, 32, 0x8000_0001, 1),
        (0x41C8, 0x4000_0001, 32, 0x4000_0001, 0),
    ],
)
def test_shifts_by_a_register(opcode: int, value: int, count: int, result: int, carry: int) -> None:
    machine = CortexM0Plus(program(opcode))  # r0 by r1
    machine.registers = [value, count, *[0] * 13, ORIGIN]
    machine.flags = [0, 0, 1, 0]
    machine.execute()
    assert (machine.registers[0], machine.flags[2]) == (result, carry)


@pytest.mark.parametrize("name", ["conv 3x3, 32x32x3 to 8, stride 2", "add, 16x16x16", "pad 1, 16x16x16"])
def test_layers_are_exact(name: str, image: Image) -> None:
    result = measure(BareEngine(image), synthetic_model(name))
    (operator,) = result.operators
    assert operator.cycles == sum(operator.files.values()) == sum(operator.functions.values())
    assert "" not in operator.files
    assert operator.cycles > operator.macs


def test_one_operator_costs_what_it_costs_in_the_whole(image: Image) -> None:
    from benchmarks.models import OWN, load_model

    model = load_model(OWN)
    assert model is not None
    engine = BareEngine(image)
    whole = measure(engine, model)
    for index in (0, 3, len(whole.operators) - 1):
        assert measure(engine, model, index).operators == [whole.operators[index]]
    with pytest.raises(IndexError, match=f"no operator {len(whole.operators)}: the model has 0 to"):
        measure(engine, model, len(whole.operators))


def test_a_wrong_operator_gives_no_figure(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_one(network: Any, inputs: Any) -> Any:
        for index, operator, values in correct(network, inputs):
            output = values[operator.output].copy()
            output.flat[0] ^= 1
            yield index, operator, {**values, operator.output: output}

    correct = bare.run_steps
    model = synthetic_model("pad 1, 16x16x16")
    monkeypatch.setattr(bare, "run_steps", off_by_one)
    with pytest.raises(WrongResult, match=r"operator 0 \(PAD\): 1 of 5184 output elements differ"):
        measure(BareEngine(image), model)


def test_a_wrong_output_gives_no_figure(image: Image) -> None:
    model = synthetic_model("softmax, 12")
    model.expected[0].flat[3] ^= 1
    with pytest.raises(WrongResult, match="output 0 differs"):
        measure(BareEngine(image), model)


def test_a_refused_blob_gives_no_figure(image: Image) -> None:
    data = bytearray(synthetic_model("softmax, 12").data)
    machine = CortexM0Plus(image)
    address, model, fault = machine.allocate(len(data)), machine.allocate(64), machine.allocate(64)
    data[-1] ^= 1
    machine.write(address, bytes(data))
    assert machine.call("smg_load", model, address, len(data), fault).result < 0


def test_a_large_blob_is_put_into_flash(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    model = synthetic_model("fully connected, 64 to 12")
    engine = BareEngine(image)
    in_sram = measure(engine, model)
    monkeypatch.setattr(CortexM0Plus, "free_bytes", len(model.data) - 1)
    in_flash = measure(engine, model)
    assert (in_sram.in_flash, in_flash.in_flash) == (False, True)
    assert in_flash.cycles == in_sram.cycles  # the flash has no wait states here


@pytest.mark.parametrize(
    ("opcode", "registers", "message"),
    [
        (0x6808, {1: 0x4000_0000}, "access to 0x40000000, which is not in memory or not aligned, at 0x20000100"),
        (0x6808, {1: SRAM + 2}, "not aligned"),
        (0x8808, {1: FLASH + 1}, "not aligned"),
        (0x6008, {1: SRAM + 264 * 1024}, "not in memory"),
        (0x4708, {1: ORIGIN + 8}, "ARMv6-M does not have"),  # BX to ARM code
        (0xDE00, {}, "ARMv6-M does not have"),  # UDF
        (0xE800, {}, "ARMv6-M does not have"),  # a 32-bit instruction of larger cores
        (0xB100, {}, "ARMv6-M does not have"),  # CBZ
        (0x4708, {1: 0x1000_0001}, "access to 0x10000000"),  # code in flash
    ],
)
def test_what_a_program_must_not_do(opcode: int, registers: dict[int, int], message: str) -> None:
    machine = CortexM0Plus(program(opcode))
    with pytest.raises(MachineError, match=message):
        machine.call("measured", *(registers.get(number, 0) for number in range(4)))


def test_deep_stacks_are_noticed(tmp_path: Path) -> None:
    image = assemble(tmp_path, "mov r1, sp; ldr r2, =4092; subs r1, r1, r2; movs r0, #1; strb r0, [r1]")
    machine = CortexM0Plus(image)
    assert machine.stack_bytes == 0
    machine.call("measured")
    assert machine.stack_bytes == 4092
    deeper = assemble(tmp_path, "mov r1, sp; ldr r2, =4096; subs r1, r1, r2; movs r0, #1; strb r0, [r1]")
    with pytest.raises(MachineError, match="used all 4096 bytes of the stack"):
        CortexM0Plus(deeper).call("measured")


def test_fifth_argument_is_on_the_stack(tmp_path: Path) -> None:
    machine = CortexM0Plus(assemble(tmp_path, "ldr r0, [sp]"))
    assert machine.call("measured", 1, 2, 3, 4, -5).result == -5


def test_memory_is_limited(image: Image) -> None:
    machine = CortexM0Plus(image)
    machine.allocate(machine.free_bytes)
    with pytest.raises(MachineError, match="4 bytes do not fit: 0 bytes of the SRAM are free"):
        machine.allocate(4)
    with pytest.raises(MachineError, match="no function smg_missing"):
        machine.call("smg_missing")
    with pytest.raises(MachineError, match="neither in SRAM nor in flash"):
        machine.read(0x3000_0000, 1)


def test_sources_that_do_not_compile(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no C files"):
        build_image(core=tmp_path)
    (tmp_path / "broken.c").write_text("int f(void) { return missing; }\n", "utf-8")
    with pytest.raises(BuildError, match="missing"):
        build_image(core=tmp_path)


def test_every_layer_can_be_packed() -> None:
    for name in LAYERS:
        model = synthetic_model(name)
        assert len(model.blob.network.operators) == 1
        assert all(np.unique(output).size > 1 for output in model.expected), f"{name} gives a constant"
