"""Streams samples through a network on a board, and collects samples for training (docs/streaming.md)."""

from smidgen.stream.run import LiveWindow, StreamOptions, StreamResult, run_stream

__all__ = ["LiveWindow", "StreamOptions", "StreamResult", "run_stream"]
