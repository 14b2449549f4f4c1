"""`smidgen check-power`, with a file for a meter: 10 mA at 3.3 V."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from smidgen.cli.check_power import check_power
from smidgen.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("time(s),current(mA),voltage(V)\n0,10,3.3\n1,10,3.3\n")
    return path


def test_a_good_meter(file: Path) -> None:
    result = CliRunner().invoke(check_power, [f"csv:{file}", "--ohms", "330", "--seconds", "0.01"])
    assert result.exit_code == 0
    assert "3.3000        10.0000   10.0000 ± 1.0%   +0.00%   good" in result.stdout


def test_a_bad_meter(file: Path) -> None:
    """One that shows a tenth too much; with a resistor of twenty percent nobody can tell."""
    arguments = [f"csv:{file}", "--ohms", "363", "--seconds", "0.01", "--json"]
    result = CliRunner().invoke(check_power, arguments)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["error"] == pytest.approx(0.1)
    assert document["expected_amperes"] == pytest.approx(3.3 / 363)
    assert document["is_good"] is False
    assert CliRunner().invoke(check_power, [*arguments, "--tolerance", "20"]).exit_code == 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("estimate:board=pico", "an estimate measures nothing"),
        ("ina219", "give the board that reads it"),
        ("ina2", "there is no power source"),
    ],
)
def test_what_cannot_be_checked(source: str, message: str) -> None:
    result = CliRunner().invoke(check_power, [source, "--ohms", "330"])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
