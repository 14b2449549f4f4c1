"""The command line as people and scripts use it: exit codes, one JSON document, clear sentences."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_builder import GraphBuilder

from command_process import run_command
from smidgen import graph as g
from smidgen.blob.reader import read_blob, read_blob_file
from smidgen.formats.tflite_writer import write_tflite
from smidgen.reference import run_network

SUCCESS, DIFFERENT, USAGE, MODEL, BLOB, INPUT = 0, 1, 2, 3, 4, 6


def smidgen(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments)


def assert_refused(result: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def dense(dtype: Any = np.int8) -> g.Graph:
    """[1, 6] -> [1, 3], fully connected, RELU."""
    b = GraphBuilder(dtype)
    b.tensor("x", (1, 6), 0.1, 3)
    b.tensor("y", (1, 3), 0.2, -4)
    b.append(g.FullyConnected(["x"], "y", weights=b.weights("w", (3, 6), 0), activation=g.Activation.RELU))
    return b.finish(["x"], ["y"])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "dense.tflite"
    path.write_bytes(write_tflite(dense()))
    return path


@pytest.fixture
def blob(model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "dense.smg"
    assert smidgen("pack", model, "-o", path).returncode == SUCCESS
    return path


@pytest.fixture
def samples() -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (5, 1, 6)).astype(np.int8)


def test_pack_prints_one_document(model: Path, tmp_path: Path) -> None:
    result = smidgen("pack", model, "-o", tmp_path / "out.smg", "--json")
    report = json.loads(result.stdout)
    wanted = {
        "blob_bytes",
        "weight_bytes_raw",
        "weight_bytes_packed",
        "arena_bytes",
        "scratch_bytes",
        "macs",
        "operators",
    }
    assert wanted <= set(report)
    assert report["blob_bytes"] == (tmp_path / "out.smg").stat().st_size == sum(report["spans"].values())
    assert (report["weight_bytes_raw"], report["macs"], len(report["operators"])) == (18, 18, 1)


def test_pack_says_what_it_removed(tmp_path: Path) -> None:
    """Two dense layers; the second of three channels between them is always 0."""
    b = GraphBuilder()
    b.tensor("x", (1, 4))
    b.tensor("h", (1, 3))
    b.tensor("y", (1, 2))
    b.append(g.FullyConnected(["x"], "h", weights=b.constant("w", np.int8([[1] * 4, [0] * 4, [2] * 4]), 0.01)))
    b.append(g.FullyConnected(["h"], "y", weights=b.constant("v", np.full((2, 3), 100, np.int8), 0.01)))
    model = tmp_path / "dead.tflite"
    model.write_bytes(write_tflite(b.finish(["x"], ["y"])))
    removed = json.loads(smidgen("pack", model, "-o", tmp_path / "out.smg", "--json").stdout)["removed"]
    kept = json.loads(smidgen("pack", model, "-o", tmp_path / "kept.smg", "--json", "--keep-channels").stdout)
    assert removed == {
        "channels": 1, "model_channels": 5, "weights": 6, "model_weights": 18, "macs": 6, "model_macs": 18,
        "blob_bytes": (tmp_path / "kept.smg").stat().st_size - (tmp_path / "out.smg").stat().st_size,
    }  # fmt: skip
    assert (kept["removed"]["channels"], kept["removed"]["blob_bytes"]) == (0, 0)
    text = " ".join(smidgen("pack", model, "-o", tmp_path / "out.smg").stdout.split())
    assert "removed 1 of 5 channels, because no output depends on them: 6 of 18 weights, 6 of 18 MACs" in text
    assert "no output depends" not in smidgen("pack", model, "-o", tmp_path / "out.smg", "--keep-channels").stdout


def test_inspect_says_the_same_as_pack(model: Path, tmp_path: Path) -> None:
    packed = json.loads(smidgen("pack", model, "-o", tmp_path / "out.smg", "--json").stdout)
    inspected = json.loads(smidgen("inspect", tmp_path / "out.smg", "--json").stdout)
    assert inspected == {key: value for key, value in packed.items() if key not in ("output", "removed")}
    assert "FULLY_CONNECTED" in smidgen("inspect", tmp_path / "out.smg").stdout


def test_run_writes_outputs(blob: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", samples)
    result = smidgen("run", blob, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--json")
    document = json.loads(result.stdout)
    expected = [run_network(read_blob_file(blob).network, [sample])[0].reshape(-1).tolist() for sample in samples]
    assert document["outputs"][0] == expected
    assert np.load(tmp_path / "y.npy").reshape(5, -1).tolist() == expected


def test_run_quantises_real_values(blob: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "int8.npy", samples)
    np.save(tmp_path / "real.npy", (samples.astype(np.float32) - 3) * np.float32(0.1))
    results = [
        json.loads(smidgen("run", blob, "--input", tmp_path / f"{kind}.npy", "--json").stdout)
        for kind in ("int8", "real")
    ]
    assert results[0]["outputs"] == results[1]["outputs"]


def test_verify_exit_code_says_whether_all_are_exact(blob: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", samples)
    smidgen("run", blob, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    outputs = np.load(tmp_path / "y.npy")
    np.savez(tmp_path / "golden.npz", input=samples, output=outputs)
    right = smidgen("verify", blob, "--golden", tmp_path / "golden.npz", "--json")
    assert right.returncode == SUCCESS
    assert {key: json.loads(right.stdout)[key] for key in ("inputs", "exact", "max_abs_diff")} == {
        "inputs": 5, "exact": 5, "max_abs_diff": 0,
    }  # fmt: skip
    outputs[3, 0, 1] ^= 4
    np.savez(tmp_path / "wrong.npz", input=samples, output=outputs)
    wrong = smidgen("verify", blob, "--golden", tmp_path / "wrong.npz", "--json")
    document = json.loads(wrong.stdout)
    assert wrong.returncode == DIFFERENT
    assert (document["exact"], document["max_abs_diff"], document["first_difference"]["input"]) == (4, 4, 3)
    assert document["first_difference"]["operator"] is None  # the reference disagrees with the file just as much


def test_verify_against_the_model(blob: Path, model: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", samples)
    result = smidgen("verify", blob, "--against", model, "--input", tmp_path / "x.npy", "--json")
    assert result.returncode == SUCCESS
    assert json.loads(result.stdout)["exact"] == 5


def test_golden_vectors_and_labels_go_into_the_blob(model: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "golden.npz", input=samples)
    (tmp_path / "labels.txt").write_text("one\ntwo\nthree\n")
    arguments = (
        "--golden",
        tmp_path / "golden.npz",
        "--labels",
        tmp_path / "labels.txt",
        "--golden-count",
        3,
        "--json",
    )
    report = json.loads(smidgen("pack", model, "-o", tmp_path / "out.smg", *arguments).stdout)
    assert (report["golden_vectors"], report["metadata"]["labels"]) == (3, ["one", "two", "three"])


def test_float_model_with_calibration(samples: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "float.tflite").write_bytes(write_tflite(dense(np.float32)))
    np.save(tmp_path / "calibration.npy", samples.astype(np.float32))
    arguments = ("-o", tmp_path / "out.smg", "--calibration", tmp_path / "calibration.npy", "--json")
    report = json.loads(smidgen("pack", tmp_path / "float.tflite", *arguments).stdout)
    assert report["inputs"][0]["dtype"] == "int8"


def test_float_model_without_calibration(tmp_path: Path) -> None:
    (tmp_path / "float.tflite").write_bytes(write_tflite(dense(np.float32)))
    result = smidgen("pack", tmp_path / "float.tflite", "-o", tmp_path / "out.smg")
    assert_refused(result, INPUT, "give calibration data")
    result = smidgen(
        "pack", tmp_path / "float.tflite", "-o", tmp_path / "out.smg", "--calibration", tmp_path / "none.npz"
    )
    assert_refused(result, INPUT, "none.npz")
    assert not (tmp_path / "out.smg").exists()


def test_bad_models_leave_nothing_behind(tmp_path: Path) -> None:
    assert_refused(smidgen("pack", tmp_path / "none.tflite", "-o", tmp_path / "out.smg"), INPUT, "none.tflite")
    (tmp_path / "bad.tflite").write_bytes(b"not a model")
    assert_refused(smidgen("pack", tmp_path / "bad.tflite", "-o", tmp_path / "out.smg"), MODEL, "not a .tflite file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tflite"]


def test_a_blob_that_was_there_survives_a_failed_pack(blob: Path, tmp_path: Path) -> None:
    before = blob.read_bytes()
    (tmp_path / "bad.tflite").write_bytes(b"not a model")
    assert smidgen("pack", tmp_path / "bad.tflite", "-o", blob).returncode == MODEL
    assert blob.read_bytes() == before


def test_output_folder_that_does_not_exist(model: Path, tmp_path: Path) -> None:
    assert_refused(smidgen("pack", model, "-o", tmp_path / "nowhere" / "out.smg"), INPUT, "cannot write")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:80] + bytes([data[80] ^ 1]) + data[81:], "CRC"),
        (lambda data: data[:4] + b"\x09" + data[5:], "version"),
        (lambda data: b"", "cut short"),
    ],
)
def test_damaged_blobs(blob: Path, damage: Any, words: str) -> None:
    blob.write_bytes(damage(blob.read_bytes()))
    assert_refused(smidgen("inspect", blob), BLOB, words)


def test_unsuitable_inputs(blob: Path, tmp_path: Path) -> None:
    def run(array: np.ndarray) -> subprocess.CompletedProcess[str]:
        np.save(tmp_path / "x.npy", array)
        return smidgen("run", blob, "--input", tmp_path / "x.npy")

    assert_refused(run(np.zeros((1, 7), np.int8)), INPUT, "takes 6 elements a sample (shape [1, 6]); got 7")
    assert_refused(run(np.zeros((1, 6), np.int32)), INPUT, "input 0 is int32")
    assert_refused(run(np.full((1, 6), np.nan)), INPUT, "not finite")
    assert_refused(smidgen("run", blob, "--input", tmp_path / "none.npy"), INPUT, "none.npy")
    (tmp_path / "text.npy").write_text("hello")
    assert_refused(smidgen("run", blob, "--input", tmp_path / "text.npy"), INPUT, "not a NumPy file")


def test_labels_of_the_wrong_number(model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\n")
    result = smidgen("pack", model, "-o", tmp_path / "out.smg", "--labels", tmp_path / "labels.txt")
    assert_refused(result, INPUT, "there are 1 labels; the output has 3 elements")


def test_usage_errors(blob: Path) -> None:
    assert smidgen("verify", blob, "--against", blob).returncode == USAGE
    assert smidgen("pack").returncode == USAGE
    assert smidgen("nonsense").returncode == USAGE
    assert_refused(smidgen("run", blob, "--input", blob, "--port", "sim:nonsense"), INPUT, "")


def test_verify_uses_the_golden_vectors_in_the_blob(model: Path, samples: np.ndarray, tmp_path: Path) -> None:
    assert_refused(smidgen("verify", _packed(model, tmp_path, "plain.smg")), INPUT, "holds no golden vectors")
    np.savez(tmp_path / "golden.npz", input=samples)
    blob = _packed(model, tmp_path, "golden.smg", "--golden", tmp_path / "golden.npz")
    assert json.loads(smidgen("verify", blob, "--json").stdout)["exact"] == 2
    data = bytearray(blob.read_bytes())
    span = next(span for span in read_blob(bytes(data)).spans if span.purpose == "golden")
    data[span.offset + span.size - 1] ^= 1  # the last output element of the last vector
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    blob.write_bytes(data)
    assert smidgen("verify", blob).returncode == DIFFERENT


def _packed(model: Path, folder: Path, name: str, *arguments: Any) -> Path:
    result = smidgen("pack", model, "-o", folder / name, *arguments)
    assert result.returncode == SUCCESS, result.stderr
    return folder / name


def test_every_golden_output_is_checked(model: Path, samples: np.ndarray, tmp_path: Path) -> None:
    network = read_blob_file(_packed(model, tmp_path, "plain.smg")).network
    outputs = np.stack([run_network(network, [sample])[0] for sample in samples])
    np.savez(tmp_path / "golden.npz", input=samples, output=outputs)
    result = smidgen("pack", model, "-o", tmp_path / "out.smg", "--golden", tmp_path / "golden.npz")
    assert "5 golden vectors, all expected outputs agree; 2 of 9 bytes each" in result.stderr
    outputs[4, 0, 0] ^= 1
    np.savez(tmp_path / "wrong.npz", input=samples, output=outputs)
    result = smidgen("pack", model, "-o", tmp_path / "wrong.smg", "--golden", tmp_path / "wrong.npz")
    assert_refused(result, DIFFERENT, "golden vector 4: 1 of 3 output elements differ")
    assert not (tmp_path / "wrong.smg").exists()
    np.savez(tmp_path / "inputs.npz", input=samples)
    result = smidgen("pack", model, "-o", tmp_path / "out.smg", "--golden", tmp_path / "inputs.npz")
    assert "no expected outputs to compare with" in result.stderr
    np.savez(tmp_path / "typo.npz", input=samples, outputs=outputs)
    result = smidgen("pack", model, "-o", tmp_path / "out.smg", "--golden", tmp_path / "typo.npz")
    assert_refused(result, INPUT, "no array named 'output'; it has input, outputs")


def test_damaged_array_files(blob: Path, samples: np.ndarray, tmp_path: Path) -> None:
    whole = tmp_path / "x.npz"
    np.savez_compressed(whole, input=np.repeat(samples, 50, axis=0))
    data = whole.read_bytes()
    broken = tmp_path / "broken.npz"
    for damaged in (data[: len(data) // 2], data[:200] + bytes([data[200] ^ 0xFF]) + data[201:], b"", b"PK\x03\x04"):
        broken.write_bytes(damaged)
        assert_refused(smidgen("run", blob, "--input", broken), INPUT, "broken.npz")
    np.savez(broken, input=np.array([{}], dtype=object))
    assert_refused(smidgen("run", blob, "--input", broken), INPUT, "holds Python objects")


def test_missing_calibration_is_an_error_for_int8_models_too(model: Path, tmp_path: Path) -> None:
    result = smidgen("pack", model, "-o", tmp_path / "out.smg", "--calibration", tmp_path / "none.npz")
    assert_refused(result, INPUT, "none.npz: No such file")


def test_output_is_never_an_input_and_links_are_followed(model: Path, tmp_path: Path) -> None:
    before = model.read_bytes()
    assert_refused(smidgen("pack", model, "-o", model), INPUT, "is an input of this command")
    assert model.read_bytes() == before
    (tmp_path / "real.smg").write_bytes(b"")
    (tmp_path / "link.smg").symlink_to(tmp_path / "real.smg")
    _packed(model, tmp_path, "link.smg")
    assert (tmp_path / "link.smg").is_symlink()
    read_blob_file(tmp_path / "real.smg")
    assert smidgen("pack", model, "-o", "/dev/null").returncode == SUCCESS
    assert not Path("/dev/null").is_file()


def test_names_with_brackets_are_printed_as_they_are(model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("[/x]\n[bold]y\n[red]\n")
    blob = _packed(model, tmp_path, "q[a].smg", "--labels", tmp_path / "labels.txt")
    assert "labels   [/x], [bold]y, [red]" in smidgen("inspect", blob).stdout


def test_output_that_cannot_be_printed(blob: Path) -> None:
    command = f"{sys.executable} -m smidgen inspect {blob} --json"
    full = subprocess.run(f"{command} > /dev/full", shell=True, capture_output=True, text=True, check=False)
    assert full.returncode == INPUT
    assert "No space left" in full.stderr
    assert "Traceback" not in full.stderr
    closed = subprocess.run(f"{command} | true", shell=True, capture_output=True, text=True, check=False)
    assert closed.stderr == ""


def _wait_for_signal_handlers(process: subprocess.Popen[str]) -> None:
    """Until the process catches SIGTERM, which Python by itself does not."""
    for _ in range(1000):
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("no handler for SIGTERM was installed")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at /proc, which Linux has")
@pytest.mark.parametrize("delay", [0.0, 0.2, 1.0])
def test_interruption_ends_quietly(delay: float) -> None:
    """While modules are being imported, and while the demo runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "smidgen", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _wait_for_signal_handlers(process)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
