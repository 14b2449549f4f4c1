"""The group of all commands."""

from __future__ import annotations

import rich_click as click

import smidgen
from smidgen.cli.boards import boards
from smidgen.cli.demo import demo
from smidgen.cli.fit import fit
from smidgen.cli.inspect import inspect
from smidgen.cli.pack import pack
from smidgen.cli.run import run
from smidgen.cli.sim import sim
from smidgen.cli.train import train
from smidgen.cli.verify import verify

click.rich_click.COMMAND_GROUPS = {
    "smidgen": [
        {"name": "Models", "commands": ["pack", "train", "inspect", "fit"]},
        {"name": "Running", "commands": ["run", "verify", "demo"]},
        {"name": "Boards", "commands": ["boards", "sim"]},
    ]
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SMIDGEN"})
@click.version_option(smidgen.__version__, prog_name="smidgen")
def cli() -> None:
    """Small int8 neural networks on MicroPython boards.

    Results go to stdout, progress and messages to stderr.
    Exit codes: 0 success, 1 results differ, 2 usage, 3 model, 4 blob, 5 board, 6 input or output, 7 the model fits on
    no board asked for, 70 a bug in smidgen, 130 interrupted.
    """


for _command in (pack, train, inspect, fit, run, verify, boards, sim, demo):
    cli.add_command(_command)
