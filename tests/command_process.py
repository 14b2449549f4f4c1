"""The command `smidgen` in a process of its own, forked from one that has imported what takes it most of a second."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Of what commands import, all but smidgen.cli, which looks at standard output and the environment.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["rich_click", "smidgen.bench", "smidgen.demo", "smidgen.diff_plot", "smidgen.fit", "smidgen.flash"]
    + ["smidgen.mlperf.runner", "smidgen.stream.collect", "smidgen.link.installation", "smidgen.link.prompt"]
)


def run_command(
    *arguments: Any,
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """`smidgen` with these arguments, without input: its exit code and what it printed.

    folder: to run in; None: the current one. timeout: in seconds; then it is killed, and TimeoutExpired raised.
    """
    words = [str(argument) for argument in arguments]
    with TemporaryDirectory(prefix="smidgen-command-") as name:
        printed = [Path(name, stream) for stream in ("stdout", "stderr")]
        process = _PROCESSES.Process(target=_become, args=(words, printed, folder or Path.cwd(), dict(environment)))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout)
        assert process.exitcode is not None
        out, err = (path.read_text() for path in printed)
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _become(words: list[str], printed: list[Path], folder: Path, environment: dict[str, str]) -> None:
    for descriptor, path in enumerate(printed, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["smidgen", *words]
    from smidgen.cli import main

    main()
