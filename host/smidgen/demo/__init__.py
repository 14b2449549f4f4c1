"""The main job on real data: quantise, pack, install, load, stream recordings to a board, compare with the truth."""

from smidgen.demo.run import DemoResult, LiveWindow, run_demo

__all__ = ["DemoResult", "LiveWindow", "run_demo"]
