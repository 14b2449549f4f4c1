"""`smidgen completion`, and what bash needs besides click's own completion."""

from __future__ import annotations

import os
from typing import ClassVar

import rich_click as click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class, split_arg_string

from smidgen.cli.output import print_text

PROGRAM = "smidgen"
VARIABLE = "_SMIDGEN_COMPLETE"

# bash takes ':' and '=' for the ends of words, so what stands before them must not be in its answers.
_BASH_SCRIPT = """\
%(complete_func)s() {
    local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}" response completion type value word typed=""
    response=$(env COMP_LINE="$line" %(complete_var)s=bash_complete "$1")
    word="${line##*[[:space:]]}"
    [[ $COMP_WORDBREAKS == *=* ]] && word="${word##*=}"
    [[ $COMP_WORDBREAKS == *:* ]] && typed="${word%%"${word##*:}"}"
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$typed"}") ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _BashComplete(BashComplete):
    """click's, for names with a colon in them such as sim:unix."""

    source_template: ClassVar[str] = _BASH_SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        if not words or line[-1].isspace():
            return words, ""
        return words[:-1], words[-1]


add_completion_class(_BashComplete)


@click.command(hidden=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes smidgen's commands, options, ports, boards and blobs in SHELL.

    bash and zsh: put the line  eval "$(smidgen completion bash)"  (or zsh) into ~/.bashrc or ~/.zshrc.
    fish: smidgen completion fish > ~/.config/fish/completions/smidgen.fish
    """
    completer = get_completion_class(shell)
    assert completer is not None
    print_text(completer(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
