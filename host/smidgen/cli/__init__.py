"""The command line: parses, calls one function of the package, prints. Everything it does can be done from Python.

Exit codes: 0 success; 1 results differ; 2 wrong usage; 3 the model cannot be packed; 4 a bad blob; 5 the board
failed; 6 missing or unsuitable input; 130 interrupted.
"""

from __future__ import annotations

import signal
import sys

import rich_click as click

import smidgen
from smidgen.cli.demo import demo
from smidgen.cli.inspect import inspect
from smidgen.cli.output import fail
from smidgen.cli.pack import pack
from smidgen.cli.run import run
from smidgen.cli.sim import sim
from smidgen.cli.verify import verify
from smidgen.errors import SmidgenError

_INTERRUPTED = 130

click.rich_click.COMMAND_GROUPS = {
    "smidgen": [
        {"name": "Models", "commands": ["pack", "inspect"]},
        {"name": "Running", "commands": ["run", "verify", "demo"]},
        {"name": "Boards", "commands": ["sim"]},
    ]
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SMIDGEN"})
@click.version_option(smidgen.__version__, prog_name="smidgen")
def cli() -> None:
    """Small int8 neural networks on MicroPython boards.

    Results go to stdout, progress and messages to stderr.
    Exit codes: 0 success, 1 results differ, 2 usage, 3 model, 4 blob, 5 board, 6 input, 130 interrupted.
    """


for _command in (pack, inspect, run, verify, sim, demo):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `smidgen` command."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that a virtual board is switched off and cleaned up then too
    try:
        cli.main(standalone_mode=False)
    except SmidgenError as error:
        fail(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        fail("interrupted")
        sys.exit(_INTERRUPTED)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
