"""Completion of commands, options, ports, boards and blobs, by the protocol of the shells and in bash itself."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_ports import CP210X, PICO, usb_port

import smidgen.cli.options as cli_options
import smidgen.ports.candidates as candidates
from command_process import run_command
from smidgen.cli.app import _GROUPS, cli
from smidgen.link.virtual import VIRTUAL_BOARDS

SMIDGEN = [sys.executable, "-m", "smidgen"]


def completed(words: str, folder: Path | None = None, shell: str = "zsh") -> list[str]:
    """What the shell is told for a command line; the last word is the unfinished one."""
    environment = {
        **os.environ,
        "_SMIDGEN_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": words.rpartition(" ")[2] if shell == "fish" else str(words.count(" ")),
        "COMP_LINE": words,
    }
    result = run_command(environment=environment, folder=folder)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    if shell == "zsh":
        return lines[1::3]
    return [line.partition(",")[2].partition("\t")[0] for line in lines]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options(shell: str) -> None:
    assert completed("smidgen ins", shell=shell) == ["inspect", "install"]
    assert {"devices", "install", "uninstall", "run"} <= set(completed("smidgen ", shell=shell))
    assert completed("smidgen pack --opt", shell=shell) == ["--optimize"]
    assert completed("smidgen pack --optimize s", shell=shell) == ["speed", "size"]
    assert completed("smidgen sim p", shell=shell) == ["pico"]


def test_boards() -> None:
    assert completed("smidgen fit x.smg --board pico2") == ["pico2", "pico2_w"]
    assert completed("smidgen boards esp32s") == ["esp32s2", "esp32s3"]


def test_descriptions_that_are_wrong_are_not_told_at_a_tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.toml").write_text("nonsense")
    monkeypatch.setenv("SMIDGEN_BOARDS", str(tmp_path))
    assert completed("smidgen boards p") == []
    assert completed("smidgen install --port au") == ["auto"]


def test_ports() -> None:
    assert completed("smidgen install --port sim:") == VIRTUAL_BOARDS
    assert completed("smidgen run x.smg --port ho") == ["host"]
    assert completed("smidgen install --port ho") == []
    assert completed("smidgen install --port au") == ["auto"]


def test_ports_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [usb_port("/dev/ttyACM0", PICO, "E66"), usb_port("/dev/ttyUSB0", CP210X), usb_port("/dev/ttyS0", None)]
    monkeypatch.setattr(cli_options, "list_candidates", lambda: candidates.list_candidates(lambda: ports))
    (option,) = [option for option in cli.commands["install"].params if option.name == "port"]
    with cli.make_context("smidgen", ["devices"], resilient_parsing=True) as context:
        assert [item.value for item in option.shell_complete(context, "/dev")] == ["/dev/ttyACM0", "/dev/ttyUSB0"]
        assert [item.value for item in option.shell_complete(context, "id:")] == ["id:E66"]


def test_blobs(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name in ("kws.smg", "kind.tflite", "models/vww.smg"):
        (tmp_path / name).touch()
    assert completed("smidgen run k", tmp_path) == ["kws.smg"]
    assert completed("smidgen inspect models/", tmp_path) == ["models/vww.smg"]
    lines = completed("smidgen run x", tmp_path, shell="bash")
    assert lines == ["x"]  # of the type "file": the shell completes it to whatever there is


@pytest.mark.parametrize(("shell", "words"), [("bash", "complete -o nosort -F"), ("zsh", "#compdef smidgen"),
                                              ("fish", "complete --no-files --command smidgen")])  # fmt: skip
def test_scripts(shell: str, words: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="smidgen")
    assert result.exit_code == 0
    assert words in result.stdout
    assert "_SMIDGEN_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("smidgen inst", ["install"]),
        ("smidgen install --port sim:u", ["unix"]),  # ':' ends a word in bash, so only what follows it is replaced
        ("smidgen install --port=sim:u", ["unix"]),
        ("smidgen install --port sim:", [name.removeprefix("sim:") for name in VIRTUAL_BOARDS]),
        ("smidgen boards sim:r", ["riscv"]),
        ("smidgen run kw", ["kws.smg"]),
    ],
)
def test_bash(line: str, wanted: list[str], tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    (tmp_path / "kws.smg").touch()
    command = tmp_path / "smidgen"
    command.write_text(f'#!/bin/sh\nexec {" ".join(SMIDGEN)} "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    code = f"""
        eval "$(smidgen completion bash)"
        COMP_WORDBREAKS=$' \\t\\n"=><;|&(:'"'"
        COMP_LINE={line!r} COMP_POINT={len(line)}
        _smidgen_completion smidgen
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        [bash, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert result.stdout.splitlines() == wanted, result.stderr


def test_the_list_of_commands_fits_one_screen() -> None:
    """80 columns and 30 lines, one of them for the prompt."""
    environment = {**os.environ, "COLUMNS": "80", "LINES": "30"}
    result = subprocess.run([*SMIDGEN, "--help"], capture_output=True, text=True, env=environment, check=False)
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    missing = {name for commands in _GROUPS.values() for name in commands} - set(cli.commands)
    assert len(lines) + len(missing) <= 29
    assert [line.rstrip(":") for line in lines if line and not line[0].isspace()][2:] == list(_GROUPS)
    listed = [line.split() for line in lines if line.startswith("  ")]
    assert {words[0] for words in listed} | missing == {name for commands in _GROUPS.values() for name in commands}
    assert all(len(words) > 1 for words in listed)


def test_every_command_is_in_a_group_or_hidden() -> None:
    grouped = {name for commands in _GROUPS.values() for name in commands}
    assert {name for name, command in cli.commands.items() if not command.hidden} <= grouped
