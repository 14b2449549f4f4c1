"""The command line: parses, calls one function of the package, prints. Everything it does can be done from Python.

Exit codes: 0 success; 1 results differ; 2 wrong usage; 3 the model cannot be packed; 4 a bad blob; 5 the board
failed; 6 missing or unsuitable input, or output that cannot be written; 7 the model fits on no board asked for; 70 a
bug in smidgen; 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

_OUTPUT_FAILED = 6
_BUG = 70
_INTERRUPTED = 130


def main() -> None:
    """Entry point of the `smidgen` command."""
    _on_signals(_quit)
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # then whoever read our output has just seen enough
            sys.stderr.write(f"error: {error}\n")
        # Python flushes stdout once more at exit, would fail again, and end with a code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_OUTPUT_FAILED)


def _on_signals(action: Callable[..., None] | int) -> None:
    """What Ctrl-C, kill and a closed terminal do."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), action)


def _quit(*_: object) -> None:
    """End at once: there is nothing to clean up while Python is still reading modules."""
    os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(_INTERRUPTED)


def _interrupt(*_: object) -> None:
    """End after cleaning up, and let no second signal cut that short."""
    _on_signals(signal.SIG_IGN)
    raise KeyboardInterrupt


def _run() -> None:
    # Imported here, so that an interruption while Python reads all the modules ends quietly too (`_quit`).
    import rich_click as click

    from smidgen.cli.app import cli
    from smidgen.cli.completion import PROGRAM
    from smidgen.cli.output import fail
    from smidgen.errors import SmidgenError

    _on_signals(_interrupt)
    try:
        cli.main(prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except SmidgenError as error:
        fail(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except OSError:
        raise
    except Exception:
        import traceback

        traceback.print_exc()
        fail("this is a bug in smidgen, please report it with the lines above")
        sys.exit(_BUG)
