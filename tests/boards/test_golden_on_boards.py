"""Golden vectors of the real models, by the engine inside MicroPython, over the serial line, on every virtual board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from availability import not_available
from models import INT8_MODELS, golden_path, model_path, packed_model
from smidgen.errors import BoardError
from smidgen.link.session import Board, connect
from smidgen.link.virtual import (
    ProcessBoard,
    VirtualCortexM3Board,
    VirtualCortexM4Board,
    VirtualPicoBoard,
    VirtualRiscvBoard,
)
from smidgen.link.virtual.pico import delivered_files
from smidgen.packer import pack
from smidgen.romfs import build_romfs
from smidgen.runner import BoardRunner
from smidgen.samples import load_golden
from smidgen.verify import verify_golden

# Blobs that do not fit beside their arena in the heap of a board; on real boards they run from flash.
LARGE_HEAPS = {"person_detect": 400_000}
QEMU_BOARDS = {board.name: board for board in (VirtualCortexM3Board, VirtualCortexM4Board, VirtualRiscvBoard)}
LARGE_INPUTS = ("vww_96_int8", "person_detect")  # 27 kB and 9 kB, at 10 kB/s
TOO_LARGE_FOR_A_PICO = "person_detect"  # a blob of 219 kB; the heap has 240 kB, with the module in it


@pytest.mark.usefixtures("unix_port")
@pytest.mark.parametrize("name", INT8_MODELS)
def test_all_golden_vectors_are_exact_on_sim_unix(name: str, tmp_path: Path) -> None:
    blob = tmp_path / f"{name}.smg"
    blob.write_bytes(packed_model(name).data)
    result = verify_golden(blob, golden_path(name), "sim:unix", heap_bytes=LARGE_HEAPS.get(name))
    assert (result.inputs, result.exact, result.max_abs_diff) == (32, 32, 0)


@contextmanager
def _serve(virtual: ProcessBoard) -> Iterator[Board]:
    with virtual, connect(virtual.port) as board:
        yield board


@pytest.mark.parametrize("name", INT8_MODELS)
@pytest.mark.parametrize("board_name", QEMU_BOARDS, indirect=True)
def test_golden_vectors_are_exact_under_qemu(name: str, board_name: str, tmp_path: Path) -> None:
    """From ROMFS, where a blob is used in place."""
    blob = packed_model(name).data
    image = tmp_path / "romfs.img"
    image.write_bytes(build_romfs({f"{name}.smg": blob}))
    with _serve(QEMU_BOARDS[board_name](romfs=image)) as board:
        board.install()
        check_golden(board, name, f"/rom/{name}.smg", count=2 if name in LARGE_INPUTS else 6)


@pytest.mark.parametrize("name", [name for name in INT8_MODELS if name != TOO_LARGE_FOR_A_PICO])
@pytest.mark.parametrize("board_name", [VirtualPicoBoard.name], indirect=True)
def test_a_golden_vector_is_exact_on_the_emulated_rp2040(name: str, board_name: str) -> None:
    """From a file that is in its flash from the start, copied to RAM."""
    files = delivered_files()
    if not files:
        not_available("there is no smidgen.mpy for armv6m: make natmod ARCH=armv6m")
    with _serve(VirtualPicoBoard(files={**files, "model.smg": packed_model(name).data})) as board:
        check_golden(board, name, "model.smg", count=1)


def check_golden(board: Board, name: str, path: str, count: int) -> None:
    """The first `count` golden vectors, by a blob that is at `path` on the board already."""
    packed = packed_model(name)
    samples, expected = load_golden(golden_path(name), packed.blob.network)
    assert expected is not None
    model = board.load(packed.data, ram=False, name=path)
    for sample, outputs in zip(samples[:count], expected[:count], strict=True):
        for got, wanted in zip(model.run(*sample), outputs, strict=True):
            np.testing.assert_array_equal(got.reshape(-1), wanted.reshape(-1))


@pytest.mark.usefixtures("unix_port")
def test_every_tensor_on_the_board_is_the_reference_s(tmp_path: Path) -> None:
    """Operator by operator, as `smidgen verify` looks for the first difference."""
    from smidgen.reference import run_steps

    golden = golden_path("pretrainedResnet_quant")
    packed = pack(model_path("pretrainedResnet_quant"), golden=golden, golden_count=2)
    sample = [np.load(golden)["input"][0]]
    with connect("sim:unix") as board:
        board.install()
        model = board.load(packed.data)
        runner = BoardRunner(model, packed.blob.network)
        for index, operator, values in run_steps(packed.blob.network, sample):
            np.testing.assert_array_equal(runner.output_after(index, sample), values[operator.output])
        assert model.selftest() == 2


@pytest.mark.usefixtures("unix_port")
def test_a_wrong_result_is_traced_to_its_operator(tmp_path: Path) -> None:
    """A board with another first layer: the report names operator 0."""
    from smidgen import verify
    from smidgen.blob.contents import Blob

    packed = packed_model("kws_ref_model")
    blob: Blob = packed.blob
    golden = np.load(golden_path("kws_ref_model"))
    damaged = bytearray(packed.data)
    operator = next(span for span in blob.spans if span.purpose == "requantization")
    damaged[operator.offset + 9] ^= 0x20  # of the first bias
    import struct
    import zlib

    struct.pack_into("<I", damaged, 12, zlib.crc32(damaged[16:]))
    with connect("sim:unix") as board:
        board.install()
        runner = BoardRunner(board.load(bytes(damaged)), blob.network)
        difference = verify._locate(blob.network, runner, 0, [golden["input"][0]], [golden["output"][0]])
    assert (difference.operator, difference.operator_name) == (0, "CONV_2D")
    assert difference.max_abs_diff > 0


@pytest.mark.usefixtures("unix_port")
def test_a_model_that_does_not_fit_says_so_with_both_numbers(tmp_path: Path) -> None:
    packed = packed_model("person_detect")
    with connect("sim:unix") as board:
        board.install()
        with pytest.raises(BoardError, match=rf"{len(packed.data)} bytes.*\d+ bytes of RAM free"):
            board.load(packed.data)
        assert board.eval("1 + 1") == 2
