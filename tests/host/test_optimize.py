"""Plans for the four goals: each is what it says, and what is predicted of it is what the blob has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.synthetic import LAYERS
from test_cli import assert_refused, smidgen

from smidgen.blob.execution import blob_executions
from smidgen.blob.reader import read_blob
from smidgen.blob.writer import write_blob
from smidgen.boards import find_board
from smidgen.formats.tflite_writer import write_tflite
from smidgen.lower import lower
from smidgen.network import Network
from smidgen.optimization import DEFAULT_MEMORY_BYTES, Optimization
from smidgen.passes import simplify
from smidgen.plan.cost import cost_model
from smidgen.plan.optimize import Budget, Candidate, Chooser, Goal, balanced_score
from smidgen.plan.weights import CODINGS

BIG = Budget(1 << 24)
NAMES = ["conv 1x1, 25x5x64 to 64", "conv 3x3, 16x16x16 to 16", "depthwise 3x3, 25x5x64", "fully connected, 640 to 128"]
USAGE = 2


def network(name: str) -> Network:
    return lower(simplify(LAYERS[name]()))


def candidates(name: str, budget: Budget = BIG) -> dict[Goal, Candidate]:
    chooser = Chooser(network(name), budget)
    return {goal: chooser.choose(goal) for goal in Goal}


@pytest.mark.parametrize("name", NAMES)
def test_each_goal_is_best_at_what_it_is_for(name: str) -> None:
    chosen = candidates(name)
    for candidate in chosen.values():
        assert chosen[Goal.SPEED].total_cycles <= candidate.total_cycles
        assert chosen[Goal.RAM].ram_bytes <= candidate.ram_bytes
        assert chosen[Goal.SIZE].weight_bytes <= candidate.weight_bytes
        assert balanced_score(chosen[Goal.BALANCED]) <= balanced_score(candidate)


def test_goals_differ() -> None:
    chosen = candidates("conv 1x1, 25x5x64 to 64")
    assert chosen[Goal.SPEED].total_cycles < 0.8 * chosen[Goal.RAM].total_cycles
    assert chosen[Goal.RAM].ram_bytes < 0.8 * chosen[Goal.SPEED].ram_bytes
    assert chosen[Goal.SIZE].weight_bytes < chosen[Goal.SPEED].weight_bytes


@pytest.mark.parametrize("goal", Goal)
def test_predictions_are_those_of_the_blob(goal: Goal) -> None:
    """What the chooser compares is what the blob has, as the independent reader sees it."""
    candidate = candidates("conv 3x3, 16x16x16 to 16")[goal]
    blob = read_blob(write_blob(candidate.plan))
    assert cost_model().operators(blob.network, blob_executions(blob)) == pytest.approx(candidate.cycles)
    assert blob.arena_bytes == candidate.plan.arena_bytes and blob.scratch_bytes == candidate.plan.scratch_bytes
    stored = sum(span.size for span in blob.spans if span.purpose in ("weights", "code table"))
    assert stored - 2 <= candidate.weight_bytes <= stored  # streams end in whole units


def test_a_budget_is_kept() -> None:
    name = "conv 3x3, 16x16x16 to 16"
    fastest = candidates(name)[Goal.SPEED]
    budget = Budget(fastest.ram_bytes - 1)
    slower = Chooser(network(name), budget).choose(Goal.SPEED)
    assert slower.ram_bytes <= budget.ram_bytes and slower.total_cycles > fastest.total_cycles
    nothing = Chooser(network(name), Budget(1)).choose(Goal.SPEED)
    assert nothing.ram_bytes == candidates(name)[Goal.RAM].ram_bytes


def test_a_blob_in_ram_counts() -> None:
    """There is room for the network with coded weights, but not with raw ones."""
    chooser = Chooser(network("fully connected, 640 to 128"), BIG)
    raw, coded = chooser.choose(Goal.SPEED), chooser.choose(Goal.SIZE)
    assert raw.weight_bytes == 81_920 > coded.weight_bytes
    chooser.budget = Budget(100 + coded.ram_bytes + coded.weight_bytes, 100)
    assert chooser.choose(Goal.SPEED).weight_bytes == coded.weight_bytes


def test_memory_comes_from_the_board() -> None:
    small = network("fully connected, 64 to 12")
    without = Optimization(small, None).explain(Goal.BALANCED)
    assert without.memory_bytes == DEFAULT_MEMORY_BYTES and without.blob_in_ram
    pico = find_board("pico")
    on_pico = Optimization(small, pico).explain(Goal.BALANCED)
    assert DEFAULT_MEMORY_BYTES < on_pico.memory_bytes < pico.heap.bytes and on_pico.board == "pico"
    assert {row.goal for row in on_pico.goals} == {goal.value for goal in Goal}
    assert all(row.fits for row in on_pico.goals)


class TestCommand:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        path = tmp_path / "conv.tflite"
        path.write_bytes(write_tflite(LAYERS["conv 1x1, 25x5x64 to 64"]()))
        return path

    def test_every_goal_gives_the_same_outputs(self, model: Path, tmp_path: Path) -> None:
        """Golden outputs that one blob was packed with are checked by pack for each of the others."""
        samples = np.random.default_rng(2).integers(-128, 128, (3, 1, 25, 5, 64)).astype(np.int8)
        np.savez(tmp_path / "golden.npz", input=samples)
        blobs = set()
        for goal in Goal:
            out = tmp_path / f"{goal.value}.smg"
            golden = ("--golden", tmp_path / "golden.npz")
            assert smidgen("pack", model, "-o", out, "--optimize", goal.value, *golden).returncode == 0
            blobs.add(out.read_bytes())
            blob = read_blob(out.read_bytes())
            np.savez(tmp_path / "golden.npz", input=samples, output=_outputs(blob.network, samples))
        assert len(blobs) > 1

    def test_explain(self, model: Path, tmp_path: Path) -> None:
        arguments = ("pack", model, "-o", tmp_path / "out.smg", "--board", "pico", "--explain")
        text = smidgen(*arguments)
        assert text.returncode == 0, text.stderr
        for words in ("weights are compiled", "What each goal costs", "of pico", "balanced"):
            assert words in text.stdout
        document = json.loads(smidgen(*arguments, "--json").stdout)
        explanation = document["explanation"]
        assert explanation["goal"] == "balanced" and len(explanation["goals"]) == 4
        (operator,) = explanation["operators"]
        assert operator["name"] == "CONV_2D" and operator["predicted_cycles"] > 0 and operator["reason"]
        chosen = next(row for row in explanation["goals"] if row["goal"] == "balanced")
        assert chosen["blob_bytes"] == document["blob_bytes"] == (tmp_path / "out.smg").stat().st_size
        assert chosen["arena_bytes"] == document["arena_bytes"]

    def test_the_price_of_the_least_memory_is_told(self, model: Path, tmp_path: Path) -> None:
        """Where it is high."""
        for goal, told in (("ram", True), ("balanced", False)):
            done = smidgen("pack", model, "-o", tmp_path / "out.smg", "--optimize", goal)
            assert done.returncode == 0, done.stderr
            assert ("--optimize balanced takes" in done.stderr) == told, done.stderr

    def test_a_coding_for_all_weights(self, model: Path, tmp_path: Path) -> None:
        """Raw weights for memory-mapped flash, where bytes are cheap; the goal decides the rest."""
        codings = {}
        for coding in CODINGS:
            arguments = ("--coding", coding, "--explain", "--json", "--board", "pico", "--optimize", "size")
            result = smidgen("pack", model, "-o", tmp_path / f"{coding}.smg", *arguments)
            assert result.returncode == 0, result.stderr
            explanation = json.loads(result.stdout)["explanation"]
            codings[coding] = [row["coding"] for row in explanation["operators"] if row["coding"]]
        assert codings["raw"] == ["raw"]
        assert codings["huffman"] == ["huffman"]
        assert codings["smallest"] in (["raw"], ["huffman"])
        sizes = {coding: (tmp_path / f"{coding}.smg").stat().st_size for coding in CODINGS}
        assert sizes["smallest"] == min(sizes.values())

    def test_unknown_names(self, model: Path, tmp_path: Path) -> None:
        out = ("-o", tmp_path / "out.smg")
        assert smidgen("pack", model, *out, "--optimize", "beauty").returncode == 2
        assert_refused(smidgen("pack", model, *out, "--board", "picco"), USAGE, "did you mean 'pico'? There are: ")


def _outputs(network: Network, samples: np.ndarray) -> np.ndarray:
    from smidgen.reference import run_network

    return np.stack([run_network(network, [sample])[0] for sample in samples])
