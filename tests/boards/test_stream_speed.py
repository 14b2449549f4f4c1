"""Streams in real time: who keeps up, and that those who do not say so. `python -m benchmarks.streams` prints it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import streams as trials
from click.testing import CliRunner

from availability import not_available
from smidgen.cli.app import cli
from smidgen.errors import BoardError
from smidgen.link.virtual import create_virtual_board

CASES = {case.name: case for case in trials.cases()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_fast_board_drops_nothing(unix_port: None, name: str) -> None:
    """Windows are 100 ms apart and more, and take some milliseconds: two may wait before one is lost."""
    trial = trials.trial(CASES[name], trials.FAST)
    assert (trial.answered, trial.dropped, trial.frames_not_sent) == (trial.windows, 0, 0)


MOTION = CASES["6 axes at 100 Hz"]
TOO_MUCH = [CASES["16 kHz sound, samples"], replace(MOTION, hop=MOTION.hop // 4, windows=4 * (MOTION.windows - 1) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("case", TOO_MUCH, ids=lambda case: case.name)
def test_a_slow_board_accounts_for_every_window(case: trials.Case) -> None:
    """More than its line of 1 kB/s carries, or a window every 40 ms, for which it has not the time on any computer."""
    _need_pico()
    trial = trials.trial(case, trials.SLOW)
    assert trial.is_accounted_for
    assert not trial.keeps_up
    assert trial.dropped + trial.late > 0


@pytest.mark.slow
def test_the_command_says_that_a_board_is_too_slow(tmp_path: Path) -> None:
    _need_pico()
    blob, source = tmp_path / "network.smg", tmp_path / "sound.npz"
    blob.write_bytes(trials.dense_network(1600))
    np.savez(source, samples=np.zeros((32_000, 1), np.float32), rate=np.array(16_000.0))
    arguments = ["stream", str(blob), "--source", str(source), "--hop", "1600", "--port", trials.SLOW, "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["keeps_up"] is False
    assert document["windows"] + document["dropped"] == 20
    assert document["dropped"] > 0
    assert "does not keep up with a window every 1600 frames" in result.stderr


def _need_pico() -> None:
    try:
        create_virtual_board(trials.SLOW)._prepare()
    except BoardError as error:
        not_available(str(error))
