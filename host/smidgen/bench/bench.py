"""A benchmark session: `smidgen bench`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smidgen.bench.facts import blob_facts, board_facts, host_facts
from smidgen.bench.folder import SessionFolder, create_session, require_empty
from smidgen.bench.measurement import Measurement, Progress
from smidgen.bench.plan import BenchPlan
from smidgen.bench.report import write_report
from smidgen.bench.results import BenchResult
from smidgen.blob.contents import Blob
from smidgen.blob.reader import read_blob_file
from smidgen.boards import BoardDescription, load_boards
from smidgen.errors import SmidgenError
from smidgen.link.session import Board, BoardInfo, connect
from smidgen.link.virtual import is_virtual
from smidgen.ports.names import resolve
from smidgen.power import PowerTrace, parse_source

_SAVED_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class BenchSession:
    """What was measured, and the folder that it is kept in."""

    folder: Path
    result: BenchResult


def bench(
    path: str | Path,
    port: str,
    plan: BenchPlan | None = None,
    *,
    heap_bytes: int | None = None,
    progress: Progress | None = None,
) -> BenchSession:
    """Measure the blob at `path` on the board on `port`, and write a folder with all of it.

    After Ctrl-C the result is of what was measured so far, and says so (`is_partial`). A board that fails leaves such a
    folder too, and its error goes on. Raises InputError, BlobError, BoardError, or MismatchError if the board computes
    something else than the blob's golden vectors say.
    """
    plan = plan or BenchPlan()
    path = Path(path)
    blob = read_blob_file(path)
    data = path.read_bytes()
    if plan.power:
        parse_source(plan.power.source)
    if plan.folder is not None:
        require_empty(plan.folder)
    port = resolve(port)
    started = datetime.now().astimezone()
    with connect(port, heap_bytes=heap_bytes) as board:
        board.install()
        info = board.hello()
        result = BenchResult(
            started=started.isoformat(timespec="seconds"),
            blob=blob_facts(blob, data, path),
            board=board_facts(info, port, is_virtual(port)),
            host=host_facts(),
            requested=plan.inferences,
        )
        folder = create_session(result.blob.name, started, plan.folder)
        _measure(board, blob, data, plan, result, folder, _description(port, info), progress or _silent)
    return BenchSession(folder.path, result)


def _measure(
    board: Board,
    blob: Blob,
    data: bytes,
    plan: BenchPlan,
    result: BenchResult,
    folder: SessionFolder,
    description: BoardDescription | None,
    progress: Progress,
) -> None:
    keeper = _Keeper(result, folder)
    folder.log(f"smidgen bench {result.blob.file} on {result.board.port}: {result.board.machine}")
    measurement: Measurement | None = None
    try:
        measurement = Measurement(board, result, description, keeper.keep, progress)
        measurement.run(blob, data, plan)
        result.is_partial = False
    except KeyboardInterrupt:
        result.problem = "interrupted"
    except SmidgenError as error:
        result.problem = str(error)
        raise
    finally:
        keeper.finish(blob, measurement.trace if measurement else None)


class _Keeper:
    """Writes results.json as the session goes on, and the report at its end."""

    def __init__(self, result: BenchResult, folder: SessionFolder) -> None:
        self._result = result
        self._folder = folder
        self._start = self._saved = time.monotonic()
        self._save()

    def keep(self, line: str) -> None:
        """line: for the log; empty for a portion of a step, which is saved once a second."""
        if line:
            self._folder.log(line)
        if line or time.monotonic() - self._saved > _SAVED_EVERY_SECONDS:
            self._save()

    def finish(self, blob: Blob, trace: PowerTrace | None) -> None:
        result = self._result
        self._folder.log(f"stopped: {result.problem}" if result.is_partial else "complete")
        self._save()
        write_report(result, blob, trace, self._folder)

    def _save(self) -> None:
        self._result.seconds = time.monotonic() - self._start
        self._folder.write_results(self._result.as_dict())
        self._saved = time.monotonic()


def _description(port: str, info: BoardInfo) -> BoardDescription | None:
    """A virtual board by its name, one on a cable by what its firmware calls it."""
    title = info.machine.rpartition(" with ")[0]
    for board in load_boards():
        if port.partition("+")[0] == board.name if is_virtual(port) else not board.is_virtual and board.title == title:
            return board
    return None


def _silent(what: str, done: int, total: int) -> None:
    pass
