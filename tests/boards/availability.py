"""What to do in a test for which something that can be built or installed is not here."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

ALL_BOARDS_VARIABLE = "SMIDGEN_TEST_ALL_BOARDS"  # set to 1 where every virtual board has to be tested: `make test`


def not_available(reason: str) -> NoReturn:
    """Skips the test, or fails it where every virtual board has to be there."""
    if os.environ.get(ALL_BOARDS_VARIABLE) == "1":
        pytest.fail(f"{reason} ({ALL_BOARDS_VARIABLE}=1: this may not be missing)", pytrace=False)
    pytest.skip(reason)
