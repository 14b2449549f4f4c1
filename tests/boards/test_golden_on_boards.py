"""All golden vectors of the real models, by the engine inside MicroPython, over the serial line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import INT8_MODELS, golden_path, model_path
from smidgen.errors import BoardError
from smidgen.link.session import connect
from smidgen.packer import pack
from smidgen.runner import BoardRunner
from smidgen.verify import verify_golden

# Blobs that do not fit beside their arena in the heap of a board; on real boards they run from flash.
LARGE_HEAPS = {"person_detect": 400_000}


@pytest.mark.parametrize("name", INT8_MODELS)
def test_all_golden_vectors_are_exact_on_sim_unix(name: str, tmp_path: Path) -> None:
    blob = tmp_path / f"{name}.smg"
    blob.write_bytes(pack(model_path(name)).data)
    result = verify_golden(blob, golden_path(name), "sim:unix", heap_bytes=LARGE_HEAPS.get(name))
    assert (result.inputs, result.exact, result.max_abs_diff) == (32, 32, 0)


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


def test_a_wrong_result_is_traced_to_its_operator(tmp_path: Path) -> None:
    """A board with another first layer: the report names operator 0."""
    from smidgen import verify
    from smidgen.blob.contents import Blob

    packed = pack(model_path("kws_ref_model"))
    blob: Blob = packed.blob
    golden = np.load(golden_path("kws_ref_model"))
    damaged = bytearray(packed.data)
    operator = next(span for span in blob.spans if span.purpose == "biases")
    damaged[operator.offset + 1] ^= 0x20
    import struct
    import zlib

    struct.pack_into("<I", damaged, 12, zlib.crc32(damaged[16:]))
    with connect("sim:unix") as board:
        board.install()
        runner = BoardRunner(board.load(bytes(damaged)), blob.network)
        difference = verify._locate(blob.network, runner, 0, [golden["input"][0]], [golden["output"][0]])
    assert (difference.operator, difference.operator_name) == (0, "CONV_2D")
    assert difference.max_abs_diff > 0


def test_a_model_that_does_not_fit_says_so_with_both_numbers(tmp_path: Path) -> None:
    packed = pack(model_path("person_detect"))
    with connect("sim:unix") as board:
        board.install()
        with pytest.raises(BoardError, match=rf"{len(packed.data)} bytes.*\d+ bytes of RAM free"):
            board.load(packed.data)
        assert board.eval("1 + 1") == 2
