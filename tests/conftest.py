"""Which tests must not run beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest

_TERMINALS = ("openpty", "EspBootRom", "VirtualUnixBoard")  # what the sources of tests with terminals name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with terminals run one after the other, with `--dist loadgroup` of pytest-xdist.

    The number of a terminal that is closed goes to the next one that is opened. A test that opens a port again by its
    name, as one does with a cable that was pulled out, would talk to the board of another test.
    """
    has_terminals: dict[Path, bool] = {}
    for item in items:
        if item.path not in has_terminals:
            source = item.path.read_text("utf-8")
            has_terminals[item.path] = item.path.parent.name == "boards" or any(name in source for name in _TERMINALS)
        if has_terminals[item.path]:
            item.add_marker(pytest.mark.xdist_group("terminals"))
