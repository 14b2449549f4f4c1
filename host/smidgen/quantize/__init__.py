"""Post-training quantisation of float graphs: calibration data, ranges, int8 weights, bias correction."""

from smidgen.quantize.calibration import Calibration, as_calibration, load_calibration
from smidgen.quantize.ptq import DEFAULT_METHOD, quantize
from smidgen.quantize.ranges import RANGE_METHODS

__all__ = ["DEFAULT_METHOD", "RANGE_METHODS", "Calibration", "as_calibration", "load_calibration", "quantize"]
