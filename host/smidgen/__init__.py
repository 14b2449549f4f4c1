"""smidgen: small int8 neural networks on MicroPython boards, without rebuilding firmware."""

__version__ = "0.1.0"
