"""Decides everything that can be decided before the network runs: memory, tiles, and the coding of weights."""

from smidgen.plan.planner import Plan, make_plan
from smidgen.plan.weights import Coding

__all__ = ["Coding", "Plan", "make_plan"]
