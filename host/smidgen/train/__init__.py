"""Training for small blobs, with PyTorch: distillation, pruning, quantisation-aware training, clustering, entropy.

Each part is a small class or function to be used in a training loop of your own; `smidgen.train.recipe` is one such
loop. docs/training.md has examples.
"""

from smidgen.train.export import register_layers
from smidgen.train.layers import QuantizedLayer
from smidgen.train.prepare import calibrate, prepare_qat, quantized_layers
from smidgen.train.ranges import ActivationRange, freeze_ranges

register_layers()

__all__ = [
    "ActivationRange",
    "QuantizedLayer",
    "calibrate",
    "freeze_ranges",
    "prepare_qat",
    "quantized_layers",
]
