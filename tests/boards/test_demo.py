"""The main job, from the float network to the board's answers, on a few windows."""

from __future__ import annotations

import pytest

from smidgen.demo import LiveWindow, run_demo
from smidgen.demo.recordings import TEST_SUBJECTS, DatasetError, load_recordings


@pytest.mark.usefixtures("unix_port")
def test_demo() -> None:
    try:
        load_recordings()
    except DatasetError as error:
        pytest.skip(str(error))
    seen: list[LiveWindow] = []
    stages: set[str] = set()
    result = run_demo(limit=60, progress=lambda what, done, total: stages.add(what), show=seen.append)
    assert (result.windows, result.exact_windows, len(seen)) == (60, 60, 60)
    assert result.accuracy_board == result.accuracy_host == seen[-1].correct_so_far / 60
    assert abs(result.accuracy_host - result.accuracy_float) <= 2 / 60
    assert result.accuracy_board > 0.75
    assert result.blob_bytes < result.float_bytes / 3
    assert 0 < result.median_microseconds <= result.p95_microseconds
    assert result.test_subjects == list(TEST_SUBJECTS)
    assert any(stage.startswith("quantising") for stage in stages)
