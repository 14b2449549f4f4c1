"""The tests of the engine import their helpers from this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from host_engine import HostEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[HostEngine]:
    with HostEngine() as running:
        yield running
