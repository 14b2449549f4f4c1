"""Decides everything that can be decided before the network runs: memory, tiles, and the coding of weights."""

from smidgen.plan.planner import Plan, make_plan

__all__ = ["Plan", "make_plan"]
