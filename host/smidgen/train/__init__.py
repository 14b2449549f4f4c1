"""Training for small blobs, with PyTorch: distillation, pruning, quantisation-aware training, clustering, entropy.

Each part is a small class or function to be used in a training loop of your own; `smidgen.train.recipe` is one such
loop. docs/training.md has examples.
"""

from smidgen.train.clustering import WeightClustering
from smidgen.train.distillation import Distillation, distillation_loss
from smidgen.train.entropy import soft_entropy_bits, weight_bits
from smidgen.train.export import register_layers
from smidgen.train.layers import QuantizedLayer
from smidgen.train.prepare import calibrate, prepare_qat, quantized_layers
from smidgen.train.pruning import Pruning, blocks, prunable_layers, single_weights, whole_channels
from smidgen.train.ranges import ActivationRange, freeze_ranges

register_layers()

__all__ = [
    "ActivationRange",
    "Distillation",
    "Pruning",
    "QuantizedLayer",
    "WeightClustering",
    "blocks",
    "calibrate",
    "distillation_loss",
    "freeze_ranges",
    "prepare_qat",
    "prunable_layers",
    "quantized_layers",
    "single_weights",
    "soft_entropy_bits",
    "weight_bits",
    "whole_channels",
]
