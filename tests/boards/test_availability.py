"""A virtual board that is not here: skipped, or failed where all have to be tested."""

from __future__ import annotations

import pytest

from availability import ALL_BOARDS_VARIABLE, not_available


def test_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALL_BOARDS_VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no firmware"):
        not_available("there is no firmware")


def test_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALL_BOARDS_VARIABLE, "1")
    with pytest.raises(pytest.fail.Exception, match=rf"no firmware \({ALL_BOARDS_VARIABLE}=1"):
        not_available("there is no firmware")
