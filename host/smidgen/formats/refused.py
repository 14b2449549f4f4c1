"""Why one operator of a model cannot be run."""

from __future__ import annotations


class Refused(Exception):
    """The reason, as the rest of a sentence about the operator."""
