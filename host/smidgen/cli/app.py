"""The group of all commands."""

from __future__ import annotations

import rich_click as click

import smidgen
from smidgen.cli.bench import bench_command as bench
from smidgen.cli.boards import boards
from smidgen.cli.check_power import check_power
from smidgen.cli.collect import collect
from smidgen.cli.compare import compare_command as compare
from smidgen.cli.completion import PROGRAM, completion
from smidgen.cli.demo import demo
from smidgen.cli.devices import devices
from smidgen.cli.diff import diff
from smidgen.cli.fit import fit
from smidgen.cli.flash import flash
from smidgen.cli.inspect import inspect
from smidgen.cli.install import install, uninstall
from smidgen.cli.mlperf import mlperf
from smidgen.cli.pack import pack
from smidgen.cli.push import push
from smidgen.cli.repl import repl
from smidgen.cli.run import run
from smidgen.cli.sim import sim
from smidgen.cli.stream import stream
from smidgen.cli.train import train
from smidgen.cli.verify import verify

# What `smidgen --help` says of each command, in the order in which it lists them.
_GROUPS = {
    "Models": {
        "pack": "turn a trained model into a blob",
        "train": "train a network for a small blob, by a recipe",
        "inspect": "check a blob, show what is in it",
        "fit": "latency and memory on boards, before uploading",
    },
    "Boards": {
        "devices": "list the boards on cables",
        "flash": "put MicroPython on a board",
        "install": "put smidgen on a board",
        "uninstall": "take it off",
        "push": "put a blob on a board",
        "sim": "serve a virtual board",
        "boards": "list the kinds of boards that smidgen knows",
    },
    "Live": {
        "run": "run a blob on samples",
        "stream": "run a blob on a sensor's samples, live",
        "collect": "collect labelled samples from a sensor",
        "repl": "the board's prompt with a model loaded",
        "diff": "compare board and reference, operator by operator",
        "verify": "is every output exact?",
        "demo": "recognise exercises, on real data",
    },
    "Measuring": {
        "bench": "latency, memory and energy on a board, with a report",
        "compare": "what changed between two of bench's sessions",
        "mlperf": "a device under test for the MLPerf Tiny runner",
        "check-power": "check a power meter against a resistor",
    },
}
click.rich_click.COMMAND_GROUPS = {
    PROGRAM: [{"name": name, "commands": list(commands)} for name, commands in _GROUPS.items()]
}
click.rich_click.THEME = "default-slim"
_NO_BLANK_LINES = {"padding_usage": 0, "padding_helptext": 0}
_BLANK_LINES = {"padding_usage": (0, 0, 1, 0), "padding_helptext": (0, 0, 1, 0)}


class _Commands(click.RichGroup):
    """The list of commands without blank lines, so that it fits on one screen."""

    def get_help(self, ctx: click.Context) -> str:
        return "\n".join(line.rstrip() for line in super().get_help(ctx).splitlines() if line.strip())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SMIDGEN"})
@click.help_option("-h", "--help", hidden=True)
@click.version_option(smidgen.__version__, prog_name=PROGRAM, hidden=True)
@click.rich_config(help_config=_NO_BLANK_LINES)
def cli() -> None:
    """Small int8 neural networks on MicroPython boards. COMMAND --help explains one."""


for _command in (
    bench,
    boards,
    check_power,
    collect,
    compare,
    completion,
    demo,
    devices,
    diff,
    fit,
    flash,
    inspect,
    install,
    mlperf,
    pack,
    push,
    repl,
    run,
    sim,
    stream,
    train,
    uninstall,
    verify,
):
    _command.context_settings["rich_help_config"] = _BLANK_LINES
    cli.add_command(_command)
for _commands in _GROUPS.values():
    for _name, _summary in _commands.items():
        if _name in cli.commands:
            cli.commands[_name].short_help = _summary
