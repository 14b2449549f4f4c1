"""One engine for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from host_engine import HostEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[HostEngine]:
    with HostEngine() as running:
        yield running
