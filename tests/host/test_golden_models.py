"""Eight real int8 models, 32 golden vectors each (made with TFLite Micro), in the NumPy reference; and their sizes."""

from __future__ import annotations

import numpy as np
import pytest

from models import INT8_MODELS, golden_path, packed_model
from smidgen.blob.reader import read_blob
from smidgen.reference import run_network

# Lossless blobs and working memory, in bytes: what was promised for the MLPerf Tiny models.
BLOB_LIMITS = {"kws_ref_model": 28_500, "vww_96_int8": 40_000, "pretrainedResnet_quant": 80_000, "ad01_int8": 184_000}
ARENA_LIMITS = {"kws_ref_model": 13_100, "vww_96_int8": 40_000, "pretrainedResnet_quant": 44_000, "ad01_int8": 1_500}


@pytest.mark.parametrize("name", INT8_MODELS)
def test_all_golden_vectors_are_exact(name: str) -> None:
    """From the packed blob, as the independent reader reads it."""
    network = read_blob(packed_model(name).data).network
    golden = np.load(golden_path(name))
    assert len(golden["input"]) == 32
    for number, (sample, expected) in enumerate(zip(golden["input"], golden["output"], strict=True)):
        result = run_network(network, [sample])[0]
        np.testing.assert_array_equal(result.reshape(-1), expected.reshape(-1), err_msg=f"vector {number}")


@pytest.mark.parametrize("name", BLOB_LIMITS)
def test_size_goals(name: str) -> None:
    packed = packed_model(name)
    assert len(packed.data) <= BLOB_LIMITS[name]
    assert packed.blob.arena_bytes <= ARENA_LIMITS[name]
    assert packed.report.weight_bytes_packed <= packed.report.weight_bytes_raw


@pytest.mark.parametrize("name", INT8_MODELS)
def test_report_accounts_for_every_byte(name: str) -> None:
    report = packed_model(name).report
    assert sum(report.spans.values()) == report.blob_bytes
    assert report.macs == sum(row.macs for row in report.operators)


@pytest.mark.parametrize("name", INT8_MODELS)
def test_report_tells_kernels_and_working_memory(name: str) -> None:
    report = packed_model(name).report
    assert report.scratch_bytes == max(row.scratch_bytes for row in report.operators)
    for row in report.operators:
        pairs = row.name in ("CONV_2D", "DEPTHWISE_CONV_2D")
        linear = row.name == "ADD"  # all of these models' additions have a linear form
        streamed = row.name == "FULLY_CONNECTED" and row.coding == "huffman"
        assert (row.kernel, row.workspace_bytes > 0) == (int(pairs or linear or streamed), pairs)
        assert 0 <= row.workspace_bytes <= row.scratch_bytes
