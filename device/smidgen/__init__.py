"""smidgen inside firmware, where it is a package; smidgen.mpy holds model.py as the module smidgen itself."""

from .model import Model, __version__  # noqa: F401 - what the package is for
