"""Makes an int8 network smaller than it was, at the least cost of accuracy, without training it again.

docs/compression.md explains the method and what it gives.
"""

from smidgen.compress.plot import plot_curve
from smidgen.compress.samples import Samples, load_samples
from smidgen.compress.search import Compression, Kind, Point, Size, Target, compress

__all__ = ["Compression", "Kind", "Point", "Samples", "Size", "Target", "compress", "load_samples", "plot_curve"]
