"""Eight real int8 models, 32 golden vectors each (made with TFLite Micro), on this computer."""

from __future__ import annotations

import numpy as np
import pytest

from host_engine import HostEngine
from models import INT8_MODELS, golden_path, model_path
from smidgen.blob.reader import read_blob
from smidgen.packer import pack
from smidgen.reference import run_network

# Lossless blobs and working memory, in bytes: what was promised for the MLPerf Tiny models.
BLOB_LIMITS = {"kws_ref_model": 28_500, "vww_96_int8": 90_000, "pretrainedResnet_quant": 80_000, "ad01_int8": 184_000}
MEMORY_LIMITS = {"kws_ref_model": 18_000, "vww_96_int8": 60_000, "pretrainedResnet_quant": 52_000, "ad01_int8": 2_000}


@pytest.mark.parametrize("name", INT8_MODELS)
def test_all_golden_vectors_are_exact(name: str) -> None:
    """In the NumPy reference and in the C engine under sanitizers, both from the packed blob."""
    data = pack(model_path(name)).data
    network = read_blob(data).network
    golden = np.load(golden_path(name))
    assert len(golden["input"]) == 32
    with HostEngine() as engine:
        engine.load(data)
        for number, (sample, expected) in enumerate(zip(golden["input"], golden["output"], strict=True)):
            reference = run_network(network, [sample])[0]
            np.testing.assert_array_equal(
                reference.reshape(-1), expected.reshape(-1), err_msg=f"reference, vector {number}"
            )
            result = engine.run([sample])[0]
            np.testing.assert_array_equal(result.reshape(-1), expected.reshape(-1), err_msg=f"engine, vector {number}")


@pytest.mark.parametrize("name", INT8_MODELS)
def test_memory_in_the_header_is_what_the_engine_touches(name: str) -> None:
    packed = pack(model_path(name))
    with HostEngine() as engine:
        engine.load(packed.data)
        use = engine.memory_use([np.load(golden_path(name))["input"][0]])
    assert (use.arena_bytes, use.scratch_bytes) == (packed.blob.arena_bytes, packed.blob.scratch_bytes)
    assert use.deterministic


@pytest.mark.parametrize("name", BLOB_LIMITS)
def test_size_goals(name: str) -> None:
    packed = pack(model_path(name))
    assert len(packed.data) <= BLOB_LIMITS[name]
    assert packed.blob.arena_bytes + packed.blob.scratch_bytes <= MEMORY_LIMITS[name]
    assert packed.report.weight_bytes_packed <= packed.report.weight_bytes_raw


@pytest.mark.parametrize("name", INT8_MODELS)
def test_report_accounts_for_every_byte(name: str) -> None:
    report = pack(model_path(name)).report
    assert sum(report.spans.values()) == report.blob_bytes
    assert report.macs == sum(row.macs for row in report.operators)
